"""Similar words, opposite meaning."""

from dataclasses import replace

from pbft.events import AnswerReady, Event
from simulator.faults.base import Fault
from simulator.meaning import opposite_of


class Contradict(Fault):
    """Answers with the opposite of what its model says, in nearly the same words."""

    def heard(self, event: Event) -> Event:
        if isinstance(event, AnswerReady) and event.answer.text:
            turned = replace(event.answer, text=opposite_of(event.answer.text))
            return replace(event, answer=turned)
        return event
