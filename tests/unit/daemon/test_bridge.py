"""One crossing from asyncio to trio: results, errors, cancellation and shutdown."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import trio
import trio.testing

from daemon.http.bridge import Bridge, NodeStopping
from tests.support.stubs import WAIT_S

Script = Callable[[Bridge], Coroutine[Any, Any, Any]]


def bridged(script: Script, beside: Callable[[trio.Nursery], Awaitable[None]] | None = None) -> Any:
    """What an asyncio coroutine in a thread of its own gets from a node that runs in trio.

    `beside` runs in trio meanwhile and may cancel the nursery that the bridge starts tasks in.
    """

    async def main() -> Any:
        async with trio.open_nursery() as node:
            bridge = Bridge(node)

            async def client() -> Any:
                return await asyncio.wait_for(script(bridge), WAIT_S)

            async with trio.open_nursery() as outside:
                if beside is not None:
                    outside.start_soon(beside, node)
                with trio.CancelScope(shield=True):
                    result = await trio.to_thread.run_sync(lambda: asyncio.run(client()))
            node.cancel_scope.cancel()
        return result

    return trio.run(main)


def test_a_call_returns_what_the_function_returns() -> None:
    """None too."""

    async def add(a: int, b: int) -> int:
        await trio.lowlevel.checkpoint()
        return a + b

    async def nothing() -> None:
        await trio.lowlevel.checkpoint()

    async def script(bridge: Bridge) -> Any:
        return await bridge.call(add, 1, 2), await bridge.call(nothing)

    assert bridged(script) == (3, None)


def test_calls_run_side_by_side() -> None:
    """One that waits does not hold up the next."""
    event: list[trio.Event] = []

    async def wait() -> str:
        event.append(trio.Event())
        await event[0].wait()
        return "waited"

    async def wake() -> str:
        await trio.testing.wait_all_tasks_blocked()
        event[0].set()
        return "woke"

    async def script(bridge: Bridge) -> Any:
        return await asyncio.gather(bridge.call(wait), bridge.call(wake))

    assert bridged(script) == ["waited", "woke"]


def test_an_error_reaches_the_caller_and_nobody_else() -> None:
    """The node goes on: an error in one query must not end its nursery."""

    async def fail() -> None:
        raise ValueError("wrong")

    async def fine() -> str:
        return "fine"

    async def script(bridge: Bridge) -> Any:
        with pytest.raises(ValueError, match="wrong"):
            await bridge.call(fail)
        return await bridge.call(fine)

    assert bridged(script) == "fine"


def test_a_caller_that_goes_away_stops_the_function() -> None:
    """The client of a long question hung up; the node learns of it."""
    cancelled = trio.Event()

    async def long() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.set()
            raise

    async def check() -> bool:
        with trio.fail_after(WAIT_S):
            await cancelled.wait()
        return True

    async def script(bridge: Bridge) -> Any:
        task = asyncio.create_task(bridge.call(long))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await bridge.call(check)

    assert bridged(script) is True


def test_a_call_cancelled_before_it_began_does_nothing_lasting() -> None:
    """Cancelled in the same moment in which it is made."""

    async def long() -> None:
        await trio.sleep_forever()

    async def fine() -> str:
        return "fine"

    async def script(bridge: Bridge) -> Any:
        task = asyncio.create_task(bridge.call(long))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await bridge.call(fine)

    assert bridged(script) == "fine"


def test_whoever_waits_when_the_node_stops_is_told() -> None:
    """The node's end is an answer too, for calls under way and for those that come later."""
    began = trio.Event()

    async def long() -> None:
        began.set()
        await trio.sleep_forever()

    async def stop(node: trio.Nursery) -> None:
        await began.wait()
        node.cancel_scope.cancel()

    async def script(bridge: Bridge) -> Any:
        with pytest.raises(NodeStopping):
            await bridge.call(long)
        with pytest.raises(NodeStopping):
            await bridge.call(long)
        return "told"

    assert bridged(script, stop) == "told"


def test_a_call_after_trio_ended_is_told() -> None:
    """The HTTP thread may outlive the node by a moment."""
    kept: list[Bridge] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            kept.append(Bridge(nursery))

    trio.run(main)

    async def late() -> None:
        raise AssertionError("never runs")

    async def client() -> None:
        with pytest.raises(NodeStopping):
            await kept[0].call(late)

    asyncio.run(client())
