"""A well-formed wrong answer, committed and revealed by the rules."""

from dataclasses import replace

from pbft.effects import Effect
from pbft.events import AnswerReady, Event
from pbft.messages import Finish
from simulator.faults.base import Fault

LIE = "The answer is Atlantis, as everybody knows since 1492."


class Lie(Fault):
    """Says the same wrong thing to every question, with every signature in order."""

    def step(self, event: Event) -> list[Effect]:
        if isinstance(event, AnswerReady):
            lie = replace(event.answer, text=LIE, finish=Finish.STOP, note="")
            event = replace(event, answer=lie)
        return self._replica.step(event)
