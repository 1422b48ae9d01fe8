"""Signatures for simulated replicas: a keyed hash, and a memory of what was signed.

A signature is the BLAKE2b of the signing bytes under the replica's secret, and only the world
holds secrets, so that nobody can forge. Messages pass between simulated replicas as objects: to
verify one is then, nearly always, to see that the very object was signed. What is not remembered is
hashed again, so the memory changes the speed and nothing else.
"""

from hashlib import blake2b

from pbft.codec import signing_bytes
from pbft.membership import Member, Membership
from pbft.messages import SignedMessage
from pbft.types import ReplicaId

REMEMBERED_MAX = 100_000


def secret_of(number: int) -> bytes:
    """The secret of key `number`, 32 bytes. It is its public key too: it convinces nobody outside
    the world, and nobody inside ever reads it from the member list."""
    return number.to_bytes(32, "big")


class Signatures:
    """All signatures of one world, by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[bytes, SignedMessage]] = {}

    def make(self, secret: bytes, message: SignedMessage) -> bytes:
        signature = blake2b(signing_bytes(message), key=secret).digest()
        if len(self._known) >= REMEMBERED_MAX:
            for oldest in list(self._known)[: REMEMBERED_MAX // 2]:
                del self._known[oldest]
        self._known[signature] = (secret, message)
        return signature

    def check(self, secret: bytes, message: SignedMessage, signature: bytes) -> bool:
        known = self._known.get(signature)
        if known is not None and known[1] is message and known[0] == secret:
            return True
        return blake2b(signing_bytes(message), key=secret).digest() == signature


class SimulatedKeyring:
    """See `pbft.keyring.Keyring`."""

    def __init__(self, signatures: Signatures, number: int) -> None:
        self._signatures = signatures
        self._secret = secret_of(number)

    def sign(self, message: SignedMessage) -> bytes:
        return self._signatures.make(self._secret, message)

    def verify(self, public_key: bytes, message: SignedMessage, signature: bytes) -> bool:
        return self._signatures.check(public_key, message, signature)


def simulated_membership(n: int) -> Membership:
    """Replica i holds key i."""
    return Membership.first(tuple(Member(ReplicaId(i), f"node{i}", secret_of(i)) for i in range(n)))
