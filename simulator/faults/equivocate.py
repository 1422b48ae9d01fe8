"""Different signed messages to different peers, where the protocol allows one."""

from dataclasses import replace

from pbft.effects import Broadcast, Effect, Send
from pbft.events import Event
from pbft.messages import AnswerCommitment, Commit, Prepare, Signed, WireMessage
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
        message = signed.message
        other: WireMessage
        if isinstance(message, AnswerCommitment):
            other = self._sign(replace(message, commitment=_other(message.commitment)))
        elif isinstance(message, Prepare) or isinstance(message, Commit):
            other = self._sign(replace(message, digest=Digest(_other(message.digest))))
        else:
            return [effect]
        return [
            Send(replica, other if index % 2 else signed)
            for index, replica in enumerate(self._others())
        ]


def _other(value: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in value)
