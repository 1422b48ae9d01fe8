"""What is known of a decision: its record and its certificate. Runs in the trio thread."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from daemon.genesis import Genesis
from daemon.ledger import Ledger
from daemon.queryerror import QueryError
from daemon.requests import RequestBook
from daemon.roster import Roster
from daemon.transparency import describe, ratio
from pbft import certificate as certificates
from pbft.certificate import Certificate
from pbft.effects import Stage
from pbft.errors import InvariantViolation
from pbft.evidence import accused, kind_of, signatures_of
from pbft.item import merit
from pbft.membership import Membership
from pbft.messages import (
    AnswerCommitment,
    Commit,
    DecidedSlot,
    Evidence,
    Item,
    Prepare,
    PrePrepare,
    Seal,
)
from pbft.types import RequestId


class Decisions:
    """Looks up decisions, those under way in memory and all others in the ledger."""

    def __init__(
        self,
        genesis: Genesis,
        roster: Roster,
        requests: RequestBook,
        ledger: Ledger,
        membership: Callable[[], Membership],
        evidence: Callable[[], Sequence[Evidence]],
    ) -> None:
        """`membership` and `evidence` tell how things stand at the moment."""
        self._genesis = genesis
        self._roster = roster
        self._requests = requests
        self._ledger = ledger
        self._membership = membership
        self._evidence = evidence

    def record(self, request_id: RequestId) -> dict[str, Any] | None:
        """The whole transparency record of one request, decided or not; None if there is none."""
        state = self._requests.get(request_id)
        attempts, final = self._attempts(request_id)
        if not final:
            if state is None:
                return None
            return {
                "request_id": request_id.hex(),
                "status": "deciding",
                "attempt": len(attempts),
                "stage": str(state.stage) if state.stage else None,
                "elapsed_s": state.elapsed_ms / 1000,
                "timeline": self._named(state.timeline_json()),
            }
        entries = (
            state.timeline_json()
            if state
            else json.loads(self._ledger.timeline(request_id) or "[]")
        )
        certificate = self._certify(*_best(attempts))
        decided_ms = [entry["at_ms"] for entry in entries if entry["stage"] == Stage.DECIDED]
        return {
            **describe(certificate, self._membership_of(certificate.epoch)),
            "attempts": [_outcome(slot, index) for slot, index in attempts],
            "elapsed_s": decided_ms[-1] / 1000 if decided_ms else None,
            "timeline": self._named(entries),
            "evidence": [
                self.describe_evidence(evidence)
                for evidence in self._evidence()
                if _is_about(evidence, certificate)
            ],
            "certificate": f"/api/certificates/{request_id.hex()}",
        }

    def certificate(self, request_id: RequestId) -> Certificate | None:
        """Of the best attempt; None before the last one is decided."""
        attempts, final = self._attempts(request_id)
        return self._certify(*_best(attempts)) if final else None

    def _certify(self, slot: DecidedSlot, index: int) -> Certificate:
        epoch = slot.commits[0].message.epoch
        epochs = self._ledger.epochs()
        if epoch > len(epochs):
            raise QueryError(
                503,
                "epoch_unproven",
                f"The members of epoch {epoch} have not been proven to this node yet; ask again "
                "in a moment.",
            )
        return certificates.certify(slot, index, epochs)

    def _attempts(self, request_id: RequestId) -> tuple[list[tuple[DecidedSlot, int]], bool]:
        """The decided attempts, and whether the last one is among them."""
        state = self._requests.get(request_id)
        if state is not None and state.finished.is_set() and state.attempts:
            in_memory = state.attempts
            first = in_memory[0][0].batch[in_memory[0][1]]
            if isinstance(first, Item) and first.attempt == 0:
                return in_memory, True
        return self._ledger.attempts(request_id)

    def _membership_of(self, epoch: int) -> Membership:
        current = self._membership()
        if epoch == current.epoch:
            return current
        return self._ledger.epochs()[epoch - 1].membership if epoch else self._genesis.membership

    def _named(self, timeline: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "at_s": entry["at_ms"] / 1000,
                "stage": entry["stage"],
                "by": self._roster.name(entry["replica"]),
            }
            for entry in timeline
        ]

    def describe_evidence(self, evidence: Evidence) -> dict[str, Any]:
        """Who is proven faulty, and the signatures that prove it."""
        signed = signatures_of(evidence)
        return {
            "name": self._roster.name(accused(evidence)),
            "kind": kind_of(evidence),
            "message": type(signed[0].message).__name__,
            "signatures": [each.signature.hex() for each in signed],
        }


def _is_about(evidence: Evidence, certificate: Certificate) -> bool:
    match signatures_of(evidence)[0].message:
        case AnswerCommitment() | Seal() as message:
            return message.request_id == certificate.request_id
        case PrePrepare() | Prepare() | Commit() as vote:
            place = (certificate.epoch, certificate.sequence_number)
            return (vote.epoch, vote.sequence_number) == place
        case _:
            return False


def _best(attempts: list[tuple[DecidedSlot, int]]) -> tuple[DecidedSlot, int]:
    """The attempt that is the network's answer."""
    return max(attempts, key=lambda attempt: merit(_item(*attempt)))


def _item(slot: DecidedSlot, index: int) -> Item:
    entry = slot.batch[index]
    if not isinstance(entry, Item):
        raise InvariantViolation("requests point at answers only")
    return entry


def _outcome(slot: DecidedSlot, index: int) -> dict[str, Any]:
    item = _item(slot, index)
    return {
        "attempt": item.attempt,
        "status": str(item.outcome.status),
        "agreement_rate": ratio(item.outcome.agreement_rate_bp),
        "confidence": ratio(item.outcome.confidence_bp),
        "sequence_number": slot.sequence_number,
    }
