"""The replica's timers on trio's clock."""

import heapq
from collections.abc import Callable

import trio

from pbft.events import Timer


class Timers:
    """Calls `fire(timer)` when an armed timer is due. Arming again restarts it."""

    def __init__(self, fire: Callable[[Timer], None]) -> None:
        self._fire = fire
        self._due: dict[Timer, float] = {}
        self._heap: list[tuple[float, int, Timer]] = []
        self._changed = trio.Event()
        self._count = 0

    def arm(self, timer: Timer, delay_ms: int) -> None:
        due = trio.current_time() + delay_ms / 1000
        self._due[timer] = due
        self._count += 1  # timers of one instant fire in the order of arming
        heapq.heappush(self._heap, (due, self._count, timer))
        if self._heap[0][1] == self._count:
            self._changed.set()  # it is due before all others

    def cancel(self, timer: Timer) -> None:
        self._due.pop(timer, None)  # its entry in the heap is skipped when its time comes

    async def run(self) -> None:
        while True:
            self._changed = trio.Event()
            self._fire_due()
            deadline = self._heap[0][0] if self._heap else float("inf")
            with trio.move_on_at(deadline):
                await self._changed.wait()

    def _fire_due(self) -> None:
        now = trio.current_time()
        while self._heap and self._heap[0][0] <= now:
            due, _, timer = heapq.heappop(self._heap)
            if self._due.get(timer) == due:
                del self._due[timer]
                self._fire(timer)
