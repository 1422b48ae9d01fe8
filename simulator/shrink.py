"""Making a failing plan small: what is left is what the failure needs.

Faults first, by delta debugging (Zeller and Hildebrandt 2002): halves, quarters, …, single ones are
left out as long as the same rule is still broken. Then questions the same way, then faults are
made shorter, then the calm comes earlier. Every candidate is a whole run, so the result is a plan
that fails, not a guess. The time is bounded by a number of runs and, for people who wait, by a
clock outside (`keep_going`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from simulator.plan import Incident, Plan
from simulator.run import Result, run

RUNS_MAX = 2_000

T = TypeVar("T")


@dataclass(slots=True)
class Shrinker:
    """One failure being made smaller; `best` is the smallest run so far that fails the same way."""

    best: Result
    keep_going: Callable[[], bool] = lambda: True
    runs: int = 0
    tell: Callable[[str], None] = lambda _: None

    def shrink(self) -> Result:
        self._drop_faults()
        self._drop_questions()
        self._drop_faults()
        self._shorten()
        self._end_early()
        return self.best

    def _try(self, plan: Plan) -> bool:
        """Whether the plan fails in the same way; then it is the best so far."""
        if self.runs >= RUNS_MAX or not self.keep_going():
            return False
        self.runs += 1
        result = run(plan)
        if not result.same_failure(self.best):
            return False
        self.best = result
        self.tell(f"{len(plan.faults)} faults, {len(plan.questions)} questions")
        return True

    def _drop_faults(self) -> None:
        minimise(
            self.best.plan.faults,
            lambda kept: self._try(replace(self.best.plan, faults=tuple(kept))),
        )

    def _drop_questions(self) -> None:
        minimise(
            self.best.plan.questions,
            lambda kept: self._try(replace(self.best.plan, questions=tuple(kept))),
        )

    def _shorten(self) -> None:
        """Each fault half as long, as often as that still fails."""
        for place in range(len(self.best.plan.faults)):
            while self._halve(place):
                pass

    def _halve(self, place: int) -> bool:
        plan = self.best.plan
        fault = plan.faults[place]
        if fault.until_ms is None or fault.until_ms - fault.at_ms < 10:
            return False
        until_ms = fault.at_ms + (fault.until_ms - fault.at_ms) // 2
        shorter = Incident(fault.kind, fault.at_ms, until_ms, fault.settings)
        faults = (*plan.faults[:place], shorter, *plan.faults[place + 1 :])
        return self._try(replace(plan, faults=faults))

    def _end_early(self) -> None:
        """The calm right after the last thing that happens."""
        plan = self.best.plan
        last_ms = max(
            [q.at_ms for q in plan.questions]
            + [max(f.at_ms, f.until_ms or 0) for f in plan.faults],
            default=0,
        )
        if last_ms + 1 < plan.calm_ms:
            self._try(replace(plan, calm_ms=last_ms + 1))


def minimise(entries: Sequence[T], fails: Callable[[Sequence[T]], bool]) -> Sequence[T]:
    """The smallest part found, in order, with which it still fails."""
    kept = list(entries)
    if kept and fails([]):
        return []
    size = len(kept) // 2
    while size >= 1:
        start = 0
        reduced = False
        while start < len(kept):
            candidate = kept[:start] + kept[start + size :]
            if len(candidate) < len(kept) and fails(candidate):
                kept = candidate
                reduced = True
            else:
                start += size
        size = size if reduced and size == 1 else size // 2
    return kept


def shrink(
    result: Result,
    keep_going: Callable[[], bool] = lambda: True,
    tell: Callable[[str], None] = lambda _: None,
) -> Result:
    """The same failure with less; the result itself if nothing can be left out."""
    return Shrinker(result, keep_going, 0, tell).shrink()
