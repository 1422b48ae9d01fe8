"""The optional judge of entailment, with a tiny model that is made here."""

from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from inference.errors import ModelUnavailable
from inference.nli import EntailmentModel, EntailmentSettings, load_entailment

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "rises", "falls", "?", "."]
PAIRS = [("It rises.", "It falls."), ("It rises.", "It rises?"), ("It falls.", "It rises.")]


def save(directory: Path, labels: list[str]) -> Path:
    """A cross-encoder of random weights, as sentence-transformers loads it."""
    (directory / "vocab.txt").write_text("\n".join(_WORDS))
    BertTokenizerFast(str(directory / "vocab.txt")).save_pretrained(directory)
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(_WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        id2label=dict(enumerate(labels)),
        label2id={label: n for n, label in enumerate(labels)},
    )
    model = BertForSequenceClassification(config)
    model.classifier.weight.data *= 40  # verdicts that differ from pair to pair
    model.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("nli"), ["entailment", "neutral", "contradiction"])


def loaded(directory: Path, start_bp: int = 0, depth_bp: int = 10_000) -> EntailmentModel:
    return load_entailment(EntailmentSettings(str(directory), "cpu", start_bp, depth_bp))


def test_a_penalty_is_the_chance_of_contradiction(directory: Path) -> None:
    """Between nothing and the depth, different for different pairs, the same every time."""
    found = loaded(directory).penalties_bp("?", PAIRS)
    assert all(0 <= penalty <= 10_000 for penalty in found)
    assert len(set(found)) > 1
    assert loaded(directory).penalties_bp("?", PAIRS) == found


def test_a_penalty_does_not_depend_on_order_or_company(directory: Path) -> None:
    """Both directions are read; batches move a verdict by a few points at most."""
    model = loaded(directory)
    together = model.penalties_bp("?", PAIRS)
    turned = model.penalties_bp("?", [(b, a) for a, b in PAIRS])
    alone = [model.penalties_bp("?", [pair])[0] for pair in PAIRS]
    for other in (turned, alone):
        assert max(abs(x - y) for x, y in zip(together, other, strict=True)) <= 3
    assert together[0] == pytest.approx(together[2], abs=3)


def test_doubt_costs_nothing(directory: Path) -> None:
    """Below the start there is no penalty, and above it a straight line up to the depth."""
    whole = loaded(directory).penalties_bp("?", PAIRS)
    for chance, penalty in zip(
        whole, loaded(directory, 4_000, 3_600).penalties_bp("?", PAIRS), strict=True
    ):
        assert penalty == pytest.approx(max(0, chance - 4_000) * 3_600 / 6_000, abs=2)


def test_nothing_to_judge(directory: Path) -> None:
    """No pairs, no pass through the model."""
    assert loaded(directory).penalties_bp("?", []) == []


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    """Without a label for contradiction it judges no entailment."""
    with pytest.raises(ModelUnavailable, match="contradiction"):
        loaded(save(tmp_path, ["toxic", "fine"]))


@pytest.mark.parametrize("name", ["packaged:nli", "./nowhere", "no name"])
def test_a_wrong_name_is_one_sentence(name: str) -> None:
    """With the next step."""
    with pytest.raises(ModelUnavailable, match=r"\.$"):
        load_entailment(EntailmentSettings(name))


def test_what_cannot_be_fetched_is_not_replaced_by_a_model_of_another_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model that writes text judges nothing."""

    def offline(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ModelUnavailable, match="do without a model of entailment") as caught:
        load_entailment(EntailmentSettings("no/such"))
    assert "packaged:" not in str(caught.value)
