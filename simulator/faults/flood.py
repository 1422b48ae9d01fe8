"""More than anyone asked for: votes for far away slots and views, commitments to no request."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import (
    AnswerCommitment,
    Checkpoint,
    Commit,
    Height,
    Prepare,
    Seal,
    ViewChange,
)
from pbft.types import Digest, RequestId, SequenceNumber, View
from simulator.faults.base import Fault

FAR = (1, 2, 63, 64, 65, 255, 256, 257, 1_000, 2**32, 2**63, 2**64 - 1)
KINDS = ("Prepare", "Commit", "Checkpoint", "Height", "ViewChange", "Seal", "AnswerCommitment")


_BURST = 8


class Flood(Fault):
    """Beside everything that it broadcasts, 8 times `times` signed messages about nothing; of the
    kinds in `messages`. Were it to react to whatever it hears, two of them would never be silent
    again."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"times": 2, "messages": None}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"messages": KINDS}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        if self.me is None or not isinstance(effect, Broadcast):
            return [effect]
        times = _BURST * self._options["times"]
        return [effect, *(Broadcast(self._resigned(self._junk())) for _ in range(times))]

    def _junk(self) -> Any:
        draw = self._draw
        network, epoch = self._configuration.network, self.state.membership.epoch
        view = View(draw.choice([*[self.view] * 3, self.view + 1, draw.choice(FAR)]))
        far = draw.choice([draw.choice(FAR), *[draw.randrange(1, 2**64)] * 2])
        number = SequenceNumber(draw.choice([self.applied + 1, far, far]))
        some = Digest(draw.randbytes(32))
        me: Any = self.me
        match draw.choice(self._options["messages"] or KINDS):
            case "Prepare":
                return Prepare(network, epoch, view, number, some, me)
            case "Commit":
                return Commit(network, epoch, view, number, some, me)
            case "Checkpoint":
                return Checkpoint(network, epoch, number, some, me)
            case "Height":
                return Height(network, epoch, number, view, me)
            case "ViewChange":
                return ViewChange(network, epoch, view, number, (), (), (), me)
            case "Seal":
                return Seal(network, epoch, RequestId(some), 0, view, 0, bytes(32), (), me)
            case _:
                return AnswerCommitment(network, epoch, RequestId(some), 0, some, me)
