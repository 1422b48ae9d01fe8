"""A certificate as a document for people and programs: who said what, and why it was agreed.

Everything here is read from the certificate, so that `qnode verify` shows offline exactly what
the node that was asked has shown. Ratios are from 0 to 1, times in seconds.
"""

from itertools import combinations
from typing import Any

from daemon import typed
from daemon.validation import inspection, validation
from inference.engine import Finish
from pbft.certificate import Certificate
from pbft.item import is_abstention, voters
from pbft.membership import Membership
from pbft.outcome import triangle_index
from pbft.types import FULL_BP, ReplicaId

Names = dict[ReplicaId, str]


def describe(certificate: Certificate, membership: Membership) -> dict[str, Any]:
    """The whole story of one decision. `membership` is that of its epoch."""
    item = certificate.item
    outcome = item.outcome
    request = item.request.message
    names = {member.replica: member.name for member in membership.members}
    answers = _answers(certificate, names)
    agreed = next((a for a in answers if a["replica"] == outcome.representative), None)
    return {
        "request_id": certificate.request_id.hex(),
        "question": request.prompt,
        "language": request.language or None,
        "kind": str(request.kind),
        "asked": names[request.replica],
        "status": str(outcome.status),
        "answer": agreed["text"] if agreed else None,
        "values": typed.agreed_values(request.fields, outcome, names),
        "validation": _validation(certificate, answers, agreed),
        "inspection": inspection(request.prompt),
        "fallback": None if agreed else _fallback(certificate, answers),
        "agreement_rate": ratio(outcome.agreement_rate_bp),
        "confidence": ratio(outcome.confidence_bp),
        "distinct_models": outcome.distinct_models,
        "inference_s": max((a["elapsed_s"] for a in answers), default=0.0),
        "attempt": item.attempt,
        "replicas": membership.n,
        "quorum": membership.quorum,
        "network": certificate.network.hex(),
        "epoch": certificate.epoch,
        "view": certificate.view,
        "sequence_number": certificate.sequence_number,
        "answers": answers,
        "similarity": _matrix(certificate, names),
        "contradictions": _contradictions(certificate, names),
        "clusters": [[names[replica] for replica in cluster] for cluster in outcome.clusters],
        "seals": [
            {
                "number": seal.message.number,
                "primary": names[seal.message.replica],
                "sealed": [names[c.message.replica] for c in seal.message.commitments],
            }
            for seal in item.seals
        ],
        "signatures": [
            {"name": names[commit.replica], "signature": commit.signature.hex()}
            for commit in certificate.commits
        ],
    }


def _validation(
    certificate: Certificate, answers: list[dict[str, Any]], agreed: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Of the agreed answer; None without one, and for values, whose form was checked."""
    request = certificate.item.request.message
    if agreed is None or request.fields:
        return None
    others = [a["text"] for a in answers if a is not agreed and a["cluster"] is not None]
    finish: Finish = "length" if agreed["finish"] == "length" else "stop"
    return validation(request.prompt, agreed["text"], others, finish)


def ratio(basis_points: int) -> float:
    return basis_points / FULL_BP


def _answers(certificate: Certificate, names: Names) -> list[dict[str, Any]]:
    """Every member, in order, also those who said nothing or came too late."""
    item = certificate.item
    revealed = {reveal.message.replica: reveal.message.answer for reveal in item.reveals}
    cluster_of = {
        replica: number
        for number, cluster in enumerate(item.outcome.clusters)
        for replica in cluster
    }
    weights = {
        reveal.message.replica: weight
        for reveal, weight in zip(item.reveals, item.weights, strict=True)
    }
    described = []
    sealed = _sealed(certificate)
    for replica, name in names.items():
        answer = revealed.get(replica)
        described.append(
            {
                "replica": replica,
                "name": name,
                "text": answer.text if answer else "",
                "finish": str(answer.finish) if answer else _absence(sealed=replica in sealed)[0],
                "note": answer.note if answer else _absence(sealed=replica in sealed)[1],
                "values": typed.said_values(item.request.message.fields, answer),
                "model": answer.model if answer else "",
                "output_tokens": answer.output_tokens if answer else 0,
                "elapsed_s": answer.elapsed_ms / 1000 if answer else 0.0,
                "weight": ratio(weights.get(replica, 0)),
                "late": sealed.get(replica, False),
                "cluster": cluster_of.get(replica),
            }
        )
    return described


def _absence(*, sealed: bool) -> tuple[str, str]:
    """Why there is no answer of a member."""
    if sealed:
        return "silent", "committed and did not reveal"
    return "absent", "had not committed when the list was sealed"


def _sealed(certificate: Certificate) -> dict[ReplicaId, bool]:
    """Whether each sealed replica's commitment came after the first seal."""
    return {
        commitment.message.replica: seal.message.number > 0
        for seal in certificate.item.seals
        for commitment in seal.message.commitments
    }


def _fallback(certificate: Certificate, answers: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One node's answer where the network has none: the first of the strongest cluster's."""
    clusters = certificate.item.outcome.clusters
    if not clusters:
        return None
    answer = next(a for a in answers if a["replica"] == clusters[0][0])
    return {"text": answer["text"], "name": answer["name"], "agreed": False}


def _matrix(certificate: Certificate, names: Names) -> dict[str, Any]:
    """The square, symmetric matrix over those who answered."""
    item = certificate.item
    if item.request.message.fields:  # values are compared exactly, not measured
        return {"names": [], "matrix": []}
    replicas = [reveal.replica for reveal in voters(item.reveals)]
    n = len(replicas)
    matrix = [[1.0] * n for _ in range(n)]
    for first, second in combinations(range(n), 2):
        value = ratio(item.similarities_bp[triangle_index(first, second, n)])
        matrix[first][second] = matrix[second][first] = value
    return {"names": [names[replica] for replica in replicas], "matrix": matrix}


def _contradictions(certificate: Certificate, names: Names) -> list[dict[str, Any]]:
    answering = [
        names[reveal.message.replica]
        for reveal in certificate.item.reveals
        if not is_abstention(reveal.message.answer)
    ]
    return [
        {"between": [answering[c.first], answering[c.second]], "reason": c.reason}
        for c in certificate.item.contradictions
    ]
