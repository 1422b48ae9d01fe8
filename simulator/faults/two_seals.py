"""A primary that closes one list of commitments twice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import Seal
from simulator.faults.base import Fault, inner_of


class TwoSeals(Fault):
    """Sends every second peer a seal without its last commitment; if `both` is 1, everybody hears
    both."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"both": 0}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, Seal) or said.replica != self.me:
            return [effect]
        other = self._resigned(replace(said, commitments=said.commitments[:-1]))
        if self._options["both"]:
            return [effect, replace(effect, message=other)]
        return self._to_each(effect, lambda place, _: other if place % 2 else effect.message)
