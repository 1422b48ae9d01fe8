"""More than anyone asked for: votes for far away slots and views, commitments to no request."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect
from pbft.events import Event
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


class Flood(Fault):
    """After every event, `times` signed messages about nothing."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"times": 2}

    def besides(self, event: Event) -> list[Effect]:  # noqa: ARG002  # whatever happens
        if self.me is None:
            return []
        return [Broadcast(self._resigned(self._junk())) for _ in range(self._options["times"])]

    def _junk(self) -> Any:
        draw = self._draw
        network, epoch = self._configuration.network, self.state.membership.epoch
        view = View(draw.choice([self.view, self.view + 1, draw.choice(FAR)]))
        far = draw.choice([draw.choice(FAR), draw.randrange(1, 2**64)])
        number = SequenceNumber(draw.choice([self.applied + 1, far]))
        some = Digest(draw.randbytes(32))
        me = self.me
        match draw.randrange(8):
            case 0:
                return Prepare(network, epoch, view, number, some, me)  # type: ignore[arg-type]
            case 1:
                return Commit(network, epoch, view, number, some, me)  # type: ignore[arg-type]
            case 2:
                return Checkpoint(network, epoch, number, some, me)  # type: ignore[arg-type]
            case 3:
                return Height(network, epoch, number, view, me)  # type: ignore[arg-type]
            case 4:
                return ViewChange(network, epoch, view, number, (), (), (), me)  # type: ignore[arg-type]
            case 5:
                return Seal(network, epoch, RequestId(some), 0, view, 0, bytes(32), (), me)  # type: ignore[arg-type]
            case _:
                return AnswerCommitment(network, epoch, RequestId(some), 0, some, me)  # type: ignore[arg-type]
