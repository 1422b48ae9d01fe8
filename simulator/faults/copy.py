"""Answers with another's answer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect
from pbft.events import AnswerReady, Event, Received
from pbft.messages import AnswerCommitment, AnswerReveal, Signed
from pbft.types import RequestId
from simulator.faults.base import Fault


class Copy(Fault):
    """Has no answer of its own, and waits for another's words.

    `when` = "after": as soon as somebody reveals it commits to the same words. "before": repeats
    the first commitment that it hears as its own, and later reveals whatever was revealed under
    it.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {"when": "after"}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"when": ("after", "before")}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: dict[tuple[RequestId, int], AnswerReady] = {}
        self._copied: dict[tuple[RequestId, int], int] = {}

    def heard(self, event: Event) -> Event | None:
        if isinstance(event, AnswerReady):
            self._waiting[event.request_id, event.attempt] = event
            return None
        return event

    def besides(self, event: Event) -> list[Effect]:
        if not isinstance(event, Received) or not isinstance(event.message, Signed):
            return []
        said = event.message.message
        if isinstance(said, AnswerReveal):
            return self._on_reveal(said)
        if isinstance(said, AnswerCommitment) and self._options["when"] == "before":
            return self._on_commitment(said)
        return []

    def _on_reveal(self, said: AnswerReveal) -> list[Effect]:
        key = (said.request_id, said.attempt)
        own = self._waiting.pop(key, None)
        if own is not None and self._options["when"] == "after":
            return self._inner.step(replace(own, answer=said.answer))
        if self._copied.get(key) == said.replica and self.me is not None:
            return [Broadcast(self._resigned(replace(said, replica=self.me)))]
        return []

    def _on_commitment(self, said: AnswerCommitment) -> list[Effect]:
        key = (said.request_id, said.attempt)
        if key in self._copied or self.me is None or said.replica == self.me:
            return []
        self._copied[key] = said.replica
        return [Broadcast(self._resigned(replace(said, replica=self.me)))]
