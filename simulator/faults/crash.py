"""Death at the worst moment: after the commitment was sealed, before the reveal."""

import os
import signal

from pbft.effects import Broadcast, Effect
from pbft.events import Event
from pbft.messages import AnswerReveal, Signed
from simulator.faults.base import Fault


class Crash(Fault):
    """Kills its process instead of revealing: the seal counts on an answer that never comes."""

    def step(self, event: Event) -> list[Effect]:
        effects = self._inner.step(event)
        if any(_is_reveal(effect) for effect in effects):
            os.kill(os.getpid(), signal.SIGKILL)
        return effects


def _is_reveal(effect: Effect) -> bool:
    return (
        isinstance(effect, Broadcast)
        and isinstance(effect.message, Signed)
        and isinstance(effect.message.message, AnswerReveal)
    )
