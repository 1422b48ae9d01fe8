"""Pairs files, rates, the curve, the attack bench, and the measured quality of the judge."""

import json
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from inference.analysis import analyse
from inference.attack import SCENES, cases, edits, run_bench
from inference.embedding import Embedder, EmbedderSettings, Vectors
from inference.equivalence import Judge, measure
from inference.errors import InvalidRequest
from inference.evaluation import (
    Pair,
    Verdict,
    curve,
    judge_pairs,
    plain_cosines_bp,
    read_pairs,
    roc_svg,
    summary,
    table,
    verdict_line,
)
from inference.guards import first_objection
from inference.judging import load_judge

PAIRS = Path(__file__).parents[3] / "eval"


class _Alike:
    """An embedder to whom all texts are the same, so that only the words decide."""

    model = "packaged:all-minilm-l6-v2"

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 1), dtype=np.float32)


def pair(a: str, b: str, same: bool | None, category: str = "", question: str = "Who?") -> Pair:
    relation = {True: "same", False: "contradict", None: ""}[same]
    return Pair("1", question, a, b, same, relation, category, "en")


def test_a_pairs_file_is_read(tmp_path: Path) -> None:
    """Labels are optional; blank lines are skipped; a line without an id gets its number."""
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        '{"id": "x", "question": "q", "a": "1", "b": "2", "same": true}\n\n'
        '{"question": "", "a": "甲", "b": "乙"}\n',
        encoding="utf-8",
    )
    first, second = read_pairs(file)
    assert (first.id, first.same, first.relation) == ("x", True, "same")
    assert (second.id, second.same, second.relation, second.b) == ("3", None, "", "乙")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "empty"),
        ("{", "line 1"),
        ("[]", "line 1"),
        ('{"question": "q", "a": "1"}', "line 1"),
        ('{"question": "q", "a": "1", "b": 2}', "line 1"),
        ('{"question": "q", "a": "1", "b": "2", "same": 1}', "same"),
        ('{"question": "q", "a": "1", "b": "2", "relation": ["same"]}', "relation must be a text"),
        ('{"question": "q", "a": "1", "b": "2", "category": 5}', "category must be a text"),
        ('{"question": "q", "a": "1", "b": "2", "language": ["en"]}', "language must be a text"),
        ('{"question": "q", "a": "1", "b": "2", "id": {}}', "id must be"),
        (
            '{"question": "q", "a": "1", "b": "2", "same": true, "relation": "contradict"}',
            "same is true but relation is contradict",
        ),
        (
            '{"question": "q", "a": "1", "b": "2", "same": false, "relation": "same"}',
            "same is false but relation is same",
        ),
        ("[" * 100_000, "line 1"),
        (r'{"question": "q", "a": "\ud800", "b": "2"}', "a is not valid Unicode"),
        (f'{{"question": "q", "a": "1", "b": "{"x" * 16_385}"}}', "b has 16385 bytes"),
    ],
)
def test_a_wrong_pairs_file_is_one_sentence(tmp_path: Path, content: str, place: str) -> None:
    """It names the place."""
    file = tmp_path / "pairs.jsonl"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match=place):
        read_pairs(file)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_pairs(tmp_path / "none")


def test_a_relation_is_a_label(tmp_path: Path) -> None:
    """It says whether both are the same; without either the pair has no label. Words of somebody
    else's files say nothing."""
    file = tmp_path / "pairs.jsonl"
    rows: list[dict[str, object]] = [
        {"relation": "same"},
        {"relation": "different"},
        {"relation": "", "category": None},
        {"same": None, "relation": None, "id": None},
        {"same": True, "relation": "entailment"},
        {"relation": "neutral"},
    ]
    plain = {"question": "q", "a": "1", "b": "2"}
    file.write_text("\n".join(json.dumps(plain | row) for row in rows))
    pairs = read_pairs(file)
    assert [one.same for one in pairs] == [True, False, None, None, True, None]
    assert [one.relation for one in pairs] == ["same", "different", "", "", "same", ""]
    assert pairs[3].id == "4"


def test_a_verdict_needs_similarity_and_no_reason() -> None:
    """As in a vote."""
    one = pair("a", "b", same=True)
    assert Verdict(one, 8_500, ()).same
    assert not Verdict(one, 8_499, ()).same
    assert not Verdict(one, 10_000, ("number: 1 / 2",)).same
    assert verdict_line(Verdict(one, 10_000, ("number: 1 / 2",))) == {
        "id": "1",
        "same": False,
        "similarity": 10_000,
        "reasons": ["number: 1 / 2"],
    }


def test_rates_are_counted_by_relation_and_category() -> None:
    """Pairs without a label are counted, but have no rate."""
    verdicts = [
        Verdict(pair("a", "b", same=True, category="paraphrase"), 9_000, ()),
        Verdict(pair("a", "b", same=True, category="scene"), 5_000, ()),
        Verdict(pair("a", "b", same=False, category="number"), 9_000, ("number: 1 / 2",)),
        Verdict(pair("a", "b", same=None), 9_000, ()),
    ]
    found = summary(verdicts)
    assert (found["pairs"], found["labelled"]) == (4, 3)
    assert found["accepted_by_relation"]["same"] == {"pairs": 2, "accepted": 1, "percent": 50.0}
    assert found["accepted_by_category"]["contradict: number"]["accepted"] == 0
    assert json.dumps(found)
    lines = table(verdicts, [9_000] * 4).splitlines()
    assert lines[1].split() == ["same", "2", "100.0", "%", "50.0", "%"]


def test_the_curve_rises_from_nothing_to_everything() -> None:
    """Equal scores are one point."""
    assert curve([9, 8, 8, 1], [True, True, False, False]) == [
        (0.0, 0.0),
        (0.0, 0.5),
        (0.5, 1.0),
        (1.0, 1.0),
    ]


def test_the_curves_are_a_picture() -> None:
    """Well-formed, with a line and a mark for each of the two."""
    verdicts = [
        Verdict(pair("a", "b", same=True), 9_000, ()),
        Verdict(pair("a", "b", same=False), 3_000, ("number: 1 / 2",)),
    ]
    root = ET.fromstring(roc_svg(verdicts, [9_500, 9_200]))  # noqa: S314  # our own text
    assert len(root.findall(".//{*}polyline")) == 2
    assert "cosine: 100% right, 100% wrong" in "".join(root.itertext())
    assert "qnode: 100% right, 0% wrong" in "".join(root.itertext())


def test_pairs_without_a_label_are_not_in_the_curves() -> None:
    """Nobody knows whether to accept them is right or wrong."""
    known = [Verdict(pair("a", "b", same=True), 9_000, ())]
    unknown = [Verdict(pair("c", "d", same=None), 9_500, ())] * 3
    assert roc_svg([*unknown, *known], [9_900] * 4) == roc_svg(known, [9_900])


def test_every_edit_of_the_bench_is_seen_beside_its_original() -> None:
    """The attacks are lies, so the guards must tell them from what they were made of."""
    for text in (
        "The supply is capped at 200 trillion.",
        "Prices will rise by 5 % in June.",
        "The lamp is safe to use.",
        "供應上限為 200 兆。",
        "股價上漲了 5%。",
    ):
        found = list(edits(text))
        assert len({kind for kind, _ in found}) >= 3
        for _, attack in found:
            assert first_objection("What about it?", text, attack) is not None


def test_the_bench_runs_whole_decisions() -> None:
    """With similarities that cannot help, the guards keep every attack out of the certificate."""
    pairs = [
        pair("Prices rose by 5 %.", "They went up five percent.", same=True),
        pair("Prices rose by 5 %.", "Prices fell by 5 %.", same=False),
        pair("They went up five percent.", "They went up 15 percent.", same=False),
    ]
    assert len(cases(pairs)) == 1
    found = run_bench(Judge(_Alike()), pairs, lambda _question, _text: "Prices are unknown to me.")
    assert set(found["scenes"]) == {scene.name for scene in SCENES}
    for scene in found["scenes"].values():
        assert scene["decisions"] > 5
    assert found["by_kind"]["number"]["decisions"] > 0
    assert found["by_kind"]["number"]["wrong"] == 0
    assert found["by_kind"]["written"]["decisions"] > 0


@pytest.fixture(scope="module")
def judge() -> Judge:
    """The default judge: both packaged embedders."""
    return load_judge(EmbedderSettings(threads=2))


@pytest.mark.model
def test_the_default_judge_beats_a_cosine_by_far(judge: Judge, packaged_embedder: Embedder) -> None:
    """On every fourth pair of a part of development: the same passes, its opposite hardly."""
    pairs = read_pairs(PAIRS / "pairs-dev-2.jsonl")[::4]
    verdicts = list(judge_pairs(judge, pairs))
    cosines = plain_cosines_bp(packaged_embedder, pairs)

    def share(relation: str, accepted: Sequence[bool]) -> float:
        chosen = [ok for one, ok in zip(pairs, accepted, strict=True) if one.relation == relation]
        return sum(chosen) / len(chosen)

    ours = [verdict.same for verdict in verdicts]
    plain = [cosine >= 8_500 for cosine in cosines]
    assert share("same", ours) >= 0.8
    assert share("contradict", ours) <= 0.1
    assert share("contradict", plain) >= 0.4
    assert share("same", plain) <= 0.3


@pytest.mark.model
@pytest.mark.parametrize("language", ["en", "zh"])
def test_batches_hardly_move_a_similarity(judge: Judge, language: str) -> None:
    """A pair alone and among others differs by a few basis points, far below the tolerance."""
    pairs = [
        one
        for one in read_pairs(PAIRS / "pairs-dev.jsonl")
        if one.relation == "same" and one.language.startswith(language)
    ][:12]
    answers = [text for one in pairs for text in (one.a, one.b)]
    together = judge.compare("What?", answers).similarity_bp
    n = len(answers)
    for place in range(len(pairs)):
        i, j = 2 * place, 2 * place + 1
        alone = judge.compare("What?", [answers[i], answers[j]]).similarity_bp[0]
        assert abs(together[i * (2 * n - i - 1) // 2 + j - i - 1] - alone) <= 10


@pytest.mark.model
def test_threads_hardly_move_a_cosine(packaged_embedder: Embedder) -> None:
    """One thread or two: at most one ten-thousandth."""
    import torch

    texts = ("The price rose by five percent in June.", "In June it went up 5 %.")
    analyses = [analyse(text) for text in texts]
    threads = torch.get_num_threads()
    found = []
    for number in (1, 2):
        torch.set_num_threads(number)
        found += measure(packaged_embedder, "And?", analyses, [(0, 1)])
    torch.set_num_threads(threads)
    for name in ("alone", "completed", "weakest"):
        assert abs(getattr(found[0], name) - getattr(found[1], name)) <= 1
