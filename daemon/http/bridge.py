"""Calls from the HTTP server's thread (asyncio) into the node's (trio)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import trio

T = TypeVar("T")


class NodeStopping(Exception):
    """The node is shutting down and answers no more."""


class Bridge:
    """`call` from asyncio runs an async function in trio and waits for its result.

    When the caller is cancelled (its client went away), so is the function. When the nursery is
    cancelled, callers get `NodeStopping`.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()

    async def call(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        scope = trio.CancelScope()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None only with an error

        def report(result: T | None, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        async def run() -> None:
            try:
                with scope:
                    result = await function(*args)
                    report(result, None)
                    return
            except Exception as error:  # noqa: BLE001 - carried to the caller, who handles it
                report(None, error)
                return
            except BaseException:
                report(None, NodeStopping())
                raise
            report(None, NodeStopping())

        try:
            self._token.run_sync_soon(self._start, run, report)
        except trio.RunFinishedError:
            raise NodeStopping from None
        try:
            return await future
        except asyncio.CancelledError:
            self._cancel(scope)
            raise

    def _start(
        self,
        run: Callable[[], Awaitable[None]],
        report: Callable[[None, BaseException], None],
    ) -> None:
        try:
            self._nursery.start_soon(run)
        except RuntimeError:  # the nursery is closed
            report(None, NodeStopping())

    def _cancel(self, scope: trio.CancelScope) -> None:
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(scope.cancel)
