"""What is computed from a message once and kept with it.

A message is encoded to be compared with the bytes it came in, to check its signature, for digests,
for the log, for the ledger and for whoever asks for it later; and it never changes. What was
computed lives exactly as long as the object.
"""

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Literal, TypeVar


class Remembered:
    """Base of the messages whose encoding and digest are kept. Takes no part in comparisons."""

    __slots__ = ("_digest", "_encoding")


M = TypeVar("M", bound=Remembered)
R = TypeVar("R", bound=bytes)


def once(
    slot: Literal["_digest", "_encoding"],
) -> Callable[[Callable[[M], R]], Callable[[M], R]]:
    """Decorates a function of one message: the result is computed once for every object."""
    kept: Callable[[Remembered], R] = attrgetter(slot)

    def decorate(compute: Callable[[M], R]) -> Callable[[M], R]:
        @wraps(compute)
        def remembering(message: M) -> R:
            try:
                return kept(message)
            except AttributeError:
                result = compute(message)
                object.__setattr__(message, slot, result)
                return result

        return remembering

    return decorate
