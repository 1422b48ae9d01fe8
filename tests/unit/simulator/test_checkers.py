"""The checkers notice: each rule is broken once, on purpose, and named."""

from dataclasses import replace
from typing import Any

import pytest

from pbft import effects, events
from pbft.messages import Equivocation, Item, Prepare, Signed
from pbft.types import Digest, ReplicaId, SequenceNumber
from simulator.errors import Violation
from simulator.incidents import Incidents
from simulator.meaning import Models
from simulator.plan import Plan, Question
from simulator.proofs import batch_digest, check_simulated, commits_fault
from simulator.signer import simulated_membership
from simulator.world import NETWORK, World


@pytest.fixture
def world() -> World:
    """Four nodes that have decided three questions."""
    world = World(Plan(seed=3, nodes=4, models=Models(answer_ms=(5, 20), right_bp=9_900)))
    Incidents(world).start()
    for number in range(3):
        world.schedule(10 * number, lambda number=number: world.ask(Question(0, number)))  # type: ignore[misc]
    world.run_until(3_000_000)
    assert all(len(process.disk.slots) >= 3 for process in world.processes)
    return world


def broken(world: World, change: Any) -> str:
    """The rule that an application of slot 3, changed, breaks at R0."""
    process = world.processes[0]
    slot, state = process.disk.slots[2], process.disk.states[2]
    del process.disk.slots[2:]
    applied = effects.Apply(state.applied, slot, state)
    with pytest.raises(Violation) as caught:
        world.checkers.on_apply(process, change(applied))
    return caught.value.rule


def test_another_batch_breaks_agreement(world: World) -> None:
    """Two batches under one number are noticed."""
    rule = broken(world, lambda a: replace(a, slot=replace(a.slot, batch=())))
    assert rule == "agreement"


def test_another_state_breaks_agreement(world: World) -> None:
    """Different weights after the same slot are noticed."""

    def heavier(applied: effects.Apply) -> effects.Apply:
        first, *others = applied.state.standings
        standings = (replace(first, weight=first.weight + 1), *others)
        return replace(applied, state=replace(applied.state, standings=standings))

    assert broken(world, heavier) == "agreement"


@pytest.mark.parametrize("lower_after", [1, 3])
def test_answers_are_joined_by_the_rules_of_before_the_slot(world: World, lower_after: int) -> None:
    """Members may agree on a lower threshold: what is joined from then on may differ more, what
    was joined before may not."""
    checkers = world.checkers
    policy = replace(checkers.newest.policy, similarity_threshold_bp=3_000)
    for number in range(lower_after, 4):
        checkers.states[number] = replace(checkers.states[number], policy=policy)
    (item,) = world.processes[0].disk.slots[2].batch
    assert isinstance(item, Item)
    checkers.alike = lambda _question, _one, _other, threshold_bp: threshold_bp <= 3_000
    if lower_after < 3:
        checkers._check_agreed(3, item)
    else:
        with pytest.raises(Violation, match="which differ"):
            checkers._check_agreed(3, item)


def test_too_few_signatures_break_proofs(world: World) -> None:
    """A slot with f + 1 commits is noticed."""
    rule = broken(world, lambda a: replace(a, slot=replace(a.slot, commits=a.slot.commits[:2])))
    assert rule == "proofs"


def test_a_wrong_signature_breaks_proofs(world: World) -> None:
    """A commit signed by nobody is noticed."""

    def forged(applied: effects.Apply) -> effects.Apply:
        first, *others = applied.slot.commits
        commits = (replace(first, signature=bytes(64)), *others)
        return replace(applied, slot=replace(applied.slot, commits=commits))

    world.checkers._checked.clear()
    assert broken(world, forged) == "proofs"


def test_a_gap_breaks_exactly_once(world: World) -> None:
    """A slot that is applied too early is noticed."""
    process = world.processes[0]
    slot, state = process.disk.slots[2], process.disk.states[2]
    del process.disk.slots[1:]
    with pytest.raises(Violation) as caught:
        world.checkers.on_apply(process, effects.Apply(state.applied, slot, state))
    assert caught.value.rule == "exactly-once"


def test_evidence_against_an_honest_node_breaks_accountability(world: World) -> None:
    """Whoever accuses an honest node is noticed, whatever the evidence."""
    commit = world.processes[0].disk.slots[0].commits[0]
    with pytest.raises(Violation) as caught:
        world.checkers.on_report(world.processes[1], effects.Report(Equivocation(commit, commit)))
    assert caught.value.rule == "accountability"


def two_votes(world: World) -> list[events.Received]:
    """R3 votes for two batches under the next number."""
    world.checkers.byzantine = {3}
    last = world.processes[0].disk.slots[-1].commits[0].message
    number = SequenceNumber(last.sequence_number + 1)
    votes = [
        Prepare(NETWORK, last.epoch, last.view, number, Digest(bytes([fill]) * 32), ReplicaId(3))
        for fill in (1, 2)
    ]
    return [
        events.Received(ReplicaId(3), Signed(vote, world.keyrings(3).sign(vote))) for vote in votes
    ]


def test_two_votes_are_reported(world: World) -> None:
    """A correct node that hears two votes of one node has evidence: the checker finds no fault."""
    for event in two_votes(world):
        world.step(world.processes[0], event)
    assert world.checkers.accused == {3: {"Equivocation"}}


def test_two_votes_unreported_break_accountability(world: World) -> None:
    """A node that hears two votes of one node and says nothing is noticed."""
    process = world.processes[0]
    first, second = two_votes(world)
    heard = world.checkers.hears(process, first)
    assert heard is not None
    world.checkers.on_heard(process, heard, [])
    again = world.checkers.hears(process, second)
    assert again is not None
    with pytest.raises(Violation) as caught:
        world.checkers.on_heard(process, again, [])
    assert caught.value.rule == "accountability"


def test_what_was_refused_binds_nobody(world: World) -> None:
    """A message that was refused with a reason need not be remembered."""
    process = world.processes[0]
    first, second = two_votes(world)
    heard = world.checkers.hears(process, first)
    assert heard is not None
    world.checkers.on_heard(process, heard, [effects.Refused(ReplicaId(3), "some-reason")])
    again = world.checkers.hears(process, second)
    assert again is not None
    assert again.first is None


def test_an_honest_contradiction_breaks_consistency(world: World) -> None:
    """An honest node that says two things where it may say one is noticed."""
    commit = world.processes[0].disk.slots[0].commits[0]
    process = world.processes[commit.message.replica]
    other = replace(commit, message=replace(commit.message, digest=Digest(bytes(32))))
    with pytest.raises(Violation) as caught:
        world.checkers.on_said(process, other)
    assert caught.value.rule == "consistency"


def test_words_without_a_record_break_durability(world: World) -> None:
    """A vote that the voter's log knows nothing of is noticed: a crash would take it back."""
    commit = world.processes[0].disk.slots[0].commits[0]
    process = world.processes[commit.message.replica]
    far = replace(commit, message=replace(commit.message, sequence_number=99))
    with pytest.raises(Violation) as caught:
        world.checkers.on_said(process, far)
    assert caught.value.rule == "durability"


def test_an_answer_before_its_seal_breaks_secrecy(world: World) -> None:
    """A reveal of an attempt that nobody sealed is noticed: it could be copied."""
    (item,) = world.processes[0].disk.slots[0].batch
    reveal = item.reveals[0]  # type: ignore[union-attr]
    process = world.processes[reveal.message.replica]
    early = replace(reveal, message=replace(reveal.message, attempt=3))
    with pytest.raises(Violation) as caught:
        world.checkers.on_said(process, early)
    assert caught.value.rule == "secrecy"


def test_what_counts_twice_breaks_exactly_once(world: World) -> None:
    """The same batch under a second number may not move a weight again."""
    process = world.processes[0]
    slot, state = process.disk.slots[2], process.disk.states[2]
    of = batch_digest(slot.batch)
    commits = tuple(
        Signed(said, world.keyrings(said.replica).sign(said))
        for said in (replace(c.message, sequence_number=SequenceNumber(4)) for c in slot.commits)
    )
    del process.disk.slots[3:]
    world.checkers.slots.pop(4, None)
    world.checkers.states.pop(4, None)
    assert of == commits[0].message.digest
    again = replace(slot, commits=commits)
    after = replace(state, applied=SequenceNumber(4), standings=state.standings[1:])
    with pytest.raises(Violation) as caught:
        world.checkers.on_apply(process, effects.Apply(SequenceNumber(4), again, after))
    assert caught.value.rule == "exactly-once"


def test_the_independent_proof_agrees_with_the_core(world: World) -> None:
    """Written from the specification alone, it finds the core's own slots right."""
    keys = {m.replica: m.public_key for m in simulated_membership(4).members}
    for number, slot in enumerate(world.processes[0].disk.slots, 1):
        digest = batch_digest(slot.batch)
        assert digest == slot.commits[0].message.digest
        assert commits_fault(slot, number, digest, keys, check_simulated, {}) is None
