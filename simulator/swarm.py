"""Many seeds, on several processes."""

import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.errors import Finding
from simulator.generate import plan_of
from simulator.plan import Plan, check
from simulator.run import Result, run

FAILED_MAX = 20
"""Failures kept in full, the first ones of the worst; others are counted."""

AHEAD = 4
"""Jobs per worker that are taken before their results are: enough to keep all workers busy, few
enough that a clock which ends the jobs ends the work soon after."""


@dataclass(slots=True)
class Tally:
    """What came of many runs."""

    seeds: int = 0
    failed: list[Result] = field(default_factory=list)
    failures: int = 0
    findings: Counter[Finding] = field(default_factory=Counter)
    """Of all failures, kept or not."""
    decisions: int = 0
    messages: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    core_s: float = 0.0
    digest: int = 0
    """Of all trace digests, whatever the order in which they came."""
    interrupted: bool = False
    """Somebody ended it before it was done."""

    def add(self, result: Result, core_s: float) -> None:
        self.seeds += 1
        self.decisions += result.figures["decided"]
        self.messages += result.figures["messages"]
        self.simulated_s += result.figures["simulated_s"]
        self.core_s += core_s
        self.digest ^= int(result.digest, 16) * (2 * result.plan.seed + 1) % 2**128
        if not result.ok:
            self._keep(result)

    def _keep(self, failure: Result) -> None:
        """The first ones of the worst: many that are too slow must not push out one that broke
        what must never break."""
        self.failures += 1
        self.findings[failure.finding] += 1
        self.failed.append(failure)
        if len(self.failed) > FAILED_MAX:
            places = range(len(self.failed))
            self.failed.pop(min(places, key=lambda k: (self.failed[k].finding.severity, -k)))

    def to_json(self) -> dict[str, Any]:
        core_s = max(self.core_s, 1e-9)
        wall_s = max(self.wall_s, 1e-9)
        return {
            "seeds": self.seeds,
            "failed": self.failures,
            "findings": {finding.value: n for finding, n in sorted(self.findings.items())},
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
            "interrupted": self.interrupted,
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


def ignore_interrupts() -> None:
    """For a worker: Ctrl-C is for the process that started it, which ends it. Its own traceback
    would bury what that one has to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def in_parallel(
    work: Callable[[Any], tuple[Result, float]], jobs: Iterable[Any], workers: int
) -> Iterator[tuple[Result, float]]:
    """The results in the order of the jobs.

    Jobs are taken as they are needed: `Pool.imap` would take all there are at once, and there may
    be jobs for as long as a clock says.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    with context.Pool(workers, ignore_interrupts) as pool:
        waiting: deque[Any] = deque()
        for job in jobs:
            waiting.append(pool.apply_async(work, (job,)))
            if len(waiting) >= AHEAD * workers:
                yield waiting.popleft().get()
        while waiting:
            yield waiting.popleft().get()


def swarm(
    jobs: Iterable[Any],
    workers: int,
    tell: Callable[[Tally], None] = lambda _: None,
    work: Callable[[Any], tuple[Result, float]] = run_seed,
) -> Tally:
    """Ctrl-C ends it with what was found so far: that may be a failure of an hour's work."""
    tally = Tally()
    began_s = time.monotonic()
    try:
        for result, core_s in in_parallel(work, jobs, workers):
            tally.add(result, core_s)
            tally.wall_s = time.monotonic() - began_s
            tell(tally)
    except KeyboardInterrupt:
        tally.interrupted = True
    return tally
