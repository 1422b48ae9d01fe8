"""A closed loop of questions: as soon as one is answered, the next is asked, at the next node."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import trio

from daemon.bench.figures import Level, decisions, measure, traffic
from daemon.bench.network import BenchNetwork, Report
from daemon.errors import QnodeError

WARM_UP_S = 1.0
WARM_UP_MIN = 8
STALLED_S = 60.0
_QUIET_S = 0.5


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a level is measured after its warm-up: so many seconds, or until so many
    decisions, whatever comes first."""

    seconds: float
    decisions: int | None = None


class Load:
    """Questions to one network, level after level."""

    def __init__(self, network: BenchNetwork, tell: Callable[[str], None]) -> None:
        self._network = network
        self._tell = tell
        self._numbers = count(1)
        self._reports: list[Report] = []
        self.certificate = ""
        """One of the last level's."""

    async def run(self, concurrency: int, extent: Extent) -> Level:
        """One level: warm-up, measured time, and the wait for what is still open.

        Raises `QnodeError` if the network stops deciding.
        """
        before = traffic(await self._network.reports())
        loop = _Loop(concurrency, extent, self._tell)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loop.watch)
            for _ in range(concurrency):
                nursery.start_soon(self._ask_on, loop)
        await trio.sleep(_QUIET_S)  # votes that nobody waited for are still on their way
        reports = await self._network.reports()
        self.certificate = next(r.certificate for r in reports if r.certificate)
        return measure(
            len(self._network.nodes),
            concurrency,
            decisions(reports),
            warm_up=loop.warm_up,
            asked_until_ns=loop.asked_until_ns,
            before=before,
            after=traffic(reports),
        )

    async def _ask_on(self, loop: "_Loop") -> None:
        nodes = self._network.nodes
        while not loop.is_over:
            number = next(self._numbers)
            await nodes[number % len(nodes)].ask(number)
            loop.on_decided()
        loop.leave()


class _Loop:
    """Where one level stands."""

    def __init__(self, concurrency: int, extent: Extent, tell: Callable[[str], None]) -> None:
        self._concurrency = concurrency
        self._extent = extent
        self._tell = tell
        self._began = trio.current_time()
        self._counting_since = float("inf")
        self._decided = 0
        self._asking = concurrency
        self._moved = trio.Event()
        self.warm_up = 0
        """Decisions before the measured time; known when it begins."""
        self.asked_until_ns = 0

    @property
    def is_over(self) -> bool:
        return self.asked_until_ns > 0

    def on_decided(self) -> None:
        now = trio.current_time()
        self._decided += 1
        self._moved.set()
        if not self.warm_up:
            warm = self._decided >= max(WARM_UP_MIN, 2 * self._concurrency)
            if warm and now >= self._began + WARM_UP_S:
                self.warm_up = self._decided
                self._counting_since = now
        elif not self.is_over and self._is_enough(now):
            self.asked_until_ns = time.monotonic_ns()

    def _is_enough(self, now: float) -> bool:
        wanted = self._extent.decisions
        return now >= self._counting_since + self._extent.seconds or (
            wanted is not None and self._decided - self.warm_up >= wanted
        )

    def leave(self) -> None:
        """A place in the loop is given up."""
        self._asking -= 1
        self._moved.set()

    async def watch(self) -> None:
        """Shows how it goes; raises `QnodeError` when nothing is decided any more."""
        while self._asking:
            with trio.move_on_after(STALLED_S) as patience:
                await self._moved.wait()
            if patience.cancelled_caught:
                raise QnodeError(
                    f"Nothing was decided for {STALLED_S:g} s with {self._concurrency} questions "
                    "at once; ask fewer at once, or free the machine."
                )
            self._moved = trio.Event()
            self._tell(f"{self._concurrency} at once: {self._decided} decided")
