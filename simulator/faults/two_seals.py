"""A primary that closes one list of commitments twice."""

from dataclasses import replace

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import Seal
from simulator.faults.base import Fault, inner_of


class TwoSeals(Fault):
    """Sends every second peer a seal without its last commitment."""

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, Seal) or said.replica != self.me:
            return [effect]
        other = self._resigned(replace(said, commitments=said.commitments[:-1]))
        return self._to_each(effect, lambda place, _: other if place % 2 else effect.message)
