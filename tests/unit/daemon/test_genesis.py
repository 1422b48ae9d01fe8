"""The genesis file: one network id for all who combine the same records, and nothing sloppy."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import UsageError
from daemon.genesis import combine, parse_policy, read_genesis
from daemon.identity import read_member_record
from pbft.policy import Policy
from pbft.types import CHECKPOINT_INTERVAL, MEMBERS_MAX
from tests.support.founding import founded, member, write_genesis

IDENTITY = "01" + "00" * 31
SMALL_ORDER = [
    "00" * 32,
    IDENTITY,
    "ec" + "ff" * 30 + "7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]


def edited(folder: Path, change: Callable[[dict[str, Any]], object], n: int = 4) -> Path:
    """A genesis file after somebody's hand was in it."""
    document = json.loads(founded(n).to_text())
    change(document)
    path = folder / "edited.json"
    path.write_text(json.dumps(document))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_genesis(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Text and value are two forms of the same."""
    genesis = founded(4, Policy(similarity_threshold_bp=9_000))
    path = write_genesis(tmp_path, genesis)
    assert read_genesis(path) == genesis
    assert read_genesis(path).to_text() == path.read_text()


def test_the_entailment_judge_is_part_of_the_network(tmp_path: Path) -> None:
    """All members load the one that the file names; a file without one names none."""
    judged = replace(founded(4), entailment="owner/judge")
    assert read_genesis(write_genesis(tmp_path, judged)) == judged
    assert "entailment" not in founded(4).to_text()


def test_the_order_of_the_records_does_not_matter() -> None:
    """Whoever combines the same records gets the same file, byte for byte."""
    records = [member(number) for number in range(7)]
    texts = set()
    for seed in range(20):
        random.Random(seed).shuffle(records)  # noqa: S311 - the seed makes it repeatable
        texts.add(combine("test", records, Policy()).to_text())
    assert len(texts) == 1


def test_the_network_is_named_by_everything_but_addresses() -> None:
    """A member may move; another name, key, rule or embedder is another network."""
    genesis = founded(4)
    first, *rest = genesis.members
    moved = replace(genesis, members=(replace(first, addresses=("/ip4/192.0.2.1/tcp/1",)), *rest))
    assert moved.network == genesis.network
    others = [
        replace(genesis, network_name="test2"),
        replace(genesis, embedder="owner/other"),
        replace(genesis, entailment="owner/other"),
        replace(genesis, members=(replace(first, name="node-000x"), *rest)),
        replace(genesis, members=(replace(first, public_key=member(9).public_key), *rest)),
        replace(genesis, members=tuple(rest)),
        *(
            replace(genesis, policy=replace(Policy(), **{field.name: value}))
            for field in fields(Policy)
            if (value := _another(field.name)) is not None
        ),
    ]
    networks = {genesis.network, *(other.network for other in others)}
    assert len(networks) == 1 + len(others) == 1 + 6 + len(fields(Policy))


def _another(name: str) -> int | None:
    """A value of the policy's field that is allowed and not the default."""
    value: int = getattr(Policy(), name)
    for candidate in (value - 1, value + 1, value + CHECKPOINT_INTERVAL):
        try:
            replace(Policy(), **{name: candidate})
        except ValueError:
            continue
        return candidate
    return None


def test_the_smallest_and_the_largest_network() -> None:
    """One member is a network, MEMBERS_MAX are, and neither none nor one more."""
    assert founded(1).membership.quorum == 1
    assert founded(MEMBERS_MAX).membership.n == MEMBERS_MAX
    with pytest.raises(UsageError, match="at least one member"):
        combine("test", [], Policy())
    with pytest.raises(UsageError, match="129 members are more than the 128"):
        founded(MEMBERS_MAX + 1)


def test_two_members_of_one_name_are_refused() -> None:
    """Members are told apart by name in everything that people see."""
    with pytest.raises(UsageError, match="Two members are called bob"):
        combine("test", [member(1, "bob"), member(2, "alice"), member(3, "bob")], Policy())


def test_two_members_of_one_key_are_refused_by_name() -> None:
    """A key that counts twice would be two votes of one node."""
    with pytest.raises(UsageError, match="alice and bob have the same key"):
        combine("test", [member(1, "bob"), member(1, "alice"), member(3)], Policy())


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "a" * 64, "a\n", "../x", None, 1])
def test_bad_names_of_networks(name: Any) -> None:
    """Names are plain words, because they are printed in many places."""
    with pytest.raises(UsageError, match="does not fit"):
        combine(name, [member(1)], Policy())


@pytest.mark.parametrize(
    "key",
    [
        "",
        "00",
        "zz" * 32,
        member(1).public_key.hex().upper(),
        " " + member(1).public_key.hex()[1:],
        member(1).public_key.hex() + "00",
        7,
        None,
        ["00"] * 32,
        *SMALL_ORDER,
        *(key[:-2] + f"{int(key[-2:], 16) | 0x80:02x}" for key in SMALL_ORDER),
        "ed" + "ff" * 30 + "7f",  # p itself: y = 0, not reduced
        "ee" + "ff" * 30 + "7f",  # p + 1: the identity, not reduced
        "02" + "00" * 31,  # no point of the curve has this y
    ],
)
def test_bad_keys_are_refused(tmp_path: Path, key: Any) -> None:
    """Small order, not reduced, off the curve, wrong length or spelling: none becomes a member."""
    path = edited(tmp_path, lambda d: d["members"][0].update(public_key=key))
    assert "is not an Ed25519 key" in refusal(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(extra=1), "is not a genesis file"),
        (lambda d: d.pop("policy"), "is not a genesis file"),
        (lambda d: d.update(format="qnode genesis 2"), "is not a genesis file"),
        (lambda d: d.update(members={}), "members must be a list"),
        (lambda d: d.update(members=[]), "at least one member"),
        (lambda d: d["members"].append(5), "each member needs exactly"),
        (lambda d: d["members"][0].update(weight=2), "each member needs exactly"),
        (lambda d: d["members"][0].pop("addresses"), "each member needs exactly"),
        (lambda d: d["members"][0].update(addresses="x"), "must be a list of at most 8"),
        (lambda d: d["members"][0].update(addresses=["x"]), "is not a TCP multiaddr"),
        (lambda d: d["members"][0].update(addresses=[5]), "is not a TCP multiaddr"),
        (lambda d: d["members"][0].update(addresses=["/ip4/1.2.3.4/tcp/1"] * 9), "at most 8"),
        (lambda d: d["members"][0].update(name="a b"), "does not fit"),
        (lambda d: d["members"].reverse(), "not in order of name"),
        (lambda d: d["members"].append(d["members"][3]), "Two members are called"),
        (lambda d: d.update(embedder=""), "embedder must be"),
        (lambda d: d.update(embedder=None), "embedder must be"),
        (lambda d: d.update(embedder="x" * 257), "embedder must be"),
        (lambda d: d.update(entailment=""), "entailment must be"),
        (lambda d: d.update(entailment=None), "entailment must be"),
        (lambda d: d.update(entailment="x" * 257), "entailment must be"),
        (lambda d: d.update(entailment="a\nb"), "entailment must be"),
        (lambda d: d.update(network=[]), "does not fit"),
        (lambda d: d.update(policy=[]), "policy must be an object"),
        (lambda d: d["policy"].update(quorum=1), "policy.quorum is unknown"),
        (lambda d: d["policy"].update(tokens_max=True), "policy.tokens_max is True"),
        (lambda d: d["policy"].update(tokens_max=1.0), "policy.tokens_max is 1.0"),
        (lambda d: d["policy"].update(tokens_max=0), "policy.tokens_max is 0"),
        (lambda d: d["policy"].update(vote_numerator=1), "must be more than 1/2"),
        (lambda d: d["policy"].update(vote_numerator=4), "at most 1"),
    ],
)
def test_an_edited_file_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    """Each departure from what `qnode genesis` writes is named in one sentence with the file."""
    assert words in refusal(edited(tmp_path, change))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("[]", "not a JSON object"),
        ("{" * 100_000, "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": "qnode genesis 1", "format": "qnode genesis 1"}', "a key is repeated"),
        ('{"a": NaN}', "not valid JSON"),
        ('{"a": ' + "9" * 5_000 + "}", "not valid JSON"),
    ],
)
def test_text_that_is_not_the_json_of_an_object(tmp_path: Path, text: str, words: str) -> None:
    """The JSON reader's own quirks never reach the operator."""
    path = tmp_path / "genesis.json"
    path.write_text(text)
    assert words in refusal(path)


def test_a_key_repeated_deep_inside_is_refused(tmp_path: Path) -> None:
    """Two policies in one file must not be one for this reader and another for the next."""
    path = write_genesis(tmp_path, founded(4))
    text = path.read_text().replace('"tokens_max": 1024', '"tokens_max": 1024, "tokens_max": 1')
    path.write_text(text)
    assert "a key is repeated" in refusal(path)


def test_every_changed_policy_survives_the_file(tmp_path: Path) -> None:
    """What `--policy` sets is what all members read."""
    for field in fields(Policy):
        value = _another(field.name)
        assert value is not None
        policy = parse_policy({field.name: value})
        path = tmp_path / f"{field.name}.json"
        path.write_text(founded(4, policy).to_text())
        assert asdict(read_genesis(path).policy) == {**asdict(Policy()), field.name: value}


def test_a_record_of_a_member_is_no_genesis_file(tmp_path: Path) -> None:
    """The two files an operator has at hand are not mixed up."""
    path = write_genesis(tmp_path, founded(1))
    with pytest.raises(UsageError, match="is not a member record"):
        read_member_record(path)


def test_an_address_that_names_another_node_is_refused() -> None:
    """An address ending in a foreign peer id would stop every member at its start."""
    alien = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"
    with pytest.raises(UsageError, match="another node's peer id"):
        combine("test", [replace(member(2), addresses=(alien,))], Policy())
