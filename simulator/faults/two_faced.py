"""An asker with two questions under one number."""

from dataclasses import replace

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import Request
from simulator.faults.base import Fault, inner_of


class TwoFaced(Fault):
    """Sends every second peer another question under the same number, and the primary neither."""

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, Request) or said.replica != self.me:
            return [effect]
        other = self._resigned(replace(said, prompt=said.prompt + " Or not?"))
        return self._to_each(
            effect,
            lambda place, r: (
                None if r == self.primary else (other if place % 2 else effect.message)
            ),
        )
