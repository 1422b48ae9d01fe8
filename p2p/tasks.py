"""Run a few tasks of one connection as one."""

from collections.abc import Awaitable, Callable

import trio

from p2p.errors import P2PError


async def run_together(*functions: Callable[[], Awaitable[None]]) -> None:
    """Run all; when one raises a `P2PError`, cancel the others and raise it, ungrouped."""
    failures: list[P2PError] = []

    async with trio.open_nursery() as nursery:

        async def guarded(function: Callable[[], Awaitable[None]]) -> None:
            try:
                await function()
            except P2PError as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        for function in functions:
            nursery.start_soon(guarded, function)
    if failures:
        raise failures[0]
