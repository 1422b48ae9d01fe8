"""Votes that must not count: repeated, for something else, of the wrong kind, one too many."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import Commit, Prepare, PrePrepare, Proposal, Signed
from pbft.types import Digest
from simulator.faults.base import Fault, inner_of, other_bytes


class Revote(Fault):
    """Sends every prepare and commit `times` times."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"times": 3}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        votes = isinstance(inner_of(effect.message), Prepare | Commit)
        return [effect] * (self._options["times"] if votes else 1)


class Misvote(Fault):
    """Votes for a batch that nobody proposed; if `both` is 1, after its true vote."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"both": 0}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        said = inner_of(effect.message)
        if not isinstance(said, Prepare | Commit) or said.replica != self.me:
            return [effect]
        other = replace(said, digest=Digest(other_bytes(said.digest)))
        false = replace(effect, message=self._resigned(other))
        return [effect, false] if self._options["both"] else [false]


class Recast(Fault):
    """Sends others' prepares again as commits, under the signatures of the prepares, and commits
    without being prepared."""

    def besides(self, event: Any) -> list[Effect]:
        said = inner_of(event.message) if hasattr(event, "message") else None
        if not isinstance(said, Prepare):
            return []
        body = (said.network, said.epoch, said.view, said.sequence_number, said.digest)
        effects: list[Effect] = [
            Broadcast(Signed(Commit(*body, said.replica), event.message.signature))
        ]
        if self.me is not None:
            effects.append(Broadcast(self._resigned(Commit(*body, self.me))))
        return effects


class DoubleVote(Fault):
    """As a primary it sends prepares for its own proposals too."""

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        if not isinstance(message, Proposal):
            return [effect]
        said: PrePrepare = message.pre_prepare.message
        body = (said.network, said.epoch, said.view, said.sequence_number, said.digest)
        return [effect, Broadcast(self._resigned(Prepare(*body, said.replica)))]
