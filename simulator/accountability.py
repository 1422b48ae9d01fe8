"""Every equivocation that an honest replica hears is evidence in its hands.

Two different signed messages of one replica about one topic, heard by one honest replica in one
life while both could still count, must be reported by it in that step at the latest. That nobody
honest is ever accused is for `simulator.checkers`; this is the other half of accountability.

What cannot count any more, or not yet, binds nobody to remember it: messages of other views and
epochs, about what is decided, beyond the next checkpoint, or refused with a reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pbft import effects, events
from pbft.messages import (
    AnswerCommitment,
    Commit,
    Item,
    Prepare,
    PrePrepare,
    Proposal,
    Seal,
    Signed,
    SignedMessage,
)
from pbft.records import Decided
from pbft.replica import Replica
from pbft.types import U64_MAX
from simulator.statements import topic_of

if TYPE_CHECKING:
    from simulator.process import Process

_BINDING = (AnswerCommitment, Seal, PrePrepare, Prepare, Commit)
_OF_A_VIEW = (Seal, PrePrepare, Prepare, Commit)
_VOTES = (PrePrepare, Prepare, Commit)

Genuine = Callable[[bytes, SignedMessage, bytes], bool]
"""(public key, message, signature): whether the signature is right."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A binding message of a Byzantine replica that counts for whoever heard it."""

    signed: Signed[Any]
    topic: tuple[object, ...]
    first: Signed[Any] | None
    """What it contradicts."""


class Accountability:
    """What each honest process heard from Byzantine replicas, and whom it has reported."""

    def __init__(self, genuine: Genuine = lambda _key, _message, _signature: True) -> None:
        self.genuine = genuine
        self._heard: dict[tuple[int, int], dict[tuple[object, ...], Signed[Any]]] = {}
        """By process and life."""
        self._reported: set[tuple[int, int]] = set()
        self._answered: dict[tuple[int, bytes], int] = {}
        """By process and request: so many attempts it knows as decided."""
        self._decided: set[tuple[int, int]] = set()
        """By process: slots."""

    def hears(
        self, process: "Process", event: events.Received, byzantine: set[int]
    ) -> Heard | None:
        """Called before the step. None for what binds nobody."""
        replica = process.replica
        message = event.message
        signed = message.pre_prepare if isinstance(message, Proposal) else message
        if replica is None or not isinstance(signed, Signed):
            return None
        said = signed.message
        if type(said) not in _BINDING or said.replica not in byzantine:
            return None
        topic = topic_of(said)
        key = replica.state.membership.public_key(said.replica)
        if (
            topic is None
            or not self._counts(process, replica, said)
            or key is None
            or not self.genuine(key, said, signed.signature)
        ):
            return None
        first = self._heard.get((process.number, process.life), {}).get(topic)
        contradicted = first if first is not None and first.message != said else None
        return Heard(signed, topic, contradicted)

    def _counts(self, process: "Process", replica: Replica, said: Any) -> bool:
        """Whether an honest replica must take notice of it now."""
        state = replica.state
        if not replica.takes_part or said.epoch != state.membership.epoch:
            return False
        if isinstance(said, _OF_A_VIEW) and (said.view != replica.view or not replica.active):
            return False
        if isinstance(said, _VOTES):
            number = said.sequence_number
            return (
                state.applied < number <= state.interval_end
                and (process.number, number) not in self._decided
            )
        return bool(said.attempt >= self._answered.get((process.number, said.request_id), 0))

    def fault(
        self, process: "Process", heard: Heard, found: Iterable[effects.Effect]
    ) -> str | None:
        """Called after the step with its effects: what is wrong, in a sentence."""
        accused = heard.signed.message.replica
        told = self._heard.setdefault((process.number, process.life), {})
        refused = {effect.reason for effect in found if isinstance(effect, effects.Refused)}
        if "too-many-rounds" in refused:
            told.clear()  # what it forgot, of whom, is its own affair
        if refused:
            return None
        if heard.first is None:
            told.setdefault(heard.topic, heard.signed)
            return None
        if (process.number, accused) in self._reported:
            return None
        kind = type(heard.signed.message).__name__
        return f"R{process.number} heard two different {kind}s of R{accused} and reports nothing"

    # --- what processes do -----------------------------------------------------------------------

    def on_report(self, process: "Process", accused: int) -> None:
        self._reported.add((process.number, accused))

    def on_reply(self, process: "Process", effect: effects.Reply) -> None:
        key = (process.number, effect.request_id)
        item = effect.slot.batch[effect.index]
        attempts = item.attempt + 1 if isinstance(item, Item) else 0
        self._answered[key] = U64_MAX if effect.final else max(attempts, self._answered.get(key, 0))

    def on_decided(self, process: "Process", record: Decided) -> None:
        self._decided.add((process.number, record.slot.sequence_number))
