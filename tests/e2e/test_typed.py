"""Real nodes are asked for a label, a number and several values; how clever the small model is does
not matter here."""

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from daemon.verification import verify_bytes
from pbft.errors import InvalidCertificate
from tests.support.network import RealNetwork

pytestmark = [pytest.mark.network, pytest.mark.model]

LABELS = ["yes", "no"]
STATUSES = ("agreed", "agreed_low_confidence", "no_agreement")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    network = RealNetwork(tmp_path_factory.mktemp("typed"), "node-1", "node-2", "node-3")
    try:
        network.start()
        network.restore()
        yield network
    finally:
        network.kill_all()


def decided(network: RealNetwork, question: str, **fields: Any) -> dict[str, Any]:
    """The record, which the certificate proves offline to the last byte."""
    reply = network.nodes[1].ask(question, **fields)
    assert reply.status == 200, reply.body
    record: dict[str, Any] = reply.json
    assert record["status"] in STATUSES
    certificate = network.nodes[2].decided(record["request_id"])["certificate"]
    text = network.nodes[2].get(certificate).body
    proven = verify_bytes(text, network.genesis)
    for part in ("kind", "values", "answers", "status", "answer", "clusters"):
        assert proven[part] == record[part]
    with pytest.raises(InvalidCertificate):
        verify_bytes(text.replace(b'"values"', b'"Values"'), network.genesis)
    return record


def test_a_label(network: RealNetwork) -> None:
    """Every node chooses one of the labels, and the agreed one is a majority's."""
    record = decided(network, "Is Paris in France?", kind="label", labels=LABELS)
    (value,) = record["values"].values()
    said = [answer["values"]["answer"] for answer in record["answers"] if answer["text"]]
    assert len(said) >= 2
    assert set(said) <= set(LABELS)
    assert record["similarity"] == {"names": [], "matrix": []}
    if value["status"] != "no_agreement":
        assert 3 * said.count(value["value"]) >= 2 * len(said)
        assert record["answer"]


def test_a_number(network: RealNetwork) -> None:
    """What was agreed lies between the quartiles, and whoever is far away is named."""
    record = decided(network, "How many days are in a week?", kind="number", unit="days")
    value = record["values"]["answer"]
    assert value["unit"] == "days"
    said = {a["name"]: Fraction(a["values"]["answer"]) for a in record["answers"] if a["text"]}
    if said:
        leading = Fraction(value["leading"])
        lower, upper = map(Fraction, value["quartiles"])
        assert lower <= leading <= upper
        assert leading in said.values()
        far = {name for name, n in said.items() if abs(n - leading) > abs(leading) / 50}
        assert {out["name"] for out in value["excluded"]} == far


def test_several_values(network: RealNetwork) -> None:
    """A schema has an outcome in each field, whatever the models made of it."""
    fields = [
        {"name": "answer", "kind": "label", "labels": LABELS},
        {"name": "city", "kind": "text"},
    ]
    record = decided(network, "Is Paris in France?", kind="schema", fields=fields)
    assert list(record["values"]) == ["answer", "city"]
    statuses = [value["status"] for value in record["values"].values()]
    assert record["status"] == max(statuses, key=STATUSES.index)


def test_wrong_fields_are_refused(network: RealNetwork) -> None:
    """By the node that was asked, with a sentence, and nothing is decided."""
    before = network.nodes[0].status()
    reply = network.nodes[0].ask("Which way?", kind="label", labels=["up", "UP"])
    assert reply.status == 400
    assert "'up'" in json.loads(reply.body)["error"]["message"]
    after = network.nodes[0].status()
    assert before is not None
    assert after is not None
    assert before["decided"] == after["decided"]
