"""Twins (Bano et al., OPODIS 2021): one key runs in two processes, under all kinds of partitions.

A scenario has some rounds; in each the processes are split into two sides, and only within a side
messages pass. Scenarios that differ only in the names of processes that play the same part are the
same: the twins may be swapped, and so may replicas that are never primary while it lasts. Scenarios
are enumerated in a fixed order and sampled by a seed; then the network heals, and all must be well.
"""

import sys
from collections.abc import Iterable
from functools import partial
from random import Random

from simulator.errors import BadScenario
from simulator.meaning import Models
from simulator.plan import Incident, Plan, Plans, Question

ROUND_MS = 700
SCENARIOS_MAX = 1_000_000
TWIN = 0
"""The first primary's key is the one that runs twice."""


def sides(processes: int) -> list[tuple[int, ...]]:
    """All ways to split the processes in two, up to swapping the twins; a side is named by those
    who are not with process 1. The first is: everybody together."""
    twin = processes - 1
    found: list[tuple[int, ...]] = []
    seen = set()
    for mask in range(2 ** (processes - 1)):
        others = [p for p in range(processes) if p != 1]
        side = tuple(p for place, p in enumerate(others) if mask >> place & 1)
        swapped = tuple(
            sorted({TWIN: twin, twin: TWIN}.get(p, p) for p in side)
        )  # fmt: skip
        key = min(side, swapped)
        if key not in seen:
            seen.add(key)
            found.append(side)
    return found


def plans(nodes: int, rounds: int, sample: int, seed: int) -> Plans:
    """A sample of all scenarios, in order; all of them if there are no more."""
    if not 4 <= nodes <= 16 or not 1 <= rounds <= 20:
        raise BadScenario("Twins need from 4 to 16 nodes and from 1 to 20 rounds.")
    if not 1 <= sample <= SCENARIOS_MAX:
        raise BadScenario(f"--sample must be from 1 to {SCENARIOS_MAX}.")
    choices = sides(nodes + 1)
    total = len(choices) ** rounds
    draw = Random(f"twins {seed}")  # noqa: S311  # a seed must replay
    numbers = range(total) if total <= sample else sorted(_some(draw, total, sample))
    return Plans(numbers, partial(_plan, nodes, rounds, choices))


def _some(draw: Random, total: int, sample: int) -> Iterable[int]:
    """`sample` different numbers below `total`, of which a machine word may not hold the length."""
    if total <= sys.maxsize:
        return draw.sample(range(total), sample)
    found: set[int] = set()
    while len(found) < sample:
        found.add(draw.randrange(total))
    return found


def _plan(nodes: int, rounds: int, choices: list[tuple[int, ...]], number: int) -> Plan:
    faults = [Incident("twin", 0, None, {"node": TWIN})]
    rest = number
    for round_ in range(rounds):
        rest, choice = divmod(rest, len(choices))
        side = choices[choice]
        if side:
            at_ms = 50 + round_ * ROUND_MS
            settings = {"sides": [list(side)], "quiet": True}
            faults.append(Incident("part", at_ms, at_ms + ROUND_MS, settings))
    questions = tuple(
        Question(40 + round_ * ROUND_MS, 1 + round_ % (nodes - 1), round_)
        for round_ in range(rounds)
    )
    return Plan(
        seed=number % 2**32,
        nodes=nodes,
        questions=questions,
        faults=tuple(faults),
        calm_ms=60 + rounds * ROUND_MS,
        policy={"view_timeout_ms": 300, "seal_grace_ms": 100, "reveal_grace_ms": 100},
        models=Models(answer_ms=(5, 60), compare_ms=(1, 5)),
        name=f"twins {number}",
    )
