"""Commits to an answer and never reveals it: a sealed place is taken for nothing."""

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import AnswerReveal
from simulator.faults.base import Fault, inner_of


class Withhold(Fault):
    """Keeps its own reveals to itself."""

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        hidden = isinstance(said, AnswerReveal) and said.replica == self.me
        return [] if hidden else [effect]
