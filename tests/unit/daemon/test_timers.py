"""The replica's timers on trio's clock, which a test winds by itself."""

from collections.abc import Awaitable, Callable
from itertools import pairwise

import trio
import trio.testing

from daemon.timers import Timers
from pbft.events import AnswerDeadline, CatchUp, RevealGrace, SealGrace, Timer
from pbft.types import RequestId

A = AnswerDeadline(RequestId(bytes(32)), 0)
B = SealGrace(RequestId(bytes(32)), 0)
C = RevealGrace(RequestId(bytes(32)), 0)

Fired = list[tuple[float, Timer]]


def fired_during(script: Callable[[Timers], Awaitable[None]], until_s: float = 100.0) -> Fired:
    """What fired at which second while the script ran, and after it."""
    fired: Fired = []

    async def main() -> None:
        began = trio.current_time()
        timers = Timers(lambda timer: fired.append((round(trio.current_time() - began, 3), timer)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timers.run)
            await script(timers)
            await trio.sleep_until(began + until_s)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return fired


def test_a_timer_fires_once_when_it_is_due() -> None:
    """Not before, and not again."""

    async def script(timers: Timers) -> None:
        timers.arm(A, 1_500)

    assert fired_during(script) == [(1.5, A)]


def test_timers_fire_in_order_of_time_then_of_arming() -> None:
    """The heap does not compare the timers themselves, which have no order."""

    async def script(timers: Timers) -> None:
        timers.arm(A, 2_000)
        timers.arm(C, 1_000)
        timers.arm(B, 1_000)
        timers.arm(CatchUp(), 0)

    assert fired_during(script) == [(0.0, CatchUp()), (1.0, C), (1.0, B), (2.0, A)]


def test_arming_again_restarts() -> None:
    """Later or earlier: the last arming counts."""

    async def script(timers: Timers) -> None:
        timers.arm(A, 1_000)
        timers.arm(B, 9_000)
        await trio.sleep(0.5)
        timers.arm(A, 1_000)
        timers.arm(B, 2_000)

    assert fired_during(script) == [(1.5, A), (2.5, B)]


def test_arming_twice_for_the_same_moment_fires_once() -> None:
    """Two entries of the heap are one timer."""

    async def script(timers: Timers) -> None:
        timers.arm(A, 1_000)
        timers.arm(A, 1_000)

    assert fired_during(script) == [(1.0, A)]


def test_a_cancelled_timer_does_not_fire() -> None:
    """Unless it is armed again, also for the moment at which it was due before."""

    async def script(timers: Timers) -> None:
        timers.arm(A, 1_000)
        timers.arm(B, 1_000)
        timers.cancel(A)
        timers.cancel(B)
        timers.cancel(C)  # never armed
        timers.arm(B, 1_000)

    assert fired_during(script) == [(1.0, B)]


def test_a_timer_may_be_armed_by_one_that_fires() -> None:
    """What firing does is part of the same turn; nothing armed in it is lost."""
    count: list[float] = []

    async def main() -> None:
        def fire(timer: Timer) -> None:
            count.append(trio.current_time())
            if len(count) < 4:
                timers.arm(timer, 1_000)

        timers = Timers(fire)
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(timers.run)
                timers.arm(A, 1_000)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [round(b - a, 3) for a, b in pairwise(count)] == [1.0, 1.0, 1.0]


def test_a_timer_armed_before_the_task_runs_is_not_lost() -> None:
    """Recovery arms timers before anything else has started."""
    fired: list[Timer] = []

    async def main() -> None:
        timers = Timers(fired.append)
        timers.arm(A, 100)
        with trio.move_on_after(1):
            await timers.run()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert fired == [A]


def test_cancelled_timers_leave_nothing_behind() -> None:
    """A timer that is armed and cancelled with every message is forgotten when its time is over."""
    sizes = []

    async def main() -> None:
        timers = Timers(lambda _timer: None)
        with trio.move_on_after(50):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(timers.run)
                for _ in range(2_000):
                    timers.arm(A, 3_000)
                    timers.cancel(A)
                    await trio.sleep(0.01)
                await trio.sleep(4)
                sizes.append(len(timers._heap))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert sizes == [0]
