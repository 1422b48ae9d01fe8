"""A Chinese text in traditional and in simplified characters is one text."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from inference.analysis import analyse
from inference.evaluation import Pair, read_pairs
from inference.evidence import gather
from inference.guards import first_objection
from inference.lexicon import fold_han
from inference.numerals import quantities

FILES = sorted((Path(__file__).parents[3] / "eval").glob("pairs-dev*.jsonl"))


def written_pairs(file: Path) -> list[Pair]:
    return [pair for pair in read_pairs(file) if pair.language.startswith("zh")]


def other_scripts(*texts: str) -> Iterator[tuple[str, ...]]:
    """The texts, with each of them simplified or as it is."""
    yield from product(*((text, fold_han(text)) for text in texts))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_objections_and_evidence_do_not_depend_on_the_script(file: Path) -> None:
    """Of any of the three texts, on all pairs that were written for development."""
    for pair in written_pairs(file):
        asked, a, b = pair.question, pair.a, pair.b
        said = fold_han(first_objection(asked, a, b) or "")
        speaks = gather(analyse(asked), analyse(a), analyse(b))
        for question, x, y in other_scripts(asked, a, b):
            assert fold_han(first_objection(question, x, y) or "") == said, pair.id
            assert gather(analyse(question), analyse(x), analyse(y)) == speaks, pair.id


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_numbers_do_not_depend_on_the_script(file: Path) -> None:
    for pair in written_pairs(file):
        for text in (pair.question, pair.a, pair.b):
            read, same = quantities(text), quantities(fold_han(text))
            assert [(n.value, n.unit) for n in read] == [(n.value, n.unit) for n in same]


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("颱風過後，淡水河淹沒了兩岸的農田。", "台风过后，淡水河淹没了两岸的农田。"),
        ("三個鐘頭", "三个钟头"),
        ("澳幣 5 元", "澳币 5 元"),
        ("大約要四週。", "大约要四周。"),
    ],
)
def test_one_text_in_both_scripts_is_the_same(traditional: str, simplified: str) -> None:
    """There is nothing to object to, and nothing to measure."""
    assert analyse(traditional).whole.plain == analyse(simplified).whole.plain
    assert first_objection("怎麼了？", traditional, simplified) is None


@pytest.mark.parametrize(
    ("question", "a", "b", "reason"),
    [
        ("這是哪裡？", "濁水溪。", "淡水河。", "entity: 濁水溪 / 淡水河"),
        ("這是哪裡？", "浊水溪。", "淡水河。", "entity: 浊水溪 / 淡水河"),
        ("股價怎麼了？", "股價上漲了。", "股价下跌了。", "direction: 上漲 / 下跌"),
        ("要多久？", "三個鐘頭。", "两个钟头。", "number: 三個鐘頭 / 两个钟头"),
    ],
)
def test_a_reason_quotes_each_answer_in_its_own_characters(
    question: str, a: str, b: str, reason: str
) -> None:
    """Whoever reads a certificate finds the words in the answers."""
    assert first_objection(question, a, b) == reason
