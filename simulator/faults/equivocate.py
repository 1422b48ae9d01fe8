"""Different signed messages to different peers, where the protocol allows one."""

from dataclasses import replace

from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event
from pbft.messages import AnswerCommitment, Commit, Prepare, Signed, SignedMessage
from pbft.types import Digest
from simulator.faults.base import Fault


class Equivocate(Fault):
    """Sends every second peer another commitment, and another prepare and commit."""

    def step(self, event: Event) -> list[Effect]:
        effects: list[Effect] = []
        for effect in self._replica.step(event):
            effects += self._split(effect)
        return effects

    def _split(self, effect: Effect) -> list[Effect]:
        if not isinstance(effect, Broadcast) or not isinstance(effect.message, Signed):
            return [effect]
        signed = effect.message
        message = _variant(signed.message)
        if message is None:
            return [effect]
        other = Signed(message, self._keyring.sign(message))
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
