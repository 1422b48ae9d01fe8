"""Errors of the core.

    ProtocolError
    ├── Malformed           the sender's fault: bytes that are no message of ours
    ├── InvalidCertificate  the bearer's fault: a certificate that proves nothing
    └── DamagedLog          the disk's fault: what was flushed is not what stands there

    InvariantViolation      a bug of ours; deliberately outside the root, so that no handler for a
                            peer's fault can swallow it

A peer's misbehaviour during the protocol is never an exception: it is a `Refused` or a `Report`
effect. Nothing that a peer or a user sends may raise `InvariantViolation`.
"""


class ProtocolError(Exception):
    """Root of the errors that input from outside can cause."""


class Malformed(ProtocolError):
    """Bytes that are not the canonical encoding of a known message."""


class InvalidCertificate(ProtocolError):
    """A certificate fails a check; the text says which, in one sentence for a person."""


class DamagedLog(ProtocolError):
    """A log that no crash leaves behind; ``position`` is the frame where it was noticed."""

    def __init__(self, position: int) -> None:
        super().__init__(f"is damaged at byte {position}: the disk changed what was written")
        self.position = position


class InvariantViolation(Exception):
    """The core contradicts itself. Raised explicitly, because `python -O` removes asserts."""
