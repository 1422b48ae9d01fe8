# ruff: noqa: E501  # a table
"""One field changed a little, and signed again: the mutations of ByzzBench for PBFT, and ours."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pbft.effects import Broadcast, Effect, Send
from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    ViewChange,
)
from simulator.faults.base import Fault, inner_of, other_bytes

Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Mutation:
    """`name` as in ByzzBench where it is from there."""

    name: str
    says: str
    kind: type
    change: Change


def _plus(field: str, by: int) -> Change:
    return lambda message: replace(message, **{field: max(0, getattr(message, field) + by)})


def _other(field: str) -> Change:
    return lambda message: replace(message, **{field: other_bytes(getattr(message, field))})


def _empty(field: str) -> Change:
    return lambda message: replace(message, **{field: ()})


def _less(field: str) -> Change:
    return lambda message: replace(message, **{field: getattr(message, field)[:-1]})


def _votes(word: str, kind: type) -> list[Mutation]:
    """View and sequence number one up or down, another digest, another replica."""
    return [
        Mutation(f"{word}-view-inc", "its view is one higher", kind, _plus("view", 1)),
        Mutation(f"{word}-view-dec", "its view is one lower", kind, _plus("view", -1)),
        Mutation(f"{word}-seq-inc", "its number is one higher", kind, _plus("sequence_number", 1)),
        Mutation(f"{word}-seq-dec", "its number is one lower", kind, _plus("sequence_number", -1)),
        Mutation(f"{word}-digest-modify", "it is for another batch", kind, _other("digest")),
        Mutation(
            f"{word}-request-replicaid-invalid", "it names another sender", kind,
            _plus("replica", 1),
        ),
    ]  # fmt: skip


def _changed_answer(message: AnswerReveal) -> AnswerReveal:
    answer = replace(message.answer, text=f"invalid {message.answer.text}")
    return replace(message, answer=answer)


def _changed_time(message: AnswerReveal) -> AnswerReveal:
    answer = replace(message.answer, elapsed_ms=message.answer.elapsed_ms + 99_000)
    return replace(message, answer=answer)


MUTATIONS: tuple[Mutation, ...] = (
    *_votes("pbft-preprepare", PrePrepare)[:5],
    *_votes("pbft-prepare", Prepare),
    *_votes("pbft-commit", Commit),
    Mutation("pbft-viewchange-view-inc", "its view is one higher", ViewChange, _plus("view", 1)),
    Mutation("pbft-viewchange-view-dec", "its view is one lower", ViewChange, _plus("view", -1)),
    Mutation("pbft-viewchange-seq-inc", "its checkpoint is higher", ViewChange, _plus("stable", 1)),
    Mutation("pbft-viewchange-seq-dec", "its checkpoint is lower", ViewChange, _plus("stable", -1)),
    Mutation(
        "pbft-viewchange-checkpoint-proofs-empty", "no proof of its checkpoint", ViewChange,
        _empty("proof"),
    ),
    Mutation(
        "pbft-viewchange-prepared-proofs-empty", "nothing that was prepared", ViewChange,
        _empty("prepared"),
    ),
    Mutation("pbft-reply-view-inc", "the result is of the next view", Commit, _plus("view", 1)),
    Mutation("pbft-reply-view-dec", "the result is of the last view", Commit, _plus("view", -1)),
    Mutation("pbft-reply-result-wrong", "another answer than sealed", AnswerReveal, _changed_answer),
    Mutation("pbft-reply-timestamp-wrong", "another duration", AnswerReveal, _changed_time),
    # ours
    Mutation("request-number-inc", "another number", Request, _plus("number", 1)),
    Mutation("commitment-modify", "another commitment", AnswerCommitment, _other("commitment")),
    Mutation("commitment-attempt-inc", "of the next attempt", AnswerCommitment, _plus("attempt", 1)),
    Mutation("seal-number-inc", "a number is skipped", Seal, _plus("number", 1)),
    Mutation("seal-view-inc", "of the next view", Seal, _plus("view", 1)),
    Mutation("seal-previous-modify", "after another seal", Seal, _other("previous")),
    Mutation("seal-commitments-less", "one commitment less", Seal, _less("commitments")),
    Mutation("seal-commitments-empty", "no commitments", Seal, _empty("commitments")),
    Mutation("reveal-salt-modify", "another salt", AnswerReveal, _other("salt")),
    Mutation("reveal-attempt-inc", "of the next attempt", AnswerReveal, _plus("attempt", 1)),
    Mutation("newview-view-inc", "of the view after", NewView, _plus("view", 1)),
    Mutation("newview-votes-less", "one vote less", NewView, _less("view_changes")),
    Mutation("newview-votes-empty", "no votes", NewView, _empty("view_changes")),
    Mutation("newview-preprepares-less", "one batch less", NewView, _less("pre_prepares")),
    Mutation("newview-preprepares-empty", "no batches", NewView, _empty("pre_prepares")),
    Mutation("checkpoint-seq-inc", "of the next slot", Checkpoint, _plus("sequence_number", 1)),
    Mutation("checkpoint-state-modify", "another state", Checkpoint, _other("state")),
    Mutation("viewchange-prepared-less", "one certificate less", ViewChange, _less("prepared")),
    Mutation("viewchange-chains-empty", "no seals", ViewChange, _empty("chains")),
    Mutation("epoch-inc", "a commit of the next epoch", Commit, _plus("epoch", 1)),
)  # fmt: skip

BYZZBENCH = tuple(m for m in MUTATIONS if m.name.startswith("pbft-"))
"""Those that ByzzBench has for PBFT."""

_BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}


class Tweak(Fault):
    """Changes its own messages by the mutation `how`; to the last peer, or to `all`."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"how": "pbft-commit-digest-modify", "all": 1}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {"how": tuple(_BY_NAME)}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        mutation = _BY_NAME.get(self._options["how"])
        message = effect.message
        said = inner_of(message)
        own = getattr(said, "replica", None) == self.me
        if mutation is None or not own or type(said) is not mutation.kind:
            return [effect]
        changed: Any = self._resigned(mutation.change(said))
        if isinstance(message, Proposal):
            changed = Proposal(changed, message.batch)
        last = self._others()[-1:]
        everyone = bool(self._options["all"])
        return self._to_each(effect, lambda _, r: changed if everyone or [r] == last else message)
