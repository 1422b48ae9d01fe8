"""The packaged models in virtual time."""

import pytest

from simulator.live.models import RealMeaning, load
from simulator.meaning import Models
from simulator.plan import Plan, Question
from simulator.run import Result, run
from simulator.world import World


@pytest.fixture(scope="module")
def meaning() -> RealMeaning:
    return load(Models())


def test_a_run_with_real_models_replays(meaning: RealMeaning) -> None:
    """What the model says is put to the vote, holds, and is the same when it is run again."""
    # Every question costs an answer of each node.
    plan = Plan(seed=1, nodes=2, calm_ms=9_000, questions=(Question(100, 0, 2),))

    def once() -> Result:
        def make(*arguments: object) -> World:
            return World(*arguments, meaning=meaning)  # type: ignore[arg-type]

        return run(plan, make=make)

    first, second = once(), once()
    assert first.ok, first.sentence
    assert first.figures["decided"] >= 1
    assert first.digest == second.digest
