"""Messages in others' names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import Proposal, Signed
from simulator.faults.base import Fault, other_bytes


class Forge(Fault):
    """Says everything again in the names of all others: with garbage for a signature, with its own
    signature, or with the one that it has just made for itself."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"share_bp": 10_000}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        signed = message.pre_prepare if isinstance(message, Proposal) else message
        if not isinstance(signed, Signed) or signed.message.replica != self.me:
            return [effect]
        forged: list[Effect] = []
        for victim in self._others():
            if self._draw.randrange(10_000) >= self._options["share_bp"]:
                continue
            inner = replace(signed.message, replica=victim)
            own = self._keyring.sign(signed.message)
            signature = self._draw.choice([other_bytes(own), own, self._keyring.sign(inner)])
            fake: Any = Signed(inner, signature)
            if isinstance(message, Proposal):
                fake = Proposal(fake, message.batch)
            forged.append(replace(effect, message=fake))
        return [effect, *forged]
