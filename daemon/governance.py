"""What the HTTP port can ask about the members, and what this node's operator may do about them.

Runs in the trio thread.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import trio

from daemon.consensus import Consensus, StateMachine
from daemon.errors import UsageError
from daemon.genesis import Genesis
from daemon.identity import check_addresses, check_name, check_public_key
from daemon.ledger import Ledger
from daemon.queryerror import QueryError
from daemon.roster import Roster
from p2p.network import PeerNetwork
from pbft import digest
from pbft.codec import encode_value
from pbft.document import from_json, to_json
from pbft.effects import ChangeNoted
from pbft.errors import Malformed
from pbft.events import ChangeEndorsed
from pbft.evidence import accused, kind_of
from pbft.membership import (
    Change,
    Join,
    Leave,
    Membership,
    Renew,
    ReplaceKey,
    SetPolicy,
    endorsements_needed,
)
from pbft.messages import Accusation, EndorsedChange
from pbft.policy import Policy
from pbft.reputation import WEIGHT_INITIAL
from pbft.types import ReplicaId

_PATIENCE_S = 10.0


class Governance:
    """Members, changes that are wanted, and the history of both."""

    def __init__(
        self,
        genesis: Genesis,
        replica: StateMachine,
        consensus: Consensus,
        roster: Roster,
        ledger: Ledger,
        network: PeerNetwork,
    ) -> None:
        self._genesis = genesis
        self._replica = replica
        self._consensus = consensus
        self._roster = roster
        self._ledger = ledger
        self._network = network
        self._waiting: list[tuple[Change, trio.Event, list[str | None]]] = []

    # --- looking -------------------------------------------------------------------------------

    def members(self) -> dict[str, Any]:
        """Who they are now, how the ledger weighs them, and what somebody wants to change."""
        state = self._replica.state
        membership = state.membership
        connected = {peer.public_key for peer in self._network.peers() if peer.connected}
        return {
            "network": self._genesis.network_name,
            "epoch": membership.epoch,
            "since_slot": membership.start,
            "quorum": membership.quorum,
            "faults_tolerated": membership.f,
            "members": [
                {
                    "replica": member.replica,
                    "name": member.name,
                    "public_key": member.public_key.hex(),
                    "weight": state.weight(member.replica) / WEIGHT_INITIAL,
                    "proven_faulty": state.weight(member.replica) == 0,
                    "connected": member.public_key in connected
                    or member.replica == self._replica.me,
                    "this_node": member.replica == self._replica.me,
                }
                for member in membership.members
            ],
            "policy": asdict(state.policy),
            "pending": self._sentence(state.pending) if state.pending else None,
            "wanted": [self._wanted(entry) for entry in self._replica.changes],
        }

    def _wanted(self, entry: EndorsedChange) -> dict[str, Any]:
        return {
            "id": change_id(entry.change),
            "change": to_json(entry.change, Change),
            "sentence": self._sentence(entry.change),
            "endorsed_by": self._names(e.replica for e in entry.endorsements),
            "needed": endorsements_needed(entry.change, self._replica.state.membership),
        }

    def history(self) -> dict[str, Any]:
        """All epochs, and what the ledger says about the changes between and about faults."""
        epochs = [_epoch(self._genesis.membership, self._genesis.policy, proven=True)]
        epochs += [_epoch(e.membership, e.policy, proven=True) for e in self._ledger.epochs()]
        state = self._replica.state
        if state.membership.epoch == len(epochs):
            epochs.append(_epoch(state.membership, state.policy, proven=False))
        changes, faults = [], []
        for number, entry in self._ledger.motions():
            match entry:
                case EndorsedChange():
                    changes.append({"slot": number, "epoch": entry.epoch, **self._wanted(entry)})
                case Accusation(evidence):
                    replica = accused(evidence)
                    name = self._roster.name(replica)
                    faults.append({"slot": number, "name": name, "kind": kind_of(evidence)})
        return {"epochs": epochs, "changes": changes, "faults": faults}

    def _names(self, replicas: Iterable[ReplicaId]) -> list[str]:
        return [self._roster.name(replica) for replica in replicas]

    def _sentence(self, change: Change) -> str:
        match change:
            case Join(name, public_key, _):
                return f"{name} (key {public_key.hex()[:16]}…) joins"
            case Leave(replica):
                return f"{self._roster.name(replica)} leaves"
            case ReplaceKey(replica, public_key):
                return f"{self._roster.name(replica)} gets the key {public_key.hex()[:16]}…"
            case SetPolicy(policy):
                return f"the policy changes: {_difference(self._replica.state.policy, policy)}"
            case Renew(replica, _):
                return f"a new epoch for {self._roster.name(replica)}, which lost its log"

    # --- changing ------------------------------------------------------------------------------

    async def endorse(self, document: dict[str, Any]) -> dict[str, Any]:
        """Sign a change in this node's name. `document` holds `change`, or the `id` of one that
        somebody wants already."""
        change = self._change(document)
        noted = trio.Event()
        result: list[str | None] = []
        self._waiting.append((change, noted, result))
        self._consensus.put(ChangeEndorsed(change))
        with trio.move_on_after(_PATIENCE_S):
            await noted.wait()
        if not result:
            raise QueryError(503, "busy", "The node is busy; look at `qnode members list`.")
        if result[0] is not None:
            raise QueryError(409, "change_refused", result[0])
        entry = next((e for e in self._replica.changes if e.change == change), None)
        if entry is None:  # it was the last signature needed, and the change is on its way
            return {"id": change_id(change), "sentence": self._sentence(change)}
        return self._wanted(entry)

    def on_noted(self, effect: ChangeNoted) -> None:
        """The replica has signed, or refused."""
        for waiting in [w for w in self._waiting if w[0] == effect.change]:
            self._waiting.remove(waiting)
            waiting[2].append(effect.refused)
            waiting[1].set()

    def _change(self, document: dict[str, Any]) -> Change:
        if set(document) == {"id"}:
            for entry in self._replica.changes:
                if change_id(entry.change) == document["id"]:
                    return entry.change
            raise QueryError(
                404, "not_found", "Nobody wants that change; `qnode members list` shows which."
            )
        if set(document) != {"change"}:
            raise QueryError(400, "bad_request", 'Send {"change": …} or {"id": …}.')
        try:
            change: Change = from_json(document["change"], Change)  # type: ignore[arg-type]
            if isinstance(change, Join):
                check_name(change.name)
                check_addresses(list(change.addresses))
            if isinstance(change, Join | ReplaceKey):
                check_public_key(change.public_key.hex())
        except Malformed as error:
            raise QueryError(400, "bad_change", f"That is no change: {error}.") from None
        except UsageError as error:
            raise QueryError(400, "bad_change", str(error)) from None
        return change


def change_id(change: Change) -> str:
    """Short enough to be typed, long enough that no two changes of one epoch share it."""
    return digest.plain_digest(b"change", encode_value(change, Change)).hex()[:12]


def _epoch(membership: Membership, policy: Policy, *, proven: bool) -> dict[str, Any]:
    return {
        "epoch": membership.epoch,
        "since_slot": membership.start,
        "members": [member.name for member in membership.members],
        "policy": asdict(policy),
        "proven": proven,
    }


def _difference(old: Policy, new: Policy) -> str:
    before, after = asdict(old), asdict(new)
    changed = [
        f"{name} from {before[name]} to {after[name]}"
        for name in before
        if before[name] != after[name]
    ]
    return ", ".join(changed) or "not at all"
