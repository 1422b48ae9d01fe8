"""Ed25519 for the consensus core (`pbft.keyring.Keyring`)."""

from collections import OrderedDict
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2p import envelope
from p2p.errors import BadSignature
from pbft.codec import signing_bytes
from pbft.messages import SignedMessage

CONTEXT = b"consensus"
"""Separates these signatures from everything else the key signs (`p2p.envelope`)."""

REMEMBERED_MAX = 8_192
"""A signed answer is seen alone, in a proposal and in a certificate; a check costs 0.1 ms."""


class Ed25519Verifier:
    """Checks signatures, and remembers the ones that were right."""

    def __init__(self) -> None:
        self._right: OrderedDict[bytes, None] = OrderedDict()

    def verify(self, public_key: bytes, message: SignedMessage, signature: bytes) -> bool:
        payload = signing_bytes(message)
        key = sha256(public_key + signature + payload).digest()
        if key in self._right:
            return True
        try:
            envelope.verify(public_key, CONTEXT, payload, signature)
        except BadSignature:
            return False
        self._right[key] = None
        if len(self._right) > REMEMBERED_MAX:
            self._right.popitem(last=False)
        return True


class Ed25519Keyring(Ed25519Verifier):
    """Signs with one private key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        super().__init__()
        self._private_key = private_key

    def sign(self, message: SignedMessage) -> bytes:
        return envelope.sign(self._private_key, CONTEXT, signing_bytes(message))
