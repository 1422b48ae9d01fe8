"""A worker thread for one kind of slow work, jobs one after the other."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event as ThreadEvent

import trio

STOP_S = 5.0
"""How long a lane that stops waits for its job to notice."""
_POLL_S = 0.01


Job = Callable[[], Callable[[], None]]
"""Runs in the thread; what it returns is called in trio's thread. Neither may raise."""


class Lane:
    """Does jobs in the order in which they were put, in a thread that is taken from trio while
    there are any, so that many short ones cost one trip."""

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        """`stop` is called when the lane is cancelled, to hasten the end of the running job."""
        self._stop = stop
        self._stopped = False
        self._jobs: deque[Job] = deque()
        self._waiting = trio.Event()

    def __len__(self) -> int:
        """Jobs that are not begun."""
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """To be called in trio's thread."""
        self._jobs.append(job)
        self._waiting.set()

    async def run(self) -> None:
        """Works until cancelled; no result comes afterwards. Waits a little for the running job to
        end then: a process that exits in the middle of a model's computation is aborted by the
        model's own threads."""
        trio_token = trio.lowlevel.current_trio_token()
        while True:
            await self._waiting.wait()
            # Before the thread looks at the jobs for the last time: none is overlooked.
            self._waiting = trio.Event()
            ended = ThreadEvent()
            try:
                await trio.to_thread.run_sync(self._work, trio_token, ended, abandon_on_cancel=True)
            except trio.Cancelled:
                self._stopped = True
                self._jobs.clear()
                self._stop()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_S):
                    while not ended.is_set():  # noqa: ASYNC110 - a thread ends, which wakes nobody
                        await trio.sleep(_POLL_S)
                raise

    def _work(self, trio_token: trio.lowlevel.TrioToken, ended: ThreadEvent) -> None:
        try:
            while self._jobs:
                result = self._jobs.popleft()()
                with suppress(trio.RunFinishedError):  # nobody waits for it any more
                    trio_token.run_sync_soon(self._hand_back, result)
        finally:
            ended.set()

    def _hand_back(self, result: Callable[[], None]) -> None:
        if not self._stopped:
            result()
