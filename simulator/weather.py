"""Which links a fault concerns, and what happens on them: for virtual time and for real nodes."""

from collections.abc import Collection
from itertools import permutations
from typing import Any

from pbft.types import FULL_BP
from simulator.network import Weather
from simulator.plan import Incident

WHERE = {"sources": None, "targets": None, "messages": None, "slots": None, "views": None}
"""What a fault of messages can be narrowed by."""


def weather_of(incident: Incident, place: int) -> Weather:
    """The `place`-th fault of a plan, one of lose, repeat, reorder and delay."""
    where: dict[str, Any] = {
        name: frozenset(value) for name in WHERE if (value := incident.get(name)) is not None
    }
    share_bp = incident.get("share_bp", FULL_BP)
    match incident.kind:
        case "lose":
            return Weather(**where, lose_bp=share_bp, place=place)
        case "repeat":
            return Weather(
                **where, repeat_bp=share_bp, repeats=incident.get("times", 1), place=place
            )
        case "reorder":
            return Weather(**where, reorder_bp=share_bp, place=place)
    low_ms, high_ms = incident.settings["extra_ms"]
    return Weather(**where, extra_ms=(low_ms, high_ms), place=place)


def dead_links(incident: Incident, processes: Collection[int]) -> list[tuple[int, int]]:
    """The directions in which nothing passes during a `part` or a `cut`."""
    if incident.kind == "cut":
        return [
            (source, target)
            for source in incident.settings["sources"]
            for target in incident.settings["targets"]
            if source != target and source in processes and target in processes
        ]
    # Who is on no side is on one with the others.
    side_of = {n: place for place, side in enumerate(incident.settings["sides"]) for n in side}
    return [
        (one, other)
        for one, other in permutations(processes, 2)
        if side_of.get(one, -1) != side_of.get(other, -1)
    ]
