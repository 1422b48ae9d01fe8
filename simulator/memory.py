"""How much a replica holds: entries of all its dicts, lists, sets and queues."""

from collections import OrderedDict, deque
from dataclasses import is_dataclass
from typing import Any

_CONTAINERS = (dict, list, set, frozenset, deque, OrderedDict)


def entries_held(replica: object) -> int:
    """Entries in all containers that the replica can reach, without looking into messages: what
    peers could make it hold grows here."""
    count = 0
    seen: set[int] = set()
    pending: list[Any] = [replica]
    while pending:
        value = pending.pop()
        if id(value) in seen:  # only to visit everything once; the result does not depend on it
            continue
        seen.add(id(value))
        if isinstance(value, _CONTAINERS):
            count += len(value)
            pending += value.values() if isinstance(value, dict) else value
        elif isinstance(value, tuple):
            count += len(value)
        elif _is_part(value):
            pending += _attributes(value)
    return count


def _is_part(value: Any) -> bool:
    """An object of the core that can change; messages, which cannot, count as one entry."""
    kind = type(value)
    if not kind.__module__.startswith("pbft."):
        return False
    if is_dataclass(kind):
        return not kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return not isinstance(value, type | str | int)


def _attributes(value: Any) -> list[Any]:
    names = list(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        names += getattr(kind, "__slots__", ())
    return [getattr(value, name) for name in names if hasattr(value, name)]
