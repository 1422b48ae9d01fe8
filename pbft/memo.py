"""Remembering what a pure function gave for the same object.

Messages never change, and the same one is hashed and checked again at every stage of its way. The
key is the object itself, not its value: to compare values would cost as much as to hash them.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

REMEMBERED_MAX: Final = 1_024
"""Per function; then it starts anew."""

T = TypeVar("T")
R = TypeVar("R")


def remembered(function: Callable[[T], R]) -> Callable[[T], R]:
    """The same function of one frozen argument; the entry keeps the argument alive, so that no
    other object can take its identity."""
    known: dict[int, tuple[Any, R]] = {}

    def recall(value: T) -> R:
        found = known.get(id(value))
        if found is not None:
            return found[1]
        result = function(value)
        if len(known) >= REMEMBERED_MAX:
            known.clear()
        known[id(value)] = (value, result)
        return result

    recall.__doc__ = function.__doc__
    recall.__name__ = function.__name__
    recall.__wrapped__ = function  # type: ignore[attr-defined]
    return recall
