"""What a daemon does with the effects of its replica, in virtual time.

They are performed one after the other, as the core demands; what is performed comes back as events
of the world.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pbft import effects, events
from simulator.process import Process
from simulator.signer import secret_of

if TYPE_CHECKING:
    from simulator.world import World


class Driver:
    """Of all processes of one world. `performers`: by the type of the effect."""

    def __init__(self, world: "World") -> None:
        self._world = world
        checkers = world.checkers
        self.performers: Mapping[type, Callable[[Process, Any], None]] = {
            effects.Persist: self._persist,
            effects.Broadcast: self._broadcast,
            effects.Send: self._send,
            effects.ArmTimer: self._arm,
            effects.CancelTimer: self._cancel,
            effects.RunInference: self._infer,
            effects.CompareAnswers: self._compare,
            effects.Reply: self._reply,
            effects.Apply: self._apply,
            effects.RecordEpoch: lambda p, effect: p.disk.keep_epoch(effect.certificate),
            effects.MembersChanged: self._change_members,
            effects.Compact: self._compact,
            effects.SendLedger: self._send_ledger,
            effects.Report: checkers.on_report,
            effects.Rejected: checkers.on_rejected,
            effects.Refused: checkers.on_refused,
            effects.Progress: _ignore,
            effects.Retired: _ignore,
            effects.ChangeNoted: _ignore,
        }

    def _persist(self, process: Process, effect: effects.Persist) -> None:
        disk = process.disk
        if disk.full:
            self._world.crash(process, "its disk is full")
            return
        disk.append(effect.record)
        self._world.checkers.on_logged(process, effect.record)

    def _compact(self, process: Process, effect: effects.Compact) -> None:
        if process.disk.full:
            self._world.crash(process, "its disk is full")
            return
        process.disk.replace(effect.records)
        self._world.checkers.on_compacted(process)

    def _broadcast(self, process: Process, effect: effects.Broadcast) -> None:
        message = effect.message
        if process.honest:
            self._world.checkers.on_said(process, message)
        for replica in process.peers:
            self._world.post(process, replica, message)

    def _send(self, process: Process, effect: effects.Send) -> None:
        if process.honest:
            self._world.checkers.on_said(process, effect.message)
        self._world.post(process, effect.replica, effect.message)

    def _send_ledger(self, process: Process, effect: effects.SendLedger) -> None:
        for certificate in process.disk.epochs[effect.proven :][: effects.EPOCHS_AT_ONCE_MAX]:
            self._world.post(process, effect.replica, certificate)
        for slot in process.disk.slots[effect.first - 1 : max(0, effect.last)]:
            self._world.post(process, effect.replica, slot)

    def _arm(self, process: Process, effect: effects.ArmTimer) -> None:
        event = events.TimerFired(effect.timer)
        process.timers[effect.timer] = self._world.put(1_000 * effect.delay_ms, process, event)

    def _cancel(self, process: Process, effect: effects.CancelTimer) -> None:
        process.timers.pop(effect.timer, None)

    def _infer(self, process: Process, effect: effects.RunInference) -> None:
        topic = self._world.topics.get(effect.request_id, 0)
        said = self._world.meaning.answer(effect.request, topic, process.draw, process.replica_id)
        ready = events.AnswerReady(
            effect.request_id, effect.attempt, said, process.draw.randbytes(32)
        )
        low_ms, high_ms = self._world.plan.models.answer_ms
        self._world.put(1_000 * process.draw.randint(low_ms, high_ms), process, ready)

    def _compare(self, process: Process, effect: effects.CompareAnswers) -> None:
        result = self._world.meaning.compare(effect.question, effect.texts, process.replica_id)
        compared = events.AnswersCompared(
            effect.request_id, effect.attempt, effect.answers, *result
        )
        low_ms, high_ms = self._world.plan.models.compare_ms
        self._world.put(1_000 * process.draw.randint(low_ms, high_ms), process, compared)

    def _reply(self, process: Process, effect: effects.Reply) -> None:
        self._world.checkers.on_reply(process, effect)
        if effect.final:
            self._world.decided.add(effect.request_id)

    def _apply(self, process: Process, effect: effects.Apply) -> None:
        self._world.checkers.on_apply(process, effect)
        process.disk.apply(effect.slot, effect.state)
        self._world.trace.applied(process.number, effect.state.chain)
        if self._world.trace.keep:
            commit = effect.slot.commits[0].message
            self._world.trace.tell(
                self._world.now_us,
                process.number,
                "applies",
                f"slot {effect.sequence_number} of view {commit.view}",
            )

    def _change_members(self, process: Process, effect: effects.MembersChanged) -> None:
        replicas = {member.replica for member in effect.members}
        process.peers = tuple(sorted(replicas - {process.replica_id}))
        for other in self._world.processes:
            if other.outside and other is not process:
                key = secret_of(other.key)
                if any(member.public_key == key for member in effect.members):
                    self._world.let_in(other)


def _ignore(_process: Process, _effect: object) -> None:
    """What only people want to know."""
