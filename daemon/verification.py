"""Checking a certificate offline: from the genesis file alone."""

from pathlib import Path
from typing import Any

from daemon.errors import UsageError
from daemon.genesis import Genesis
from daemon.keyring import Ed25519Verifier
from daemon.transparency import describe
from pbft import certificate as certificates
from pbft.certificate import TEXT_BYTES_MAX
from pbft.errors import InvalidCertificate


def verify_file(path: Path, genesis: Genesis) -> dict[str, Any]:
    """What the certificate proves; raises `InvalidCertificate` with the reason if nothing."""
    try:
        with path.open("rb") as file:
            data = file.read(TEXT_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"The certificate {path} cannot be read: {error.strerror}.") from None
    return verify_bytes(data, genesis)


def verify_bytes(data: bytes, genesis: Genesis) -> dict[str, Any]:
    """See `verify_file`."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidCertificate("It is not UTF-8 text.") from None
    certificate = certificates.from_text(text)
    rules = certificates.verify(certificate, genesis.rules(Ed25519Verifier()))
    return describe(certificate, rules.membership)
