"""Many seeds, on several processes."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.generate import plan_of
from simulator.plan import Plan, check
from simulator.run import Result, run

FAILED_MAX = 20
"""Failures kept in full; further ones are counted."""


@dataclass(slots=True)
class Tally:
    """What came of many runs."""

    seeds: int = 0
    failed: list[Result] = field(default_factory=list)
    failures: int = 0
    decisions: int = 0
    messages: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    core_s: float = 0.0
    digest: int = 0
    """Of all trace digests, whatever the order in which they came."""

    def add(self, result: Result, core_s: float) -> None:
        self.seeds += 1
        self.decisions += result.figures["decided"]
        self.messages += result.figures["messages"]
        self.simulated_s += result.figures["simulated_s"]
        self.core_s += core_s
        self.digest ^= int(result.digest, 16) * (2 * result.plan.seed + 1) % 2**128
        if not result.ok:
            self.failures += 1
            if len(self.failed) < FAILED_MAX:
                self.failed.append(result)

    def to_json(self) -> dict[str, Any]:
        core_s = max(self.core_s, 1e-9)
        wall_s = max(self.wall_s, 1e-9)
        return {
            "seeds": self.seeds,
            "failed": self.failures,
            "seeds_per_min": round(60 * self.seeds / wall_s, 1),
            "decisions_per_s": round(self.decisions / wall_s, 1),
            "simulated_s": round(self.simulated_s, 1),
            "wall_s": round(self.wall_s, 2),
            "core_s": round(self.core_s, 2),
            "simulated_per_wall": round(self.simulated_s / wall_s, 1),
            "seeds_per_core_min": round(60 * self.seeds / core_s, 1),
            "decisions_per_core_s": round(self.decisions / core_s, 1),
            "messages": self.messages,
            "digest": f"{self.digest:032x}",
            "failures": [result.to_json() for result in self.failed],
        }


def run_plan(plan: Plan) -> tuple[Result, float]:
    began_s = time.process_time()
    result = run(plan)
    return result, time.process_time() - began_s


def run_seed(job: tuple[int, int | None]) -> tuple[Result, float]:
    seed, nodes = job
    began_s = time.process_time()
    plan = plan_of(seed, nodes)
    check(plan)
    result = run(plan)
    return result, time.process_time() - began_s


def in_parallel(
    work: Callable[[Any], tuple[Result, float]], jobs: Iterable[Any], workers: int
) -> Iterator[tuple[Result, float]]:
    """The results in the order of the jobs."""
    if workers <= 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    with context.Pool(workers) as pool:
        yield from pool.imap(work, jobs, chunksize=4)


def swarm(
    jobs: Iterable[Any],
    workers: int,
    tell: Callable[[Tally], None] = lambda _: None,
    work: Callable[[Any], tuple[Result, float]] = run_seed,
) -> Tally:
    tally = Tally()
    began_s = time.monotonic()
    for result, core_s in in_parallel(work, jobs, workers):
        tally.add(result, core_s)
        tally.wall_s = time.monotonic() - began_s
        tell(tally)
    return tally
