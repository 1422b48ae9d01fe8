"""How fast the simulator is on this machine: `qnode bench sim`.

Every figure is per core: work divided by the processor time that it took, so that other programs on
the machine disturb it little. Nothing is checked less than in a real run.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.errors import BadScenario
from simulator.generate import plan_of
from simulator.incidents import Incidents
from simulator.meaning import Models
from simulator.plan import Plan, Question
from simulator.run import run
from simulator.twins import plans as twin_plans
from simulator.world import World

OPEN = 32
"""Questions open at once."""
_QUICK = Models(answer_ms=(100, 300), compare_ms=(10, 20))

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Of one network with many questions open at once."""

    decisions: int
    core_s: float
    messages: int
    simulated_s: float

    @property
    def decisions_per_s(self) -> float:
        return self.decisions / max(self.core_s, 1e-9)


def pace(nodes: int, decisions: int, make: Callable[..., World] = World) -> Pace:
    """Decisions with the network at rest but for the questions."""
    world = make(Plan(seed=1, nodes=nodes, calm_ms=0, models=_QUICK))
    Incidents(world).start()
    world.run_until(100_000)
    began_s = time.process_time()
    while len(world.decided) < decisions:
        while world.asked - len(world.decided) < OPEN:
            world.ask(Question(0, world.asked % nodes, world.asked % 9))
        world.run_until(world.now_us + 20_000)
    core_s = time.process_time() - began_s
    return Pace(len(world.decided), core_s, world.messages, world.now_us / 1e6)


def one_large_decision(nodes: int) -> dict[str, Any]:
    """One question to a large network: how many messages, and how long after the last answer."""
    world = World(Plan(seed=1, nodes=nodes, models=Models(answer_ms=(100, 100), compare_ms=(5, 5))))
    Incidents(world).start()
    world.run_until(1_000_000)
    before, began_us = world.messages, world.now_us
    began_s = time.process_time()
    world.ask(Question(0, 0))
    step_us = 1_000
    while not world.decided:
        world.run_until(world.now_us + step_us)
        if world.now_us > began_us + 600_000_000:
            raise BadScenario(f"{nodes} nodes do not decide.")
    return {
        "nodes": nodes,
        "messages": world.messages - before,
        "virtual_ms": round((world.now_us - began_us) / 1_000, 1),
        "core_s": round(time.process_time() - began_s, 2),
    }


def figures(scale: float, tell: Tell, real: Callable[..., World] | None = None) -> dict[str, Any]:
    """Everything that is measured; `scale` makes it longer or shorter. `real` makes worlds with
    real signatures, in which every message is encoded and decoded."""
    found: dict[str, Any] = {}
    tell("4 nodes")
    four = pace(4, int(1_000 * scale))
    found["decisions_per_s_n4"] = round(four.decisions_per_s, 1)
    found["messages_per_decision_n4"] = round(four.messages / four.decisions, 1)
    found["us_per_message_n4"] = round(1e6 * four.core_s / four.messages, 2)
    tell("10 nodes")
    ten = pace(10, int(200 * scale))
    found["decisions_per_s_n10"] = round(ten.decisions_per_s, 1)
    if real is not None:
        tell("real signatures and encoding")
        found["decisions_per_s_n4_real"] = round(pace(4, int(100 * scale), real).decisions_per_s, 1)
    tell("seeds")
    found |= _seeds(int(60 * scale))
    tell("twins")
    found["twins_per_s"] = round(_twins(int(40 * scale)), 1)
    return found


def _seeds(count: int) -> dict[str, Any]:
    began_s = time.process_time()
    results = [run(plan_of(seed)) for seed in range(max(1, count))]
    core_s = time.process_time() - began_s
    simulated_s = sum(result.figures["simulated_s"] for result in results)
    return {
        "seeds_per_min": round(60 * len(results) / core_s, 1),
        "simulated_per_core_s": round(simulated_s / core_s, 1),
    }


def _twins(count: int) -> float:
    began_s = time.process_time()
    results = [run(plan) for plan in itertools.islice(twin_plans(4, 7, 1_000, 0), max(1, count))]
    return len(results) / max(time.process_time() - began_s, 1e-9)


def bench(
    options: argparse.Namespace, tell: Tell, real: Callable[..., World] | None = None
) -> dict[str, Any]:
    """By the options of `qnode bench sim`."""
    if not 0.01 <= options.scale <= 100:
        raise BadScenario("--scale must be from 0.01 to 100.")
    if not 0 <= options.large <= 128:
        raise BadScenario("--large must be from 0 to 128.")
    found = figures(options.scale, tell, real)
    if options.large:
        tell(f"{options.large} nodes")
        found["large"] = one_large_decision(options.large)
    return found
