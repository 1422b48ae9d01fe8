"""Runs: what a scenario expects is compared with what came out."""

import pytest

from simulator.errors import Finding, Violation
from simulator.plan import Incident, Plan, Question
from simulator.run import Run
from simulator.trace import Trace


class Fails(Run):
    """Ends with a liveness failure."""

    def safety_phase(self) -> None:
        raise Violation(Finding.LIVENESS, "progress", "Nothing moves.")


@pytest.mark.parametrize(
    ("wanted", "finding"),
    [("liveness", Finding.HOLDS), ("safety", Finding.LIVENESS), ("holds", Finding.LIVENESS)],
)
def test_only_the_failure_that_was_expected_counts_as_expected(
    wanted: str, finding: Finding
) -> None:
    """Another one is reported as what it is."""
    plan = Plan(1, 1, calm_ms=1_000, expect={"finding": wanted})
    result = Fails(plan, Trace()).run()
    assert result.finding is finding
    assert result.sentence.startswith("As expected") is (finding is Finding.HOLDS)


def test_a_run_with_more_on_its_way_than_memory_holds_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a sentence, before the machine gives up."""
    monkeypatch.setattr("simulator.world.WAITING_MAX", 3)
    result = Run(Plan(1, 4, calm_ms=1_000), Trace()).run()
    assert (result.finding, result.rule) == (Finding.LIVENESS, "storm")


@pytest.mark.parametrize("kind", ["pause", "disk_full"])
def test_who_is_healed_by_the_calm_must_get_on_like_the_others(kind: str) -> None:
    """Though its fault has no end; who is dead for good need not."""
    for fault, others in ((kind, 4), ("crash", 3)):
        plan = Plan(
            1, 4, calm_ms=4_000, faults=(Incident(fault, 1_000, None, {"node": 3}),),
            questions=(Question(500, 0),),
        )  # fmt: skip
        run = Run(plan, Trace())
        assert run.run().finding is Finding.HOLDS
        assert len(run.live()) == others
