"""How a command of `qnode` ends badly: in one sentence for a person."""

import os
import sys
from collections.abc import Callable, Iterator

from daemon.errors import QnodeError, UsageError
from simulator.errors import SimulatorError

EXIT_INTERRUPTED = 130


def guarded(main: Callable[[], int]) -> int:
    """The exit code of a program or command, whatever ends it."""
    try:
        return main()
    except BaseException as error:  # noqa: BLE001 - raised again unless it is for people
        return report(error)


def report(error: BaseException) -> int:
    """Says what ended a command, in one sentence; a bug of ours keeps its traceback.

    Errors that left a nursery come in groups, with the operator's or the disk's fault inside.
    """
    causes = list(_leaves(error))
    for cause in causes:
        if isinstance(cause, QnodeError):
            print(f"qnode: {cause}", file=sys.stderr)
            return cause.exit_code
        if isinstance(cause, SimulatorError):
            print(f"qnode: {cause}", file=sys.stderr)
            return UsageError.exit_code
    if any(isinstance(cause, BrokenPipeError) for cause in causes):
        # Whoever read our output went away; nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        print("qnode: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    raise error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
