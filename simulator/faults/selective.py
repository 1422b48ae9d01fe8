"""Talks to some members and ignores the others."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from simulator.faults.base import Fault
from simulator.wording import MESSAGES, kind_of


class Selective(Fault):
    """Sends only to `to`; if `messages` are named, only these kinds are affected."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"to": (), "messages": None}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"messages": MESSAGES}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        messages = self._options["messages"]
        if messages is not None and kind_of(effect.message) not in messages:
            return [effect]
        friends = set(self._options["to"])
        return self._to_each(effect, lambda _, r: effect.message if r in friends else None)
