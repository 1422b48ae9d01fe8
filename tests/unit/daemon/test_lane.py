"""The worker thread for slow work."""

from collections.abc import Callable
from functools import partial
from threading import Event as ThreadEvent
from threading import get_ident

import trio

from daemon.lane import Lane

WAIT_S = 30


def test_jobs_are_done_in_order_and_their_results_come_to_trios_thread() -> None:
    """One after the other, in another thread; also those put while one runs."""
    done: list[int] = []
    threads: set[int] = set()
    results_in: set[int] = set()

    async def main() -> None:
        lane = Lane()
        all_done = trio.Event()

        def finish(number: int) -> None:
            done.append(number)
            results_in.add(get_ident())
            if number < 5:
                lane.put(partial(job, number + 10))
            if len(done) == 15:
                all_done.set()

        def job(number: int) -> Callable[[], None]:
            threads.add(get_ident())
            return partial(finish, number)

        for number in range(10):
            lane.put(partial(job, number))
        assert len(lane) == 10
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.run)
            with trio.fail_after(WAIT_S):
                await all_done.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert done == list(range(15))
    assert get_ident() not in threads
    assert results_in == {get_ident()}


def test_a_lane_that_is_cancelled_hands_nothing_back() -> None:
    """The running job is told to stop and waited for; its result and the waiting jobs are dropped,
    because a node that stops must not vote for an answer that was cut off."""
    handed_back: list[str] = []
    began, stop, ended = ThreadEvent(), ThreadEvent(), ThreadEvent()

    def job() -> Callable[[], None]:
        began.set()
        assert stop.wait(WAIT_S)
        ended.set()
        return lambda: handed_back.append("the running job")

    def never() -> Callable[[], None]:
        handed_back.append("a waiting job")
        return lambda: None

    async def main() -> None:
        lane = Lane(stop=stop.set)
        lane.put(job)
        lane.put(never)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lane.run)
            await trio.to_thread.run_sync(began.wait, WAIT_S)
            nursery.cancel_scope.cancel()
        assert ended.is_set()
        await trio.lowlevel.checkpoint()

    trio.run(main)
    assert handed_back == []
