"""A well-formed wrong answer, committed and revealed by the rules."""

from dataclasses import replace
from typing import Any

from pbft.effects import Effect, RunInference
from pbft.events import AnswerReady, Event
from pbft.messages import Field, Finish, Kind
from pbft.types import RequestId
from simulator.faults.base import Fault

LIE = "The answer is Atlantis, as everybody knows since 1492."


class Lie(Fault):
    """Says the same wrong thing to every question, with every signature in order."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fields: dict[RequestId, tuple[Field, ...]] = {}

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, AnswerReady):
            fields = self._fields.pop(event.request_id, ())
            lie = replace(
                event.answer,
                text=LIE,
                finish=Finish.STOP,
                note="",
                values=_false_values(fields, event.answer.values),
            )
            event = replace(event, answer=lie)
        effects = self._inner.step(event)
        for effect in effects:
            if isinstance(effect, RunInference) and effect.request.fields:
                self._fields[effect.request_id] = effect.request.fields
        return effects


def _false_values(fields: tuple[Field, ...], true: tuple[str, ...]) -> tuple[str, ...]:
    """Values that the own model did not give, where there is a choice."""
    values = []
    for place, field in enumerate(fields):
        if field.kind is Kind.LABEL:
            said = true[place] if true else ""
            values.append(next(label for label in reversed(field.labels) if label != said))
        else:
            values.append("1492" if field.kind is Kind.NUMBER else "Atlantis")
    return tuple(values)
