"""Frames on a stream: a 4-byte big-endian length, then a kind byte and the body.

The length covers kind and body, is at least 1, and is checked before anything is kept. The
decoder is pure: bytes go in with `feed`, frames come out of `next_frame`, one at a time, so that
the bound can change between two frames (a hello is small, what follows may be large).
"""

from dataclasses import dataclass
from enum import IntEnum

from p2p.errors import BadFrame

LENGTH_BYTES = 4
OVERHEAD_BYTES = LENGTH_BYTES + 1


class Kind(IntEnum):
    """The first byte of each frame."""

    DATA = 0
    PING = 1
    PONG = 2
    RECORDS = 3
    HELLO = 4
    VERDICT = 5


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came off a stream."""

    kind: Kind
    body: bytes


def encode_frame(kind: Kind, body: bytes) -> bytes:
    """Return `body` with its header: `OVERHEAD_BYTES` longer."""
    return b"".join(((len(body) + 1).to_bytes(LENGTH_BYTES), bytes((kind,)), body))


class FrameDecoder:
    """Cuts a stream of bytes into frames; holds at most one frame and what was fed last."""

    def __init__(self, body_bytes_max: int) -> None:
        self.body_bytes_max = body_bytes_max
        self._buffer = bytearray()
        self._start = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes fed and not yet returned."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """Return the next whole frame, or None until more is fed; raise `BadFrame` (final)."""
        body_start = self._start + OVERHEAD_BYTES
        if len(self._buffer) < body_start:
            self._discard_read()
            return None
        length = int.from_bytes(self._buffer[self._start : self._start + LENGTH_BYTES])
        if not 1 <= length <= self.body_bytes_max + 1:
            raise BadFrame(
                f"a frame of {length} bytes, where 1 to {self.body_bytes_max + 1} may be"
            )
        try:
            kind = Kind(self._buffer[body_start - 1])
        except ValueError:
            raise BadFrame(f"a frame of unknown kind {self._buffer[body_start - 1]}") from None
        body_end = self._start + LENGTH_BYTES + length
        if len(self._buffer) < body_end:
            self._discard_read()
            return None
        body = bytes(memoryview(self._buffer)[body_start:body_end])
        self._start = body_end
        return Frame(kind, body)

    def _discard_read(self) -> None:
        # Once per feed rather than once per frame: deleting from the front moves what is left.
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
