"""What arrived and waits for the consumer: bounded per peer, served in turns.

A peer that sends faster than the consumer reads loses its own frames (and only its own); peers
take turns, so one that floods cannot delay another by more than one event per turn. News about a
connection is never dropped: a down that follows its up with nothing between cancels both, so
their number is bounded by the frames between them.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import trio

# What a queued event costs besides its bytes, so that empty frames are not free.
EVENT_OVERHEAD_BYTES = 128


@dataclass(frozen=True, slots=True)
class Received:
    """A frame that the member `public_key` sent."""

    public_key: bytes
    frame: bytes


@dataclass(frozen=True, slots=True)
class PeerUp:
    """The member can be sent to; `address` is the remote end, as ``ip:port``."""

    public_key: bytes
    address: str


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The member cannot be sent to; `reason` is for a log line."""

    public_key: bytes
    reason: str


Event = Received | PeerUp | PeerDown


class _Queue:
    __slots__ = ("bytes_held", "events")

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self.bytes_held = 0


class Inbox:
    """Events in order per peer, one peer after the other; one consumer."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._queues: dict[bytes, _Queue] = {}
        self._turns: deque[bytes] = deque()
        self._waiting = trio.lowlevel.ParkingLot()
        self._failure: Exception | None = None
        self._notify: Callable[[], None] = lambda: None

    def put_frame(self, public_key: bytes, frame: bytes) -> bool:
        """Queue a frame, or return False if that peer's budget is used up."""
        queue = self._queues.get(public_key)
        cost = len(frame) + EVENT_OVERHEAD_BYTES
        if queue is not None and queue.bytes_held + cost > self._bytes_max:
            return False
        self._put(Received(public_key, frame), cost)
        return True

    def put_news(self, event: PeerUp | PeerDown) -> None:
        """Queue news about a connection; never refused."""
        queue = self._queues.get(event.public_key)
        if isinstance(event, PeerDown) and queue and isinstance(queue.events[-1], PeerUp):
            queue.events.pop()
            if not queue.events:
                del self._queues[event.public_key]
                self._turns.remove(event.public_key)
            return
        self._put(event, 0)

    def fail(self, error: Exception) -> None:
        """Make `get` raise `error` from now on, ahead of what is queued."""
        self._failure = error
        self._waiting.unpark_all()
        self._notify()

    async def get(self) -> Event:
        """Return the next event, waiting for it; cancelling loses nothing."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._turns and self._failure is None:
            await self._waiting.park()
        if self._failure is not None:
            raise self._failure
        event = self._pop()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return event

    def take(self, most: int) -> list[Event]:
        """As `get`, but all that is queued, at most so many events, without waiting."""
        if self._failure is not None:
            raise self._failure
        events: list[Event] = []
        while self._turns and len(events) < most:
            events.append(self._pop())
        return events

    def __bool__(self) -> bool:
        """Whether `take` would return or raise something."""
        return bool(self._turns) or self._failure is not None

    def on_arrival(self, call: Callable[[], None]) -> None:
        """`call` is called whenever an event is queued, and now if one is."""
        self._notify = call
        if self:
            call()

    def bytes_held(self, public_key: bytes) -> int:
        """Bytes of that peer's frames in the queue, overhead included."""
        queue = self._queues.get(public_key)
        return queue.bytes_held if queue is not None else 0

    def _put(self, event: Event, cost: int) -> None:
        queue = self._queues.get(event.public_key)
        if queue is None:
            queue = self._queues[event.public_key] = _Queue()
            self._turns.append(event.public_key)
        queue.events.append(event)
        queue.bytes_held += cost
        self._waiting.unpark()
        self._notify()

    def _pop(self) -> Event:
        public_key = self._turns.popleft()
        queue = self._queues[public_key]
        event = queue.events.popleft()
        if isinstance(event, Received):
            queue.bytes_held -= len(event.frame) + EVENT_OVERHEAD_BYTES
        if queue.events:
            self._turns.append(public_key)
        else:
            del self._queues[public_key]
        return event
