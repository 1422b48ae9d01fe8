"""A primary whose items are wrong."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pbft import digest
from pbft.effects import Broadcast, Effect, Send
from pbft.item import with_outcome
from pbft.messages import Batch, Entry, Item, Proposal
from pbft.outcome import Contradiction
from simulator.faults.base import Fault


class BadItem(Fault):
    """Proposes items that break one rule each.

    `how`: "weights", not those in force; "outcome", another than follows; "few", answers of less
    than a quorum; "words", an answer is not the one that was signed; "contradictions", one that
    nobody measures; "request", another question than was asked; "twice", what was proposed before
    comes again.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {"how": "outcome"}
    WORDS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "how": ("weights", "outcome", "few", "words", "contradictions", "request", "twice")
    }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._before: Batch = ()

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        message = effect.message
        if not isinstance(message, Proposal) or message.pre_prepare.message.replica != self.me:
            return [effect]
        batch = tuple(self._bad(entry) for entry in message.batch)
        if self._options["how"] == "twice":
            batch = (*self._before, *message.batch)
            self._before = message.batch[:1]
        said = replace(message.pre_prepare.message, digest=digest.digest_of(batch))
        return [replace(effect, message=Proposal(self._resigned(said), batch))]

    def _bad(self, entry: Entry) -> Entry:
        if not isinstance(entry, Item):
            return entry
        first, *others = entry.reveals
        match self._options["how"]:
            case "weights":
                weights = (2 * entry.weights[0], *entry.weights[1:])
                return self._computed(replace(entry, weights=weights))
            case "outcome":
                rate_bp = entry.outcome.agreement_rate_bp // 2
                return replace(entry, outcome=replace(entry.outcome, agreement_rate_bp=rate_bp))
            case "few":
                return replace(entry, reveals=entry.reveals[:1], weights=entry.weights[:1])
            case "words":
                answer = replace(first.message.answer, text="It is Atlantis.")
                other = replace(first, message=replace(first.message, answer=answer))
                return replace(entry, reveals=(other, *others))
            case "contradictions" if entry.similarities_bp:
                found = (Contradiction(0, 1, "none"),)
                return self._computed(replace(entry, contradictions=found))
            case "request":
                request = replace(entry.request.message, prompt="Another question?")
                return replace(entry, request=replace(entry.request, message=request))
        return entry

    def _computed(self, item: Item) -> Item:
        return with_outcome(item, self.state.membership.n, self.state.policy)
