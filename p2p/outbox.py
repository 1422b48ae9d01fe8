"""What waits to be written to one peer: bounded in bytes, written in batches.

Frames arrive encoded, so a broadcast shares one copy among all peers. Control frames (heartbeats,
records) go first and have their own small bound: a full outbox must not look like a dead peer.
"""

from collections import deque

import trio

BATCH_BYTES_MAX = 256 * 1024
CONTROL_FRAMES_MAX = 64


class Outbox:
    """One session's queue towards its writer task."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._frames: deque[bytes] = deque()
        self._control: deque[bytes] = deque()
        self._wake = trio.Event()
        self._idle = trio.Event()
        self._idle.set()
        self.bytes_held = 0

    @property
    def frames_held(self) -> int:
        """Data frames that are not handed to the writer yet."""
        return len(self._frames)

    def put(self, frame: bytes) -> bool:
        """Queue an encoded data frame, or return False if the budget is used up."""
        if self.bytes_held + len(frame) > self._bytes_max:
            return False
        self._frames.append(frame)
        self.bytes_held += len(frame)
        self._notify()
        return True

    def put_control(self, frame: bytes) -> bool:
        """Queue an encoded control frame, or return False if too many wait."""
        if len(self._control) >= CONTROL_FRAMES_MAX:
            return False
        self._control.append(frame)
        self._notify()
        return True

    async def take(self) -> bytes:
        """Return what waits, in one piece of at most one frame more than `BATCH_BYTES_MAX`."""
        while not self._control and not self._frames:
            self._idle.set()
            self._wake = trio.Event()
            await self._wake.wait()
        batch: list[bytes] = []
        size = 0
        while self._control and size < BATCH_BYTES_MAX:
            batch.append(self._control.popleft())
            size += len(batch[-1])
        while (self._frames and size + len(self._frames[0]) <= BATCH_BYTES_MAX) or not batch:
            frame = self._frames.popleft()
            self.bytes_held -= len(frame)
            batch.append(frame)
            size += len(frame)
        return b"".join(batch)

    async def wait_written(self) -> None:
        """Return when the writer has nothing left to write, or after `end`."""
        await self._idle.wait()

    def end(self) -> None:
        """Note that nothing will be written any more."""
        self._idle.set()

    def _notify(self) -> None:
        if self._idle.is_set():
            self._idle = trio.Event()
        self._wake.set()
