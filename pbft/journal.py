"""How records stand in a log, one behind another, and how they are read back; pure.

A frame is the body's length, a checksum of the length, a checksum of the body, the body; the
checksums are BLAKE2b. The length has its own, so that a changed one is not taken for a record that
ends behind the end of the log.

Reading tells two kinds of broken logs apart. Torn is only what a crash in the middle of an append
leaves: the log ends early, or its last pages were allocated, never written, and are zero. Nothing
that depends on such a tail was ever sent, so it is cut. Anything else was once flushed and has
changed since: to drop it could make this replica contradict what it signed (Alagappan et al.,
"Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018).
"""

from hashlib import blake2b

from pbft.codec import decode_value, encode_value
from pbft.errors import DamagedLog, Malformed
from pbft.records import RECORD_BYTES_MAX, RECORD_KINDS, Record

_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 8
_HEADER_BYTES = _LENGTH_BYTES + 2 * _CHECKSUM_BYTES
_PAGE_BYTES = 4096


def frame(record: Record) -> bytes:
    """The record as it stands in a log."""
    body = encode_record(record)
    length = len(body).to_bytes(_LENGTH_BYTES, "big")
    return length + _checksum(length) + _checksum(body) + body


def read(data: bytes, start: int = 0) -> tuple[tuple[Record, ...], int]:
    """The records that stand in a log from ``start`` on, and where a torn tail begins: the length
    of ``data`` if there is none. Raises `DamagedLog`."""
    records: list[Record] = []
    position = start
    while position < len(data):
        body = _body_at(data, position)
        if body is None:
            break
        try:
            records.append(decode_record(body))
        except Malformed:
            raise DamagedLog(position) from None
        position += _HEADER_BYTES + len(body)
    return tuple(records), position


def _body_at(data: bytes, position: int) -> bytes | None:
    """The body of the frame that begins here; None if it is torn."""
    header = data[position : position + _HEADER_BYTES]
    if len(header) < _HEADER_BYTES or not data[position:].strip(b"\0"):
        return None
    length = header[:_LENGTH_BYTES]
    if _checksum(length) != header[_LENGTH_BYTES : _LENGTH_BYTES + _CHECKSUM_BYTES]:
        raise DamagedLog(position)
    start = position + _HEADER_BYTES
    end = start + int.from_bytes(length, "big")
    body = data[start:end]
    if end > len(data):
        return None
    if _checksum(body) != header[_LENGTH_BYTES + _CHECKSUM_BYTES :]:
        if end == len(data) and _ends_in_empty_pages(data, start):
            return None
        raise DamagedLog(position)
    return body


def _ends_in_empty_pages(data: bytes, start: int) -> bool:
    """Whether the log is zero from some page boundary after ``start`` on."""
    written = len(data.rstrip(b"\0"))
    boundary = -(-max(written, start) // _PAGE_BYTES) * _PAGE_BYTES
    return boundary < len(data)


def encode_record(record: Record) -> bytes:
    """The body of a frame."""
    kind = RECORD_KINDS.index(type(record))
    return kind.to_bytes(1, "big") + encode_value(record)


def decode_record(body: bytes) -> Record:
    """Inverse of `encode_record`; raises `Malformed`."""
    if not body or body[0] >= len(RECORD_KINDS):
        raise Malformed("unknown kind of record")
    record: Record = decode_value(body[1:], RECORD_KINDS[body[0]], bytes_max=RECORD_BYTES_MAX)
    return record


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=_CHECKSUM_BYTES).digest()
