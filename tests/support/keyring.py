"""Ed25519 keys for tests, made from numbers, so that every run signs the same bytes."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.keyring import Ed25519Keyring
from pbft.membership import Membership
from pbft.types import Epoch


def private_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


def public_key(number: int) -> bytes:
    return private_key(number).public_key().public_bytes_raw()


def keyring(number: int) -> Ed25519Keyring:
    return Ed25519Keyring(private_key(number))


def membership(n: int) -> Membership:
    """Replica i holds `private_key(i)`."""
    return Membership(Epoch(0), tuple(public_key(number) for number in range(n)))
