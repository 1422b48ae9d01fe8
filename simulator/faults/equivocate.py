"""Different signed messages to different peers, where the protocol allows one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event
from pbft.messages import AnswerCommitment, Commit, Prepare, Signed, SignedMessage
from pbft.types import Digest
from simulator.faults.base import Fault
from simulator.wording import kind_of


class Equivocate(Fault):
    """Sends every second peer another commitment, and another prepare and commit. `messages` may
    name some of the three; if `both` is 1, everybody hears both."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"messages": None, "both": 0}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "messages": ("AnswerCommitment", "Prepare", "Commit")
    }

    def step(self, event: Event) -> list[Effect]:
        effects: list[Effect] = []
        for effect in self._inner.step(event):
            effects += self._split(effect)
        return effects

    def _split(self, effect: Effect) -> list[Effect]:
        if not isinstance(effect, Broadcast) or not isinstance(effect.message, Signed):
            return [effect]
        signed = effect.message
        chosen = self._options["messages"]
        message = _variant(signed.message)
        if message is None or (chosen is not None and kind_of(signed) not in chosen):
            return [effect]
        other = Signed(message, self._keyring.sign(message))
        if self._options["both"]:
            return [effect, Broadcast(other)]  # type: ignore[arg-type]  # same kind
        return [
            Send(replica, other if index % 2 else signed)  # type: ignore[arg-type]  # same kind
            for index, replica in enumerate(self._others())
        ]


def _variant(message: SignedMessage) -> SignedMessage | None:
    """Another message for the same slot; None for kinds of which one may send many."""
    match message:
        case AnswerCommitment():
            return replace(message, commitment=_other(message.commitment))
        case Prepare():
            return replace(message, digest=Digest(_other(message.digest)))
        case Commit():
            return replace(message, digest=Digest(_other(message.digest)))
        case _:
            return None


def _other(value: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in value)
