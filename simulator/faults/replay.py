"""Old messages, its own and others', said again."""

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event, Received
from pbft.messages import WireMessage
from simulator.faults.base import Fault
from simulator.wording import MESSAGES, kind_of

REMEMBERED_MAX = 400


class Replay(Fault):
    """Records what it sends and hears, and sends some of it again; `messages` names the kinds."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"share_bp": 2_000, "messages": None}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"messages": MESSAGES}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._recorded: deque[WireMessage] = deque(maxlen=REMEMBERED_MAX)

    def _record(self, message: WireMessage) -> None:
        messages = self._options["messages"]
        if messages is None or kind_of(message) in messages:
            self._recorded.append(message)

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        self._record(effect.message)
        return [effect]

    def besides(self, event: Event) -> list[Effect]:
        if isinstance(event, Received):
            self._record(event.message)
        if self._recorded and self._draw.randrange(10_000) < self._options["share_bp"]:
            old = self._recorded[self._draw.randrange(len(self._recorded))]
            return [Send(self._draw.choice(self._others()), old)]
        return []
