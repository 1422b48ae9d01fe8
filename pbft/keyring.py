"""Signatures, as the core sees them.

The core decides *what* is signed and *whose* signature is required; the driver brings the
algorithm: Ed25519 in `daemon/`, something faster in a simulation that makes forgery impossible by
construction. Both functions must be deterministic.
"""

from typing import Protocol

from pbft.messages import SignedMessage


class Keyring(Protocol):
    def sign(self, message: SignedMessage) -> bytes:
        """This replica's signature over `codec.signing_bytes(message)`, 64 bytes."""

    def verify(self, public_key: bytes, message: SignedMessage, signature: bytes) -> bool:
        """Whether the signature is right. Never raises, whatever the bytes."""


class Verifier(Protocol):
    """The half of a keyring that needs no secret."""

    def verify(self, public_key: bytes, message: SignedMessage, signature: bytes) -> bool:
        """See `Keyring.verify`."""
