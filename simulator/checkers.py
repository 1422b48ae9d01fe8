"""What must hold whatever happens, checked at the moment when it happens.

- agreement: two honest replicas never apply different batches, or states, under one number
- integrity: only what was asked is decided; nobody honest has words put into its mouth
- validity: an honest replica stands behind every agreed answer, and its meaning is the winner's
- exactly-once: an attempt at a request counts once, and its asker hears of its end once; slots are
  applied in order, without gaps
- views: the view of an honest replica never goes back within an epoch, not even through a crash
- proofs: a quorum's signatures stand under every applied slot (`simulator.proofs`)
- secrecy: no honest replica reveals an answer before a seal lists its commitment
- durability: what an honest replica says follows from its log (`simulator.durability`)
- consistency: an honest replica never contradicts itself, and so can never be accused
- accountability: nobody honest is accused, and nobody contradicts itself unpunished
  (`simulator.accountability`)
- memory: what a replica holds stays within a bound

Nothing here uses the core's own checks; it reads the fields of messages and effects.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pbft import effects, events
from pbft.membership import Membership
from pbft.messages import (
    Accusation,
    Answer,
    AnswerReveal,
    Batch,
    CommitmentMismatch,
    DecidedSlot,
    Equivocation,
    Evidence,
    FalseItem,
    Item,
    Request,
    Seal,
    WireMessage,
)
from pbft.policy import Policy
from pbft.records import AnswerDrawn, Decided, Record, RequestAccepted, Sealed, ViewChangeNamed
from pbft.replica import Replica
from pbft.state import State
from pbft.types import RequestId
from simulator.accountability import Accountability, Heard
from simulator.durability import Logged
from simulator.errors import Finding, Violation
from simulator.meaning import Meaning, Models
from simulator.memory import entries_held
from simulator.proofs import Check, batch_digest, check_simulated, commits_fault, request_id
from simulator.statements import said_in, topic_of

if TYPE_CHECKING:
    from simulator.process import Process

MEMORY_EVERY_STEPS = 2_048
CHECKPOINT_INTERVAL = 64


def accused_by(evidence: Evidence) -> int:
    match evidence:
        case Equivocation(first=first):
            return first.message.replica
        case CommitmentMismatch(commitment=commitment):
            return commitment.message.replica
        case FalseItem(pre_prepare=pre_prepare):
            return pre_prepare.message.replica


class Checkers:
    """Watches all processes of one world; raises `Violation`."""

    def __init__(
        self,
        members: Membership,
        policy: Policy,
        network: bytes,
        check: Check = check_simulated,
    ) -> None:
        self.network = network
        self.check = check
        self.byzantine: set[int] = set()
        """Replicas that a behaviour of the plan makes faulty."""
        self.accused: dict[int, set[str]] = {}
        """Whom honest replicas have evidence against, and of what kind."""
        self.refused: Counter[str] = Counter()
        self.accepted: dict[int, set[RequestId]] = {}
        """By process: questions of its users that it logged."""
        self.replied: dict[int, set[RequestId]] = {}
        self.rejected = 0
        self.statuses: Counter[str] = Counter()
        """Outcomes in the ledger."""
        self.slots: dict[int, tuple[Batch, bytes]] = {}
        """By number: the first batch that anyone honest applied, and its digest."""
        self.states: dict[int, State] = {0: State(0, b"", members, policy, (), None, (), ())}  # type: ignore[arg-type]
        self.top_view: tuple[int, int] = (0, 0)
        """The highest epoch and view of any honest replica."""
        self.memory_max = 0
        self.alike: Callable[[str, str, str, int], bool] = Meaning(Models()).alike
        """Whether two answers to a question mean the same (`Meaning.alike`)."""
        self.accountability = Accountability()
        self.observe: Callable[[Item], None] = lambda _: None
        """Called for every item that is decided."""
        self._asked: set[Request] = set()
        self._drawn: dict[tuple[int, bytes, int], list[Answer]] = {}
        """By replica and attempt: the answer; with those from before its log was lost."""
        self._forgotten: set[tuple[int, bytes, int]] = set()
        """Attempts at which a replica that lost its log may answer anew."""
        self._said: dict[tuple[object, ...], object] = {}
        self._sealed: dict[tuple[bytes, int], set[int]] = {}
        """By attempt: whose commitments are in a seal that somebody honest logged."""
        self._logged: dict[int, Logged] = {}
        """By process."""
        self._views: dict[int, tuple[int, int]] = {}
        self._place: dict[tuple[bytes, int], int] = {}
        """By attempt: the first slot that holds it."""
        self._repeats: set[int] = set()
        """Slots in which all was decided before: two views prepared it under different numbers."""
        self._replied_in_life: dict[int, tuple[int, set[RequestId]]] = {}
        self._checked: dict[bytes, object] = {}
        self._steps = 0

    def fail(self, rule: str, sentence: str) -> None:
        raise Violation(Finding.SAFETY, rule, sentence)

    @property
    def newest(self) -> State:
        """After the last slot that anyone honest applied."""
        return self.states[max(self.states)]

    # --- what happens --------------------------------------------------------------------------

    def on_start(self, process: "Process") -> None:
        self.accepted.setdefault(process.number, set())
        self.replied.setdefault(process.number, set())
        self.on_compacted(process)

    def on_compacted(self, process: "Process") -> None:
        self._logged[process.number] = Logged(process.disk.log)

    def on_asked(self, process: "Process", request: Request) -> None:
        if process.honest:
            self._asked.add(request)

    def on_rejected(self, process: "Process", effect: effects.Rejected) -> None:
        self.rejected += process.honest
        # Its user is told to ask anew, as when the asking node got another key meanwhile.
        self.accepted[process.number].discard(effect.request_id)

    def on_refused(self, process: "Process", effect: effects.Refused) -> None:
        if process.honest:
            self.refused[effect.reason] += 1

    def on_accepted(self, process: "Process", record: RequestAccepted) -> None:
        request = record.request.message
        if request.replica == process.replica_id:
            self.accepted[process.number].add(RequestId(request_id(request)))

    def on_drawn(self, process: "Process", record: AnswerDrawn) -> None:
        key = (process.replica_id, record.request_id, record.attempt)
        drawn = self._drawn.setdefault(key, [])
        if drawn and record.answer != drawn[-1] and key not in self._forgotten:
            self.fail("consistency", f"R{process.number} answered one question twice")
        self._forgotten.discard(key)
        drawn.append(record.answer)

    def on_logged(self, process: "Process", record: Record) -> None:
        """What an honest replica may rely on from now on."""
        if not process.honest:
            return
        self._logged[process.number].add(record)
        match record:
            case RequestAccepted():
                self.on_accepted(process, record)
            case AnswerDrawn():
                self.on_drawn(process, record)
            case Sealed(seal):
                self._on_seal(seal.message)
            case Decided():
                self.accountability.on_decided(process, record)
            case ViewChangeNamed(vote):
                for chain in vote.message.chains:
                    for seal in chain.seals:
                        self._on_seal(seal.message)

    def _on_seal(self, seal: Seal) -> None:
        sealed = self._sealed.setdefault((seal.request_id, seal.attempt), set())
        sealed.update(commitment.message.replica for commitment in seal.commitments)

    def on_said(self, process: "Process", message: WireMessage) -> None:
        """What others said may be passed on; what it says itself, it says once."""
        said = said_in(message)
        if said is None or said.replica != process.replica_id:
            return
        if isinstance(said, AnswerReveal):
            self._check_sealed(process, said)
        topic = topic_of(said)
        if topic is not None:
            first = self._said.setdefault(topic, said)
            if first is not said and first != said:
                self.fail(
                    "consistency",
                    f"R{process.number} is honest and contradicts itself: {first} and {said}",
                )
        if not self._logged[process.number].covers(said):
            kind = type(said).__name__
            self.fail(
                "durability", f"R{process.number} says a {kind} that its log knows nothing of"
            )

    def _check_sealed(self, process: "Process", said: AnswerReveal) -> None:
        if said.replica not in self._sealed.get((said.request_id, said.attempt), ()):
            self.fail("secrecy", f"R{process.number} reveals an answer that is in no seal")

    def hears(self, process: "Process", event: events.Event) -> Heard | None:
        """Before a step: what it must remember of whom, if it is honest."""
        if not self.byzantine or not process.honest or type(event) is not events.Received:
            return None
        return self.accountability.hears(process, event, self.byzantine)

    def on_heard(self, process: "Process", heard: Heard, found: list[effects.Effect]) -> None:
        """After that step, with its effects."""
        if fault := self.accountability.fault(process, heard, found):
            self.fail("accountability", fault)

    def on_report(self, process: "Process", effect: effects.Report) -> None:
        if process.honest:
            self._on_evidence(process, effect.evidence)

    def _on_evidence(self, process: "Process", evidence: Evidence) -> None:
        replica = accused_by(evidence)
        if replica not in self.byzantine:
            kind = type(evidence).__name__
            self.fail("accountability", f"R{process.number} accuses R{replica} wrongly: {kind}")
        self.accused.setdefault(replica, set()).add(type(evidence).__name__)
        self.accountability.on_report(process, replica)

    def on_reply(self, process: "Process", effect: effects.Reply) -> None:
        if not process.honest:
            return
        self.accountability.on_reply(process, effect)
        if not effect.final:
            return
        life, replied = self._replied_in_life.get(process.number, (0, set()))
        if life != process.life:
            life, replied = process.life, set()
            self._replied_in_life[process.number] = (life, replied)
        if effect.request_id in replied:
            self.fail("exactly-once", f"R{process.number} replied twice to one question")
        replied.add(effect.request_id)
        self.replied[process.number].add(effect.request_id)

    def on_step(self, process: "Process", replica: Replica) -> bool:
        """Whether its view is another than before."""
        view = (replica.state.membership.epoch, replica.view)
        before = self._views.get(process.number)
        if view != before:
            if before is not None and view < before:
                self.fail(
                    "views", f"R{process.number} went back from (epoch, view) {before} to {view}"
                )
            self._views[process.number] = view
            self.top_view = max(self.top_view, view)
        self._steps += 1
        if self._steps % MEMORY_EVERY_STEPS == 0:
            self.check_memory(process, replica)
        return view != before

    def forget_log(self, process: "Process") -> None:
        """It lost its log and says nothing more in this epoch: its view binds nobody, and what its
        users asked may be lost with it. In the next epoch it answers anew."""
        self._views.pop(process.number, None)
        self._forgotten.update(key for key in self._drawn if key[0] == process.replica_id)
        self.accepted[process.number] &= self.replied[process.number]

    def check_memory(self, process: "Process", replica: Replica) -> None:
        held = entries_held(replica)
        self.memory_max = max(self.memory_max, held)
        n = replica.state.membership.n
        bound = 1_500 * n + 300 * (4 * n + 10) + len(self._asked) * (10 * n + 60)
        if held > bound:
            self.fail("memory", f"R{process.number} holds {held} entries; {bound} are enough")

    # --- the ledger ----------------------------------------------------------------------------

    def on_apply(self, process: "Process", effect: effects.Apply) -> None:
        if not process.honest:
            return
        number, slot, state = effect.sequence_number, effect.slot, effect.state
        if number != len(process.disk.slots) + 1:
            self.fail(
                "exactly-once",
                f"R{process.number} applies slot {number} after {len(process.disk.slots)}",
            )
        known = self.slots.get(number)
        if known is None:
            known = self.slots[number] = (slot.batch, batch_digest(slot.batch))
            self._on_new_slot(process, number, slot)
        elif known[0] is not slot.batch and known[0] != slot.batch:
            self.fail("agreement", f"two batches are applied under number {number}")
        before = self.states.get(number - 1)
        if before is None:
            return
        keys: dict[int, bytes] = {m.replica: m.public_key for m in before.membership.members}
        if fault := commits_fault(slot, number, known[1], keys, self.check, self._checked):
            self.fail("proofs", f"R{process.number} applies slot {number}, and {fault}")
        first = self.states.setdefault(number, state)
        if first is not state and first != state:
            self.fail("agreement", f"two states follow slot {number}: weights or members differ")
        if number in self._repeats and (state.standings, state.open_requests) != (
            before.standings,
            before.open_requests,
        ):
            self.fail("exactly-once", f"slot {number} only repeats earlier ones, and counts again")

    def _on_new_slot(self, process: "Process", number: int, slot: DecidedSlot) -> None:
        repeated = 0
        for entry in slot.batch:
            if isinstance(entry, Accusation):
                self._on_evidence(process, entry.evidence)
            elif isinstance(entry, Item):
                repeated += self._on_item(number, entry)
        # Weights change at checkpoints whatever a slot holds.
        if repeated and repeated == len(slot.batch) and number % CHECKPOINT_INTERVAL:
            self._repeats.add(number)

    def _on_item(self, number: int, item: Item) -> bool:
        """Whether the attempt is in an earlier slot already."""
        request = item.request.message
        asked = request_id(request)
        key = (asked, item.attempt)
        place = self._place.setdefault(key, number)
        if request.replica not in self.byzantine and request not in self._asked:
            self.fail("integrity", f"slot {number} answers what nobody asked R{request.replica}")
        for reveal in item.reveals:
            replica = reveal.message.replica
            drawn = self._drawn.get((replica, *key), [])
            if replica not in self.byzantine and reveal.message.answer not in drawn:
                self.fail("integrity", f"slot {number} puts words into the mouth of R{replica}")
        self.statuses[item.outcome.status.value] += 1
        if item.outcome.status != "no_agreement":
            self._check_agreed(number, item)
        self.observe(item)
        return place != number

    def _check_agreed(self, number: int, item: Item) -> None:
        """An honest replica stands behind the answer, and it means what the answer means."""
        outcome = item.outcome
        said = {reveal.message.replica: reveal.message.answer for reveal in item.reveals}
        winners = outcome.clusters[0]
        if not set(winners) - self.byzantine or not set(winners) <= said.keys():
            self.fail("validity", f"nobody honest stands behind the answer of slot {number}")
        if item.request.message.fields:
            return
        if outcome.representative not in winners:
            self.fail("validity", f"the words of slot {number} are of nobody in its cluster")
        words: Any = said[outcome.representative].text  # type: ignore[index]
        # The rules of before the slot: members may have agreed on others since the genesis.
        policy = self.states.get(number - 1, self.newest).policy
        threshold_bp = policy.similarity_threshold_bp - 2 * policy.similarity_tolerance_bp
        for replica in winners:
            other = said[replica].text
            if not self.alike(item.request.message.prompt, words, other, threshold_bp):
                self.fail("validity", f"slot {number} joins {words!r} and {other!r}, which differ")
