"""False evidence against honest members."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect
from pbft.events import Event, Received
from pbft.messages import (
    Accusation,
    AnswerCommitment,
    AnswerReveal,
    Commit,
    CommitmentMismatch,
    Equivocation,
    Prepare,
    Signed,
)
from simulator.faults.base import Fault, other_bytes


class Frame(Fault):
    """Accuses whoever it hears, with all that can be made of true messages: the same one twice, two
    of different slots, one that it has forged, a commitment and another question's answer."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"share_bp": 3_000}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._last: dict[tuple[type, int], Signed[Any]] = {}

    def besides(self, event: Event) -> list[Effect]:
        if not isinstance(event, Received) or not isinstance(event.message, Signed):
            return []
        signed: Signed[Any] = event.message
        kind = type(signed.message)
        if kind not in (Prepare, Commit, AnswerCommitment, AnswerReveal):
            return []
        before = self._last.get((kind, signed.message.replica))
        self._last[kind, signed.message.replica] = signed
        if self._draw.randrange(10_000) >= self._options["share_bp"]:
            return []
        if kind is AnswerReveal:
            made = self._last.get((AnswerCommitment, signed.message.replica))
            return [Broadcast(Accusation(CommitmentMismatch(made, signed)))] if made else []
        return [Broadcast(Accusation(self._false(signed, before)))]

    def _false(self, signed: Signed[Any], before: Signed[Any] | None) -> Equivocation:
        if before is not None and self._draw.random() < 0.5:
            return Equivocation(before, signed)
        if self._draw.random() < 0.3:
            return Equivocation(signed, signed)
        name = "commitment" if isinstance(signed.message, AnswerCommitment) else "digest"
        other = replace(signed.message, **{name: other_bytes(getattr(signed.message, name))})
        return Equivocation(signed, self._resigned(other))
