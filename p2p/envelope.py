"""Sign and verify with a stated purpose, so that no signature can be used for another one.

The signed bytes are ``b"qnode/1" ‖ len(context) ‖ context ‖ payload`` with the length in one
byte: the context cannot run into the payload, and no two pairs encode alike.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from p2p.errors import BadSignature

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
CONTEXT_BYTES_MAX = 255
_DOMAIN = b"qnode/1"


def sign(private_key: Ed25519PrivateKey, context: bytes, payload: bytes) -> bytes:
    """Return the 64-byte Ed25519 signature of `payload` for the purpose `context`.

    `context` has 1 to 255 bytes; anything else is a bug of the caller and a `ValueError`.
    """
    return private_key.sign(_enclose(context, payload))


def verify(public_key: bytes, context: bytes, payload: bytes, signature: bytes) -> None:
    """Return if `signature` is `public_key`'s over `context` and `payload`.

    Raises `BadSignature` otherwise, also for keys and signatures of a wrong length.
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("a public key has 32 bytes and a signature 64")
    try:
        # libsodium needs half the time of OpenSSL, and nodes spend more on this than on anything
        # else.
        crypto_sign_open(signature + _enclose(context, payload), public_key)
    except BadSignatureError as error:
        raise BadSignature(
            f"the signature for {context.decode('ascii', 'replace')!r} does not verify"
        ) from error


def public_bytes(private_key: Ed25519PrivateKey) -> bytes:
    """Return the 32 raw bytes of the public half."""
    return private_key.public_key().public_bytes_raw()


def _enclose(context: bytes, payload: bytes) -> bytes:
    if not 1 <= len(context) <= CONTEXT_BYTES_MAX:
        raise ValueError("a signing context has 1 to 255 bytes")
    return b"".join((_DOMAIN, bytes((len(context),)), context, payload))
