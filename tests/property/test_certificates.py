"""A certificate proves one thing, in one text: whatever is changed in it, it proves nothing."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft import digest
from pbft.certificate import Certificate, certify, from_text, to_text, verify
from pbft.errors import InvalidCertificate
from pbft.messages import DecidedSlot
from pbft.outcome import Contradiction
from tests.support import forge
from tests.support.cluster import Cluster, answer
from tests.support.keyring import members_with

RULES = forge.rules(4)

Path = tuple[str | int, ...]


@cache
def certificate() -> Certificate:
    """With a dissenter, an abstention and a contradiction in it."""
    cluster = Cluster(
        4,
        ["Paris é", "Paris.", "Lyon \U0001f600", None],
        compare=lambda _answers: ((9_600, 3_000, 3_000), (Contradiction(0, 2, "numbers"),)),
    )
    cluster.ask(0)
    cluster.settle()
    return certify(cluster.nodes[1].ledger[1], 0)


@cache
def text() -> str:
    return to_text(certificate())


def refuse(changed: str) -> None:
    with pytest.raises(InvalidCertificate) as caught:
        verify(from_text(changed), RULES)
    assert str(caught.value).endswith("."), "one sentence for a person"


def test_the_honest_certificate_is_accepted() -> None:
    """What is spoilt below is right before, and is the text's own inverse."""
    assert from_text(text()) == certificate()
    verify(from_text(text()), RULES)


@settings(max_examples=400)
@given(st.integers(0, 10**6), st.characters())
def test_no_character_can_be_replaced(place: int, character: str) -> None:
    """Any one character of the text replaced by any other is refused."""
    place %= len(text())
    if character != text()[place]:
        refuse(text()[:place] + character + text()[place + 1 :])


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.characters())
def test_no_character_can_be_inserted(place: int, character: str) -> None:
    """Any one character more, white space included, is refused."""
    place %= len(text()) + 1
    refuse(text()[:place] + character + text()[place:])


@settings(max_examples=200)
@given(st.integers(0, 10**6))
def test_no_character_can_be_deleted(place: int) -> None:
    """Any one character fewer is refused."""
    place %= len(text())
    refuse(text()[:place] + text()[place + 1 :])


@settings(max_examples=300)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_no_bit_of_the_file_can_be_flipped(place: int, bit: int) -> None:
    """The file with one bit changed is no text, or no certificate."""
    data = bytearray(text().encode())
    data[place % len(data)] ^= 1 << bit
    try:
        changed = data.decode()
    except UnicodeDecodeError:
        return
    refuse(changed)


# --- fields ------------------------------------------------------------------------------------


def leaves(document: Any, path: Path = ()) -> Iterator[Path]:
    """Paths to everything in a document, containers included."""
    if path:
        yield path
    if isinstance(document, dict):
        for name, value in document.items():
            yield from leaves(value, (*path, name))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from leaves(value, (*path, index))


def changed_at(path: Path, value: Any) -> str:
    """The text with the value at `path` replaced, in the canonical layout."""
    document = copy.deepcopy(json.loads(text()))
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def value_at(path: Path) -> Any:
    value = json.loads(text())
    for step in path:
        value = value[step]
    return value


def others(value: Any) -> st.SearchStrategy[Any]:
    """Other values of the same JSON type, near and far."""
    match value:
        case int():
            return st.sampled_from([0, 1, 2, 3, 10_000, 2**64 - 1, 2**64, -1]) | st.just(value + 1)
        case str() if value and all(c in "0123456789abcdef" for c in value):
            same_length = st.binary(min_size=len(value) // 2, max_size=len(value) // 2)
            return same_length.map(bytes.hex) | st.just(value.upper()) | st.just(value[:-2])
        case str():
            return (
                st.sampled_from(["", "text", "stop", "agreed", "no_agreement", "\ud800"])
                | st.text()
            )
        case list():
            return st.just([*value, *value[:1]]) | st.just(value[1:]) | st.just(value[::-1])
        case dict():
            pairs = list(value.items())
            return st.sampled_from([dict(pairs[1:]), dict(pairs[::-1]), value | {"more": 1}])
        case _:
            return st.sampled_from([0, 1])


@settings(max_examples=400)
@given(st.data())
def test_no_field_can_be_given_another_value(data: st.DataObject) -> None:
    """Any field with another value of its type is refused with `InvalidCertificate`."""
    path = data.draw(st.sampled_from(sorted(leaves(json.loads(text())), key=str)))
    value = value_at(path)
    other = data.draw(others(value))
    if type(other) is not type(value) or json.dumps(other) != json.dumps(value):
        refuse(changed_at(path, other))


@settings(max_examples=200)
@given(st.data())
def test_no_field_can_be_given_another_type(data: st.DataObject) -> None:
    """Nor does any other kind of JSON value raise anything else."""
    path = data.draw(st.sampled_from(sorted(leaves(json.loads(text())), key=str)))
    other = data.draw(st.sampled_from([None, True, 1.5, "x", [], {}, [[]], "00" * 32, 1e400]))
    if json.dumps(other) != json.dumps(value_at(path)):
        refuse(changed_at(path, other))


@pytest.mark.parametrize("name", ["request", "seals", "reveals", "outcome"])
def test_a_lone_surrogate_anywhere_is_refused(name: str) -> None:
    """JSON can write half a character, which no encoding can: refused like any other fault."""
    for path in leaves(json.loads(text())):
        if path[:2] == ("item", name) and isinstance(value_at(path), str):
            refuse(changed_at(path, "\ud800"))
            escaped = changed_at(path, "SURROGATE").replace("SURROGATE", "\\ud800")
            refuse(escaped)


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "null",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": "qnode certificate 1"}',
        '{"format": "qnode certificate 2"}',
        '{"format": ["qnode certificate 1"]}',
        '{"a":' * 5_000,
        "1" * 10_000,
        "NaN",
        "\x00",
        "\ufeff{}",
        "\ud800",
        '"\\ud800"',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_no_text_raises_anything_else(hostile: str) -> None:
    """Whatever a user passes as a certificate, the answer is one sentence."""
    refuse(hostile)


def test_an_oversize_text_is_refused_unread() -> None:
    """A file of any size takes no time."""
    refuse(" " * (16 * 1024 * 1024 + 1))


# --- signatures --------------------------------------------------------------------------------


def test_a_certificate_is_for_one_network_and_one_epoch() -> None:
    """With another genesis file or member list, the same text proves nothing."""
    for rules in (
        replace(RULES, network=bytes(32)),
        replace(RULES, membership=replace(RULES.membership, epoch=1)),
        replace(RULES, membership=forge.rules(7).membership),
        replace(
            RULES,
            membership=members_with([m.public_key for m in RULES.membership.members[::-1]]),
        ),
        replace(RULES, policy=replace(RULES.policy, similarity_threshold_bp=9_601)),
    ):
        with pytest.raises(InvalidCertificate):
            verify(certificate(), rules)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_a_quorum_of_signatures_prove_nothing(count: int) -> None:
    """Every signature counts once."""
    commits = certificate().commits[:count]
    for forged in (commits, commits + commits[:1] * 3):
        with pytest.raises(InvalidCertificate):
            verify(replace(certificate(), commits=forged), RULES)


def test_a_quorum_that_lies_about_the_outcome_convinces_nobody() -> None:
    """Even with a quorum's signatures, an outcome that does not follow from the answers is
    refused: the verifier computes it again."""
    item = certificate().item
    lie = replace(item, outcome=replace(item.outcome, confidence_bp=10_000))
    of = forge.batch_digest((lie,))
    slot = DecidedSlot((lie,), tuple(forge.commit(i, of) for i in range(4)))
    with pytest.raises(InvalidCertificate, match="does not follow"):
        verify(certify(slot, 0), RULES)


def test_one_item_of_a_batch_is_certified_by_itself() -> None:
    """Of a batch of two, each item's certificate holds, and neither passes for the other."""
    items = []
    for number in (1, 2):
        asked = forge.request(0, number)
        request_id = digest.request_id(asked)
        openings = tuple(forge.reveal(request_id, i, answer("Paris")) for i in range(4))
        items.append(forge.item(asked, openings, (9_600,) * 6))
    batch = tuple(items)
    of = forge.batch_digest(batch)
    slot = DecidedSlot(batch, tuple(forge.commit(i, of) for i in (0, 1, 3)))
    for index in (0, 1):
        made = certify(slot, index)
        verify(from_text(to_text(made)), RULES)
        with pytest.raises(InvalidCertificate):
            verify(replace(made, index=1 - index), RULES)
        with pytest.raises(InvalidCertificate):
            verify(replace(made, index=2), RULES)
        with pytest.raises(InvalidCertificate):
            verify(replace(made, entry_digests=made.entry_digests[::-1]), RULES)
