"""What real nodes tell over HTTP, and whether it fits together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.errors import QnodeError
from daemon.genesis import Genesis
from daemon.verification import verify_bytes
from pbft.certificate import Certificate, from_text
from pbft.errors import InvalidCertificate
from simulator.errors import BadScenario
from simulator.live.nodes import LiveNode
from simulator.plan import Plan

EXPECTED = ("accused", "accused_within", "decided_min", "epoch_min", "view_min")
"""What a scenario can say about the end of a live run."""


@dataclass(slots=True)
class Asked:
    """A question that a node accepted, and each node's certificate."""

    node: int
    request_id: str
    records: dict[int, Certificate] = field(default_factory=dict)


def check_expectations(plan: Plan) -> None:
    """Raises `BadScenario` for what only virtual time can tell."""
    for name in plan.expect:
        if name not in EXPECTED:
            raise BadScenario(f"Live, [expect] knows {', '.join(EXPECTED)}; not {name}.")


def fetch(asked: Asked, nodes: Mapping[int, LiveNode], genesis: Genesis) -> bool:
    """Whether every one of the nodes has the decision; each certificate is verified."""
    for number, node in nodes.items():
        if number in asked.records:
            continue
        try:
            with node.asked() as client:
                record = client.get(f"/api/consensus/{asked.request_id}")
                if "certificate" not in record:
                    return False
                text = client.get_text(record["certificate"])
        except (OSError, QnodeError):
            return False
        verify_bytes(text.encode(), genesis)
        asked.records[number] = from_text(text)
    return True


def history_fault(questions: Iterable[Asked]) -> str | None:
    """What the nodes' answers contradict each other in; None if they do not."""
    places: dict[tuple[int, int], str] = {}
    for asked in questions:
        certificates = list(asked.records.values())
        for certificate in certificates:
            first = certificates[0]
            if (certificate.item, certificate.sequence_number) != (
                first.item,
                first.sequence_number,
            ):
                return f"Two nodes tell different decisions of {asked.request_id}."
            try:
                if certificate.request_id.hex() != asked.request_id:
                    return f"A node tells another decision than that of {asked.request_id}."
            except InvalidCertificate as error:
                return str(error)
        if certificates:
            place = (certificates[0].sequence_number, certificates[0].index)
            if places.setdefault(place, asked.request_id) != asked.request_id:
                return f"Two questions are at one place of the ledger, {place}."
    return None


@dataclass(frozen=True, slots=True)
class Told:
    """What a node tells of its network by now."""

    view: int
    epoch: int
    accused: list[int]
    """The members of whose faults there is proof in the ledger; none ever leaves a live run."""


def told_by(node: LiveNode) -> Told | None:
    """None from a node that does not answer."""
    try:
        with node.asked() as client:
            status = client.get("/api/ai/status")
            faults = client.get("/api/cluster/history")["faults"]
    except (OSError, QnodeError):
        return None
    accused = {status["members"].index(fault["name"]) for fault in faults}
    return Told(status["view"], status["epoch"], sorted(accused))


def unexpected(expect: Mapping[str, Any], told: Mapping[int, Told], decided: int) -> str | None:
    """What is not as the scenario says; None if all is. `told`: by the honest nodes."""
    if decided < expect.get("decided_min", 0):
        return f"decided_min was to be {expect['decided_min']}; {decided} questions were decided."
    for name in ("view", "epoch"):
        last = max((getattr(each, name) for each in told.values()), default=0)
        if last < expect.get(f"{name}_min", 0):
            return f"{name}_min was to be {expect[f'{name}_min']}; the last {name} is {last}."
    for number, each in told.items():
        if "accused" in expect and each.accused != sorted(expect["accused"]):
            return f"accused was to be {expect['accused']}; to node {number} it is {each.accused}."
        allowed = expect.get("accused_within", each.accused)
        if not set(each.accused) <= set(allowed):
            return f"accused_within was to be {allowed}; node {number} accuses {each.accused}."
    return None
