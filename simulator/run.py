"""Running a plan to its end, and saying what came of it.

First the safety phase: questions and faults as planned, while the checkers watch. At the plan's
calm the network heals and crashed nodes come back; only behaviours without end go on. Then the
liveness phase: every question that a node accepted must be answered, a fresh one at every node
too, and all ledgers must reach the same height, within a bound.

A run that goes in circles is found before the bound is over (a lasso): either nothing moves any
more but periodic heights, or the views go round and every round is like the one before.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pbft.membership import Membership
from pbft.types import quorum_size
from simulator import expectations
from simulator.checkers import CHECKPOINT_INTERVAL
from simulator.errors import Finding, Violation
from simulator.incidents import Incidents
from simulator.kinds import is_byzantine
from simulator.plan import FRESH_AFTER_MS, Plan, Question
from simulator.process import Process
from simulator.trace import Trace
from simulator.world import World

SAMPLE_MS = 250
QUIET_MS = 25_000
"""Several times the interval of heights: so long nothing but them, and nothing will ever be."""
LASSO_ROUNDS = 4
HEALED = ("pause", "disk_full")
"""What ends with the calm even if it has no end: from there on the node has no excuse."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run."""

    plan: Plan
    finding: Finding
    rule: str
    """Which rule was broken, in a constant word; empty if all held."""
    sentence: str
    digest: str
    """Of the trace."""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.finding is Finding.HOLDS

    def same_failure(self, other: "Result") -> bool:
        return (self.finding, self.rule) == (other.finding, other.rule)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.plan.name,
            "seed": self.plan.seed,
            "nodes": self.plan.nodes,
            "faults": len(self.plan.faults),
            "finding": self.finding.value,
            "rule": self.rule,
            "sentence": self.sentence,
            "digest": self.digest,
            **self.figures,
        }


def run(plan: Plan, trace: Trace | None = None, make: Callable[..., World] = World) -> Result:
    """Runs a checked plan."""
    return Run(plan, trace or Trace(), make).run()


class Run:
    """One run of one plan."""

    def __init__(self, plan: Plan, trace: Trace, make: Callable[..., World] = World) -> None:
        self.plan = plan
        self.world = make(plan, trace)
        self.incidents = Incidents(self.world)
        self._impaired = {
            incident.settings["node"]
            for incident in plan.faults
            if "node" in incident.settings
            and incident.until_ms is None
            and incident.kind not in ("replace_key", *HEALED)
            and not is_byzantine(incident)
        }

        losses = Counter(
            incident.settings["node"]
            for incident in plan.faults
            if incident.kind == "crash" and incident.get("lose") in ("log", "disk")
        )
        self._forgetful = {node for node, times in losses.items() if times > 1}
        """The protocol lets such a node vote again only after very many slots."""

    def run(self) -> Result:
        finding, rule, sentence = Finding.HOLDS, "", "All that must hold held."
        try:
            self.safety_phase()
            self.liveness_phase()
            self._check_memory()
        except Violation as violation:
            finding, rule, sentence = violation.finding, violation.rule, str(violation)
        figures = self.figures()
        if (finding is Finding.HOLDS or self.plan.expect) and (
            fault := expectations.fault(self.plan.expect, finding, rule, figures)
        ):
            finding, rule, sentence = Finding.UNEXPECTED, fault[0], fault[1]
        elif finding is not Finding.HOLDS and self.plan.expect.get("finding") == finding.value:
            sentence = f"As expected: {sentence}"
            finding, rule = Finding.HOLDS, ""
        at_s = self.world.now_us / 1e6
        self.world.trace.note(self.world.now_us, -1, "ends:", f"{finding.value} {rule}".strip())
        digest = self.world.trace.digest
        if finding is not Finding.HOLDS:
            sentence = f"{sentence} (at {at_s:.3f} s)"
        return Result(self.plan, finding, rule, sentence, digest, figures)

    # --- phases --------------------------------------------------------------------------------

    def safety_phase(self) -> None:
        world = self.world
        self.incidents.start()
        for question in self.plan.questions:
            world.schedule(question.at_ms, partial(self._ask, question))
        world.run_until(1_000 * self.plan.calm_ms)

    def _ask(self, question: Question) -> None:
        self.world.ask(question)

    def liveness_phase(self) -> None:
        world = self.world
        self.incidents.calm()
        world.trace.note(world.now_us, -1, "calm")
        live = self.live()
        if not self._can_decide(live):
            return
        calm_ms = world.now_us // 1_000
        for process in live:
            question = Question(calm_ms, process.number, process.number)
            world.schedule(calm_ms + FRESH_AFTER_MS, partial(self._ask, question))
        end_us = world.now_us + 1_000 * self.plan.bound_ms
        world.run_until(world.now_us + 1_000 * (FRESH_AFTER_MS + SAMPLE_MS))
        lasso = Lasso()
        while missing := self.missing(live):
            if world.now_us >= end_us:
                raise Violation(
                    Finding.LIVENESS,
                    "progress",
                    f"{self.plan.bound_ms / 1_000:g} s after the last fault {missing[0]}",
                )
            if circle := lasso.sees(world, live):
                raise Violation(
                    Finding.LIVENESS, "lasso", f"{circle}, and {missing[0]}; it would go on so"
                )
            world.run_until(world.now_us + 1_000 * SAMPLE_MS)

    def live(self) -> list[Process]:
        """Honest processes of which progress is demanded."""
        return [
            process
            for process in self.world.processes
            if process.honest
            and process.up
            and not process.gone
            and process.number not in self._impaired
        ]

    def _can_decide(self, live: list[Process]) -> bool:
        """Whether enough of them may vote; with fewer nothing is promised."""
        voting = [p for p in live if p.replica is not None and p.replica.takes_part]
        if not voting:
            return False
        replica = voting[0].replica
        return replica is not None and len(voting) >= replica.state.membership.quorum

    def missing(self, live: list[Process]) -> list[str]:
        """What is not as it must be in the end."""
        checkers = self.world.checkers
        newest = checkers.newest
        live = [process for process in live if self._wanted(process, newest.membership)]
        found = [f"R{process.number} is not let in" for process in live if process.outside]
        for process in live:
            if not (process.replica is None or process.replica.takes_part) and (
                process.number not in self._forgetful
            ):
                found.append(f"R{process.number} does not take part")
            if len(process.disk.epochs) != newest.membership.epoch:
                found.append(f"R{process.number} lacks the proof of an epoch")
            open_ = checkers.accepted[process.number] - checkers.replied[process.number]
            if open_:
                found.append(f"R{process.number} lacks the answers to {len(open_)} questions")
        heights = {len(process.disk.slots) for process in live}
        if len(heights) > 1:
            found.append(f"ledgers have from {min(heights)} to {max(heights)} slots")
        due = max(heights, default=0) // CHECKPOINT_INTERVAL * CHECKPOINT_INTERVAL
        if len(live) > 1 and max(process.disk.compacted for process in live) < due:
            found.append(f"no checkpoint at slot {due} is stable anywhere")
        return found

    def _wanted(self, process: Process, membership: Membership) -> bool:
        """Whether it is a member, or is to be one: who has left need not follow, and who is
        outside need not be let in while too few are there to go on with it."""
        if not process.outside:
            return membership.member(process.replica_id) is not None
        present = sum(
            other.up and not other.outside and membership.member(other.replica_id) is not None
            for other in self.world.processes
        )
        joins = membership.member(process.replica_id) is None
        return present >= quorum_size(membership.n + joins)

    def _check_memory(self) -> None:
        for process in self.world.processes:
            if process.honest and process.replica is not None:
                self.world.checkers.check_memory(process, process.replica)

    def figures(self) -> dict[str, Any]:
        world = self.world
        checkers = world.checkers
        return {
            "decided": len(world.decided),
            "slots": max(checkers.slots, default=0),
            "messages": world.messages,
            "steps": world.steps,
            "simulated_s": round(world.now_us / 1e6, 3),
            "epoch": checkers.top_view[0],
            "view": checkers.top_view[1],
            "statuses": dict(sorted(checkers.statuses.items())),
            "accused": {str(r): sorted(kinds) for r, kinds in sorted(checkers.accused.items())},
            "refused": dict(sorted(checkers.refused.items())),
            "entries_held": checkers.memory_max,
            "outside_guarantee": len(checkers.byzantine) > (self.plan.nodes - 1) // 3,
        }


class Lasso:
    """Notices that a world goes in circles."""

    def __init__(self) -> None:
        self._last: object = None
        self._since_us = 0
        self._view = -1
        self._rounds: Counter[object] = Counter()

    def sees(self, world: World, live: list[Process]) -> str | None:
        """Which circle; None for none."""
        state = tuple(_state_of(process) for process in live)
        if state != self._last:
            self._last, self._since_us = state, world.now_us
        periodic = all(set(s[-1]) <= {"CatchUp"} for s in state)
        if periodic and world.now_us - self._since_us > 1_000 * QUIET_MS:
            return "nothing moves any more"
        top = max(process.replica.view for process in live if process.replica is not None)
        if top > self._view:
            self._view = top
            round_ = tuple((s[0], s[1] % max(1, world.plan.nodes), *s[2:]) for s in state)
            self._rounds[round_] += 1
            if self._rounds[round_] > LASSO_ROUNDS:
                return f"the views go round, up to {top}"
        return None


def _state_of(process: Process) -> tuple[int, int, int, tuple[str, ...]]:
    replica = process.replica
    if replica is None:
        return (0, 0, 0, ())
    timers = sorted(type(timer).__name__ for timer in process.timers)
    return (len(process.disk.slots), replica.view, replica.state.membership.epoch, tuple(timers))
