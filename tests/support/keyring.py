"""Ed25519 keys for tests, made from numbers, so that every run signs the same bytes."""

from functools import cache
from hashlib import blake2b

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.keyring import Ed25519Keyring
from pbft.codec import signing_bytes
from pbft.membership import Member, Membership
from pbft.messages import SignedMessage
from pbft.types import ReplicaId


@cache
def private_key(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))


@cache
def public_key(number: int) -> bytes:
    return private_key(number).public_key().public_bytes_raw()


def keyring(number: int) -> Ed25519Keyring:
    return Ed25519Keyring(private_key(number))


def membership(n: int) -> Membership:
    """Replica i holds `private_key(i)`."""
    return members_with([public_key(number) for number in range(n)])


def members_with(keys: list[bytes]) -> Membership:
    return Membership.first(
        tuple(Member(ReplicaId(i), f"node{i}", key) for i, key in enumerate(keys))
    )


class QuickKeyring:
    """A keyed hash in place of Ed25519, for runs with many signatures: the public key is the
    secret, so that it proves nothing to anyone but the test that hands it out."""

    def __init__(self, number: int) -> None:
        self._secret = self.public_key(number)

    @staticmethod
    def public_key(number: int) -> bytes:
        return number.to_bytes(32, "big")

    def sign(self, message: SignedMessage) -> bytes:
        return blake2b(signing_bytes(message), key=self._secret).digest()

    def verify(self, public_key: bytes, message: SignedMessage, signature: bytes) -> bool:
        return blake2b(signing_bytes(message), key=public_key).digest() == signature


def quick_membership(n: int) -> Membership:
    """Replica i holds `QuickKeyring(i)`."""
    return members_with([number.to_bytes(32, "big") for number in range(n)])
