"""The simulator over the core: every recipe, a slice of the swarm, and what it found once."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import count as count_from
from itertools import islice

import pytest

from simulator import fuzz, twins
from simulator.catalog import Recipe, recipes
from simulator.faults.tweak import BYZZBENCH
from simulator.generate import plan_of
from simulator.mutant_list import MUTANTS, Mutant
from simulator.mutants import kill_all, place_of
from simulator.plan import Incident, Plan, Question, to_text
from simulator.run import Result, Run, run
from simulator.shrink import shrink
from simulator.trace import Trace

NOTICED = {
    "quorum-too-small": "proofs",
    "certificates-forgotten": "agreement",
    "vote-unlogged": "durability",
    "evidence-believed": "lasso",
    "stuck-between-views": "progress",
}
"""What notices some of the mutants; `qnode sim mutants` plants all of them."""

PAPER_IDS = {
    *(f"P{i}" for i in range(1, 10)),
    *(f"V{i}" for i in range(1, 16)),
    *(f"S{i}" for i in range(1, 10)),
    *(f"C{i}" for i in range(1, 4)),
    *(f"O{i}" for i in range(1, 6)),
}


CHANGES = {"join", "endorse", "replace_key", "set_policy"}


def seeds_with_changes(count: int) -> list[int]:
    """The first swarm seeds whose plans change who the members are, or what they go by."""
    changing = (s for s in count_from(1_000) if any(f.kind in CHANGES for f in plan_of(s).faults))
    return list(islice(changing, count))


def must_hold(plan: Plan) -> Result:
    result = run(plan)
    assert result.ok, f"{plan.name}: {result.sentence}\nreplay: qnode sim replay\n{to_text(plan)}"
    return result


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
def test_a_recipe_ends_as_it_says(recipe: Recipe) -> None:
    """Every known attack or accident ends as its file expects, and what broke the core once
    holds."""
    must_hold(recipe.plan)


def test_every_recipe_is_there() -> None:
    """All 41 known recipes have a scenario."""
    assert {recipe.id for recipe in recipes()} >= PAPER_IDS


@pytest.mark.parametrize("seed", range(10))
def test_a_swarm_seed_holds(seed: int) -> None:
    """Whatever a seed brings, safety holds, and progress comes in the end."""
    must_hold(plan_of(seed))


@pytest.mark.parametrize("seed", seeds_with_changes(16))
def test_a_seed_with_other_members_holds(seed: int) -> None:
    """Members join, leave, get other keys and rules and lose their disks, amid liars and crashes:
    in the end all members take part, and hold the proof of every epoch."""
    must_hold(plan_of(seed))


def test_logs_stay_short_and_primaries_change_over_many_checkpoints() -> None:
    """Through several checkpoints, with a crash in every other part: logs are compacted, and the
    lead goes round even while nobody is suspected."""
    questions = tuple(Question(200 * k, k % 4, k) for k in range(240))
    crashes = tuple(
        Incident("crash", 3_000 * k, 3_000 * k + 700, {"node": k % 4}) for k in range(1, 16)
    )
    plan = Plan(
        5, 4, questions, crashes, calm_ms=50_000, policy={"rotation_slots": 64}, name="busy"
    )
    busy = Run(plan, Trace())
    result = busy.run()
    assert result.ok, result.sentence
    assert result.figures["slots"] > 3 * 64
    for process in busy.world.processes:
        assert process.replica is not None
        assert process.replica.view >= 1
        assert len(process.disk.log) < 64 * 20


@pytest.mark.parametrize("plan", list(twins.plans(4, 7, 8, seed=0)), ids=lambda plan: plan.name)
def test_twins_break_nothing(plan: Plan) -> None:
    """One key in two processes, under any partitions, is one Byzantine replica."""
    must_hold(plan)


@pytest.mark.parametrize("plan", list(fuzz.plans(2, 2, 8, 12, seed=0)), ids=lambda plan: plan.name)
def test_changed_messages_break_nothing(plan: Plan) -> None:
    """Partitioned rounds and small changes signed again do no harm."""
    must_hold(plan)


def test_all_mutations_of_byzzbench_are_there() -> None:
    """ByzzBench has 27 kinds of mutation for PBFT."""
    assert len({mutation.name for mutation in BYZZBENCH}) == 27


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_core(mutant: Mutant) -> None:
    """Its words stand once in the function that it names, what it makes of them can be compiled,
    and the scenarios that are to notice it are there."""
    place = place_of(mutant)
    compile(place.source, mutant.name, "exec")
    assert set(mutant.noticed_by) <= {recipe.name for recipe in recipes()}


def test_mutants_are_noticed() -> None:
    """A bug in each part of the core makes a scenario fail, in a process of its own."""
    chosen = [m for m in MUTANTS if m.name in NOTICED]
    deaths = {death.name: death.rule for death in kill_all(chosen, 1)}
    assert deaths == NOTICED


def test_a_run_is_the_same_under_any_hash_seed() -> None:
    """Two processes with different hash seeds make the same trace."""
    digests = []
    for hash_seed in ("1", "31337"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(  # our own interpreter
            [sys.executable, "-m", "simulator", "digests", "0:4"],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        digests.append(json.loads(found.stdout))
    assert digests[0] == digests[1]
    assert len(set(digests[0].values())) == 4


def test_a_trace_that_is_kept_is_the_same_run() -> None:
    """To look at a run does not change it."""
    plan = plan_of(3)
    kept = Trace(keep=True)
    assert run(plan, kept).digest == run(plan).digest
    assert kept.letters
    assert list(kept.lines())


def test_a_planted_failure_shrinks_to_its_cause() -> None:
    """Three colluders among many other faults are what is left of a false agreement."""
    plan = next(recipe.plan for recipe in recipes() if recipe.name == "O5-colluders-win")
    noise = tuple(Incident("delay", 100 * i, 100 * i + 80, {"extra_ms": [1, 9]}) for i in range(12))
    result = run(replace(plan, expect={}, faults=noise + plan.faults))
    assert result.rule == "validity"
    small = shrink(result)
    assert small.rule == "validity"
    assert len(small.plan.faults) <= 3
    assert {fault.kind for fault in small.plan.faults} == {"collude"}
