"""A primary that leaves out the answers of those it does not like."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pbft.events import Event, Received
from pbft.messages import AnswerCommitment, AnswerReveal
from simulator.faults.base import Fault, inner_of


class Bias(Fault):
    """Does not hear the reveals of `against`; nor their commitments, if `commitments` is 1."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"against": (), "commitments": 0}

    def heard(self, event: Event) -> Event | None:
        if not isinstance(event, Received):
            return event
        said = inner_of(event.message)
        deaf = AnswerReveal | AnswerCommitment if self._options["commitments"] else AnswerReveal
        ignored = isinstance(said, deaf) and said.replica in self._options["against"]
        return None if ignored else event
