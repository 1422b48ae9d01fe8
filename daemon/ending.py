"""How a command of `qnode` ends: all it told is written, or one sentence says why not.

What stands in buffers is written here: Python itself would do that after all else, and end with a
code and words of its own if it cannot.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from daemon.errors import QnodeError, StorageFailed, UsageError
from simulator.errors import SimulatorError

EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""As a shell calls the end of a program that writes to who reads no more. Not 0: what the command
had yet to find out, nobody knows."""


def guarded(main: Callable[[], int]) -> int:
    """The exit code of a program or command, whatever ends it."""
    try:
        code = main()
    except SystemExit as ended:  # argparse has told why
        if type(ended.code) is int:
            ended.code = _delivered(ended.code)
        raise
    except BaseException as error:  # noqa: BLE001 - raised again unless it is for people
        code = report(error)
    return _delivered(code)


def report(error: BaseException) -> int:
    """Says what ended a command, in one sentence; a bug of ours keeps its traceback.

    Errors that left a nursery come in groups, with the operator's or the disk's fault inside.
    """
    causes = list(_leaves(error))
    for cause in causes:
        if isinstance(cause, QnodeError):
            _say(f"qnode: {cause}")
            return cause.exit_code
        if isinstance(cause, SimulatorError):
            _say(f"qnode: {cause}")
            return UsageError.exit_code
    if fault := _output_fault(causes):
        return EXIT_UNREAD if isinstance(fault, BrokenPipeError) else _unwritten(fault)
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        _say("qnode: interrupted.")
        return EXIT_INTERRUPTED
    raise error


def _delivered(code: int) -> int:
    """The exit code, once everything is written that was told. A finding's code stays: that is
    what a script must learn."""
    _flush(sys.stderr)
    fault = _flush(sys.stdout)
    if fault is None or isinstance(fault, BrokenPipeError):
        return code  # whoever reads no more has read enough
    unwritten = _unwritten(fault)
    return code or unwritten


def _output_fault(causes: list[BaseException]) -> OSError | None:
    """Why nothing more can be told, if that is among the causes. What has no room in a buffer is
    not written a second time, and must be known by its number."""
    for cause in causes:
        if isinstance(cause, OSError):
            return (
                _flush(sys.stdout)
                or _flush(sys.stderr)
                or (cause if cause.errno in (errno.EPIPE, errno.ENOSPC) else None)
            )
    return None


def _flush(stream: TextIO | None) -> OSError | None:
    """What keeps the stream from being written; then it writes to nobody from now on. None, too,
    for a stream that was closed before the program began."""
    try:
        if stream is not None and not stream.closed:
            stream.flush()
    except OSError as fault:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
        return fault
    return None


def _unwritten(fault: OSError) -> int:
    _say(f"qnode: The output cannot be written ({fault.strerror}); send it elsewhere.")
    return StorageFailed.exit_code


def _say(sentence: str) -> None:
    """On standard error, as long as it takes anything."""
    if sys.stderr is None:
        return  # closed before the program began; `print` would take standard output
    try:
        print(sentence, file=sys.stderr)
    except OSError:
        _flush(sys.stderr)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
