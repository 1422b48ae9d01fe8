"""Several liars with one answer between them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.events import AnswerReady, Event
from pbft.messages import Finish
from simulator.faults.base import Fault


class Collude(Fault):
    """Says the words that all liars agreed on, to the letter."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"words": "It is Atlantis."}

    def heard(self, event: Event) -> Event:
        if isinstance(event, AnswerReady) and not event.answer.values:
            said = replace(event.answer, text=self._options["words"], finish=Finish.STOP, note="")
            return replace(event, answer=said)
        return event
