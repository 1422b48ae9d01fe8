"""The reader: what it measures of pairs does not depend on company, order or threads."""

from itertools import combinations
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import inference.reader as reader_module
from inference.analysis import analyse
from inference.calibration import Likeness
from inference.catalog import DEFAULT_EMBEDDER, MULTILINGUAL_EMBEDDER
from inference.embedding import EmbedderSettings
from inference.equivalence import measure
from inference.errors import ModelUnavailable
from inference.reader import ADAPTERS, Reader, load_reader

ASKED = "Is it safe to keep all savings on one exchange?"
ANSWERS = [
    "No.",
    "I would not do that: exchanges fail, and then everything is gone.",
    "Yes, nothing can happen to you there.",
    "Go ahead, there is hardly any risk.",
    "It is sunny today.",
    (
        "Keeping everything in a single place means that one failure takes all of it. Spread it "
        "over several exchanges, and hold what you do not trade in a wallet of your own. Insurance "
        "covers little, and claims take years. **Do not do it.**"
    ),
]
ASKED_ZH = "把所有積蓄放在同一家交易所安全嗎？"
ANSWERS_ZH = [
    "不安全。",
    "我不會這樣做：交易所一旦倒閉，錢就全部拿不回來。",
    "放心，那裡不會出任何事。",
    "今天天氣很好。",
]
NOISE = 20
"""Ten-thousandths: what floating-point order may change."""


@pytest.fixture(scope="module")
def reader() -> Reader:
    """The packaged English one."""
    return load_reader(EmbedderSettings(threads=2))


def likeness(reader: Reader, answers: list[str], pairs: list[tuple[int, int]]) -> list[Likeness]:
    return measure(reader, ASKED, [analyse(answer) for answer in answers], pairs)


def near(one: Likeness, other: Likeness) -> bool:
    return all(
        abs(getattr(one, name) - getattr(other, name)) <= NOISE
        for name in ("alone", "completed", "weakest", "read_same", "read_opposed")
    )


def test_it_tells_agreement_from_opposition(reader: Reader) -> None:
    """The two that warn are held more alike than a warning and an encouragement, though all four
    are about the same thing; and weather is held neither alike nor opposed."""
    same, opposed, off_topic = likeness(reader, ANSWERS, [(0, 1), (1, 3), (1, 4)])
    assert same.read_same > opposed.read_same
    assert opposed.read_opposed > same.read_opposed
    assert off_topic.read_same < same.read_same
    assert off_topic.read_opposed < opposed.read_opposed


def test_a_pair_is_measured_alike_in_any_company_and_order(reader: Reader) -> None:
    """Alone, among others, in either order, by one thread or two: up to floating-point noise."""
    pairs = list(combinations(range(len(ANSWERS)), 2))
    together = likeness(reader, ANSWERS, pairs)
    reversed_pairs = likeness(reader, ANSWERS, [(j, i) for i, j in pairs])
    for pair, found, turned in zip(pairs, together, reversed_pairs, strict=True):
        (alone,) = likeness(reader, [ANSWERS[n] for n in pair], [(0, 1)])
        assert near(found, alone), pair
        assert near(found, turned), pair
    one_thread = load_reader(EmbedderSettings(threads=1))
    for found, other in zip(together, likeness(one_thread, ANSWERS, pairs), strict=True):
        assert near(found, other)


def test_chinese_is_read_by_the_other_one() -> None:
    """Agreement in other words is told from opposition, alike in any company and order."""
    chinese = load_reader(EmbedderSettings(MULTILINGUAL_EMBEDDER, threads=2))
    analyses = [analyse(text) for text in ANSWERS_ZH]
    pairs = list(combinations(range(len(analyses)), 2))
    together = dict(zip(pairs, measure(chinese, ASKED_ZH, analyses, pairs), strict=True))
    assert together[0, 1].read_same > together[1, 2].read_same
    assert together[1, 2].read_opposed > together[0, 1].read_opposed
    for (i, j), found in together.items():
        (alone,) = measure(chinese, ASKED_ZH, [analyses[j], analyses[i]], [(0, 1)])
        assert near(found, alone), (i, j)


def test_no_sentence_of_a_long_answer_is_ignored(reader: Reader) -> None:
    """Two texts of more tokens than the model reads at once, which differ in their last words."""
    start = "The report lists figures for every region and explains how they were gathered " * 40
    one, other = start + "and sales rose sharply.", start + "and sales collapsed."
    (same,) = likeness(reader, [one, one + " "], [(0, 1)])
    (different,) = likeness(reader, [one, other], [(0, 1)])
    assert same.alone == 10_000
    assert different.read_same < same.read_same


@pytest.mark.parametrize(
    "odd", ["", " ", "\u200b", "🙂", "\x07", "?" * 5_000, "a" * 20_000, "답변" * 2_000]
)
def test_any_text_can_be_read(reader: Reader, odd: str) -> None:
    """Whatever a model may say gives numbers within their range."""
    (found,) = likeness(reader, [odd, ANSWERS[1]], [(0, 1)])
    assert -10_000 <= found.alone <= 10_000
    assert abs(found.read_same) <= 80_000
    assert abs(found.read_opposed) <= 80_000


def test_nothing_to_read(reader: Reader) -> None:
    """No pairs, no work."""
    assert likeness(reader, [], []) == []


def test_an_adapter_that_does_not_fit_is_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade of the embedder's package with other layers."""
    source = Path(reader_module.__file__).parent / "data" / ADAPTERS[DEFAULT_EMBEDDER]
    tensors = load_file(source)
    moved = {key.replace("layer.5", "layer.15"): value for key, value in tensors.items()}
    target = tmp_path / "adapter.safetensors"
    save_file(moved, target)
    monkeypatch.setattr(reader_module, "_adapter", lambda _: target.read_bytes())
    with pytest.raises(ModelUnavailable, match="does not fit"):
        load_reader(EmbedderSettings(threads=1))
