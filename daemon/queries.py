"""What the HTTP port can ask of the node. Runs in the trio thread."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import trio

from daemon.config import Config
from daemon.consensus import Consensus, StateMachine
from daemon.decisions import Decisions
from daemon.executor import Executor
from daemon.genesis import Genesis
from daemon.governance import Governance
from daemon.ledger import Ledger
from daemon.modelwork import ModelWork
from daemon.queryerror import QueryError
from daemon.requests import RequestBook, RequestState
from daemon.roster import Roster
from daemon.transparency import ratio
from daemon.typed import single_values
from daemon.validation import inspection, told, validation
from inference import structured
from inference.engine import Engine, GenerationRequest
from inference.errors import InferenceError, InvalidRequest
from inference.language import Language
from p2p.network import PeerNetwork
from pbft import certificate as certificates
from pbft import digest
from pbft.certificate import Certificate
from pbft.events import Submitted
from pbft.item import request_fault
from pbft.membership import Membership
from pbft.messages import (
    Evidence,
    Field,
    Kind,
    Request,
)
from pbft.policy import Policy
from pbft.reputation import WEIGHT_INITIAL
from pbft.types import ReplicaId, RequestId

log = logging.getLogger("qnode.queries")

TOKENS_DEFAULT = 512
"""Enough for a reasoning model to think about a short question; most answers end far earlier."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question; the fields were checked for type and range."""

    question: str
    mode: str = "consensus"
    language: Language | None = None
    max_tokens: int = TOKENS_DEFAULT
    timeout_s: float | None = None
    kind: Kind = Kind.TEXT
    fields: tuple[Field, ...] = ()


class Queries:
    """Questions in, answers, certificates and status out."""

    def __init__(
        self,
        *,
        config: Config,
        genesis: Genesis,
        roster: Roster,
        replica: StateMachine,
        consensus: Consensus,
        requests: RequestBook,
        ledger: Ledger,
        network: PeerNetwork,
        last_number: int,
    ) -> None:
        self._config = config
        self._genesis = genesis
        self._roster = roster
        self._replica = replica
        self._consensus = consensus
        self._requests = requests
        self._ledger = ledger
        self._network = network
        self._last_number = last_number
        self._started_at = time.monotonic()
        self._engine: Engine | None = None
        self._models: ModelWork | None = None
        self._executor: Executor | None = None
        self.decisions = Decisions(
            genesis, roster, requests, ledger, lambda: self._membership, self._all_evidence
        )
        self.governance = Governance(genesis, replica, consensus, roster, ledger, network)

    def ready(self, engine: Engine, models: ModelWork, executor: Executor) -> None:
        """The models are loaded; until now every question is turned away."""
        self._engine, self._models, self._executor = engine, models, executor
        executor.on_change_noted = self.governance.on_noted

    # --- asking --------------------------------------------------------------------------------

    async def ask(self, query: Query) -> dict[str, Any]:
        """The network's answer, or this node's alone in single mode."""
        if report := told(inspection(query.question)):
            log.warning("a question for %s mode speaks to the model: %s", query.mode, report)
        if query.mode == "single":
            return await self._ask_model(query)
        state = await self._decided(query)
        return {"mode": "consensus", **self.consensus_record(state.request_id)}

    async def certified(self, query: Query) -> Certificate:
        """The certificate of the network's answer, as soon as there is one."""
        state = await self._decided(query)
        self._raise_if_rejected(state)
        certificate = self.decisions.certificate(state.request_id)
        if certificate is None:
            raise _not_found(state.request_id)
        return certificate

    async def _decided(self, query: Query) -> RequestState:
        """The question, submitted and waited for; it may have been rejected."""
        state = self._submit(query)
        patience_s = self._patience_s(query)
        with trio.move_on_after(patience_s):
            await state.finished.wait()
        if not state.finished.is_set():
            raise QueryError(
                504,
                "still_deciding",
                f"The network has not decided within {patience_s:g} seconds. It goes on: ask "
                f"GET /api/consensus/{state.request_id.hex()} later.",
                request_id=state.request_id.hex(),
            )
        return state

    async def begin(self, query: Query) -> dict[str, Any]:
        """Accept a question without waiting for its answer. Once this returns the question is on
        disk, and is answered whatever happens to this node."""
        state = self._submit(query)
        await state.accepted.wait()
        self._raise_if_rejected(state)
        return {"request_id": state.request_id.hex(), "status": "accepted"}

    def _submit(self, query: Query) -> RequestState:
        self._models_or_refuse()
        me = self._check_quorum()
        policy = self._policy
        timeout_ms = policy.inference_timeout_ms
        if query.timeout_s is not None:
            timeout_ms = min(timeout_ms, max(100, round(query.timeout_s * 1000)))
        self._last_number = max(self._last_number + 1, time.time_ns() // 1000)
        request = Request(
            network=self._genesis.network,
            replica=me,
            number=self._last_number,
            kind=query.kind,
            prompt=query.question,
            language=query.language or "",
            max_tokens=min(query.max_tokens, policy.tokens_max),
            timeout_ms=timeout_ms,
            fields=query.fields,
        )
        if fault := request_fault(request, policy):
            raise QueryError(400, "bad_question", fault)
        state = self._requests.open(digest.request_id(request))
        self._consensus.put(Submitted(request))
        return state

    def _patience_s(self, query: Query) -> float:
        """Time to answer, plus what the network itself needs at worst."""
        policy = self._policy
        inference_s = policy.inference_timeout_ms / 1000
        if query.timeout_s is not None:
            inference_s = min(inference_s, query.timeout_s)
        consensus_s = (policy.seal_grace_ms + 2 * policy.reveal_grace_ms) / 1000
        return policy.attempts_max * (inference_s + consensus_s) + 10

    async def _ask_model(self, query: Query) -> dict[str, Any]:
        models = self._models_or_refuse()
        policy = self._policy
        began = time.monotonic()
        timeout_s = policy.inference_timeout_ms / 1000
        if query.timeout_s is not None:
            timeout_s = min(timeout_s, query.timeout_s)
        try:
            request = GenerationRequest(
                question=query.question,
                language=query.language,
                max_tokens=min(query.max_tokens, policy.tokens_max),
                temperature_milli=policy.temperature_milli,
                seed=time.time_ns() & (2**62 - 1),
                instruction=structured.instruction(query.fields, query.question, query.language),
            )
            with trio.fail_after(timeout_s):
                generation, reading = await models.ask(request, query.fields)
        except trio.TooSlowError:
            raise QueryError(
                504, "timeout", f"The model did not answer within {timeout_s:g} seconds."
            ) from None
        except InvalidRequest as error:
            raise QueryError(400, "bad_question", str(error)) from None
        except InferenceError as error:
            raise QueryError(502, "model_failed", str(error)) from None
        return {
            "mode": "single",
            "status": "single",
            "agreed": False,
            "kind": str(query.kind),
            "answer": generation.text,
            "validation": None
            if query.fields
            else validation(query.question, generation.text, (), generation.finish),
            "inspection": inspection(query.question),
            "values": single_values(query.fields, reading.values),
            "units": {field.name: field.unit or None for field in query.fields},
            "finish": generation.finish,
            "model": generation.model,
            "name": self._config.name,
            "elapsed_s": round(time.monotonic() - began, 3),
            "inference_s": generation.elapsed_ms / 1000,
        }

    def _models_or_refuse(self) -> ModelWork:
        if self._models is None:
            raise QueryError(503, "loading", "The model is still loading; ask again in a moment.")
        return self._models

    @property
    def _policy(self) -> Policy:
        return self._replica.state.policy

    @property
    def _membership(self) -> Membership:
        return self._replica.state.membership

    def _check_quorum(self) -> ReplicaId:
        """This node's number, if it can ask the network."""
        membership = self._membership
        me = self._replica.me
        if me is None:
            raise QueryError(
                503,
                "no_member",
                "This node is no member yet; ask a member, or ask with mode single.",
            )
        reachable = self._reachable()
        if reachable < membership.quorum:
            raise QueryError(
                503,
                "no_quorum",
                f"{reachable} of {membership.n} members are reachable and {membership.quorum} "
                "are needed to agree; start the others, or ask with mode single.",
            )

        return me

    def _reachable(self) -> int:
        """How many members, this node among them, can take part in a vote."""
        keys = {member.public_key for member in self._membership.members}
        others = sum(1 for p in self._network.peers() if p.connected and p.public_key in keys)
        return others + (self._replica.me is not None)

    def _raise_if_rejected(self, state: RequestState) -> None:
        if state.rejected is not None:
            raise QueryError(429, "rejected", state.rejected)

    # --- looking up ----------------------------------------------------------------------------

    def consensus_record(self, request_id: RequestId) -> dict[str, Any]:
        """The whole transparency record of one request, decided or not."""
        state = self._requests.get(request_id)
        if state is not None:
            self._raise_if_rejected(state)
        record = self.decisions.record(request_id)
        if record is None:
            # While the models load, the log is not read back yet: it may be in there.
            self._models_or_refuse()
            raise _not_found(request_id)
        return record

    def certificate_text(self, request_id: RequestId) -> str:
        certificate = self.decisions.certificate(request_id)
        if certificate is None:
            raise _not_found(request_id)
        return certificates.to_text(certificate)

    def _all_evidence(self) -> list[Evidence]:
        return self._executor.seen.evidence if self._executor else []

    # --- status --------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        membership = self._membership
        name_of = self._roster.name
        refused = self._executor.seen.refused if self._executor else {}
        peers = [
            {
                "name": peer.name,
                "connected": peer.connected,
                "address": peer.address or None,
                "rtt_ms": None if peer.rtt_ms != peer.rtt_ms else round(peer.rtt_ms, 2),
                "frames_in": peer.frames_in,
                "frames_out": peer.frames_out,
                "bytes_in": peer.bytes_in,
                "bytes_out": peer.bytes_out,
            }
            for peer in self._network.peers()
        ]
        reachable = self._reachable()
        return {
            "name": self._config.name,
            "state": self._state(),
            "network": self._genesis.network_name,
            "network_id": self._genesis.network.hex(),
            "replica": self._replica.me,
            "epoch": membership.epoch,
            "members": [member.name for member in membership.members],
            "weights": {
                member.name: self._replica.state.weight(member.replica) / WEIGHT_INITIAL
                for member in membership.members
            },
            "quorum": membership.quorum,
            "faults_tolerated": membership.f,
            "reachable": reachable,
            "can_agree": reachable >= membership.quorum,
            "view": self._replica.view,
            "primary": name_of(self._replica.primary),
            "decided": self._replica.applied,
            "open_requests": self._requests.open_count,
            "model": self._engine.model if self._engine else None,
            "device": self._engine.device if self._engine else None,
            "peers": peers,
            "addresses": list(self._network.addresses),
            "refused": [
                {"name": name_of(source), "reason": reason, "count": count}
                for (source, reason), count in sorted(refused.items())
            ],
            "connections_refused": dict(self._network.refusals),
            "evidence": [self.decisions.describe_evidence(e) for e in self._all_evidence()],
            "uptime_s": round(time.monotonic() - self._started_at, 1),
        }

    def _state(self) -> str:
        if self._models is None:
            return "loading"
        if self._replica.me is None:
            return "joining"
        return "ready" if self._replica.takes_part else "recovering"

    def models(self) -> dict[str, Any]:
        policy = self._policy
        return {
            "model": self._engine.model if self._engine else None,
            "device": self._engine.device if self._engine else None,
            "state": self._state(),
            "embedder": self._genesis.embedder,
            "entailment": self._genesis.entailment or None,
            "max_tokens": policy.tokens_max,
            "inference_timeout_s": policy.inference_timeout_ms / 1000,
            "similarity_threshold": ratio(policy.similarity_threshold_bp),
            "confidence_threshold": ratio(policy.confidence_threshold_bp),
        }


def _not_found(request_id: RequestId) -> QueryError:
    return QueryError(404, "not_found", f"This node knows no request {request_id.hex()}.")
