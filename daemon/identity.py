"""The node's Ed25519 key, and the public record that goes into the genesis file."""

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from daemon.errors import UsageError
from daemon.files import read_json, read_text, write_new
from p2p import envelope
from p2p.addresses import parse_dialable
from p2p.errors import BadAddress, BadSignature

MEMBER_FORMAT = "qnode member 1"
_RECORD_CONTEXT = b"member record"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
ADDRESSES_MAX = 8


def create_key(path: Path) -> Ed25519PrivateKey:
    """A new key in a new file that only its owner can read (PKCS 8 in PEM)."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(path, pem.decode("ascii"), mode=0o600)
    return key


def load_key(path: Path) -> Ed25519PrivateKey:
    text = read_text(path, "key file")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UsageError(
            f"The key file {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}"
        )
    if path.stat().st_uid != os.geteuid():
        raise UsageError(
            f"The key file {path} belongs to another user; run as its owner, or make it yours."
        )
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UsageError(
            f"The key file {path} holds no unencrypted PEM private key; restore it from your "
            "backup, or make a new identity with `qnode init`."
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"The key file {path} holds a key of another kind; Ed25519 is needed.")
    return key


def check_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            f"The name {name!r} does not fit: use letters, digits, dots, hyphens and underscores, "
            "at most 63, beginning with a letter or digit."
        )
    return name


def check_public_key(value: object) -> bytes:
    """32 bytes that are a usable Ed25519 key."""
    try:
        if not isinstance(value, str):
            raise ValueError
        key = bytes.fromhex(value)
        if key.hex() != value or not _is_usable(key):
            raise ValueError
        Ed25519PublicKey.from_public_bytes(key)
    except ValueError:
        raise UsageError(
            f"The public key {value!r} is not an Ed25519 key in hexadecimal."
        ) from None
    return key


_FIELD = 2**255 - 19
_CURVE_D = -121665 * pow(121666, -1, _FIELD)
_SMALL_ORDER_Y = {
    int.from_bytes(bytes.fromhex(encoded), "little")
    for encoded in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
}
"""y of the eight points whose order divides 8: under them, signatures that nobody made verify."""


def _is_usable(key: bytes) -> bool:
    """Refuses what is no point of the curve, points of small order, and encodings that are not
    reduced: the library looks at none of this before a signature is checked."""
    y = int.from_bytes(key, "little") & ((1 << 255) - 1)
    if len(key) != 32 or y >= _FIELD or y in _SMALL_ORDER_Y:
        return False
    # -x^2 + y^2 = 1 + d x^2 y^2 must have a solution x (RFC 8032 §5.1.3).
    square = (y * y - 1) * pow(_CURVE_D * y * y + 1, -1, _FIELD) % _FIELD
    return pow(square, (_FIELD - 1) // 2, _FIELD) == 1


def check_addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > ADDRESSES_MAX:
        raise UsageError(f"The addresses must be a list of at most {ADDRESSES_MAX}.")
    for address in value:
        try:
            parse_dialable(str(address))
        except BadAddress as error:
            raise UsageError(str(error)) from None
    return tuple(value)


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """What a member tells the others about itself; signed with its key to prove possession."""

    name: str
    public_key: bytes
    addresses: tuple[str, ...]

    def to_text(self, key: Ed25519PrivateKey) -> str:
        signature = envelope.sign(key, _RECORD_CONTEXT, self.signed_bytes())
        document = {
            "format": MEMBER_FORMAT,
            "name": self.name,
            "public_key": self.public_key.hex(),
            "addresses": list(self.addresses),
            "signature": signature.hex(),
        }
        return json.dumps(document, indent=1) + "\n"

    def signed_bytes(self) -> bytes:
        body = [MEMBER_FORMAT, self.name, self.public_key.hex(), list(self.addresses)]
        return json.dumps(body).encode()


def read_member_record(path: Path) -> MemberRecord:
    document = read_json(path, "member record")
    expected = {"format", "name", "public_key", "addresses", "signature"}
    if document.get("format") != MEMBER_FORMAT or set(document) != expected:
        raise UsageError(
            f"{path} is not a member record; each member makes theirs with `qnode init`."
        )
    try:
        record = MemberRecord(
            check_name(document["name"]),
            check_public_key(document["public_key"]),
            check_addresses(document["addresses"]),
        )
        _check_signature(record, document["signature"])
    except UsageError as error:
        raise UsageError(f"In {path}: {error}") from None
    return record


def _check_signature(record: MemberRecord, signature: Any) -> None:
    try:
        envelope.verify(
            record.public_key,
            _RECORD_CONTEXT,
            record.signed_bytes(),
            bytes.fromhex(signature),
        )
    except (BadSignature, TypeError, ValueError):
        raise UsageError(
            "the signature is wrong, so that the record was changed or its sender does not hold "
            "the key; ask the member for a new one."
        ) from None
