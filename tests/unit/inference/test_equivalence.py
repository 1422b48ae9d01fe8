"""Comparing answers: the shape of the result, completion by the question, real similarities."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from inference.embedding import Embedder, EmbedderSettings, Vectors
from inference.equivalence import Comparison, Judge
from inference.judging import load_judge

FRANCE = "What is the capital of France?"
SAME_BP = 8500


class _FixedEmbedder:
    """Maps each text to a vector by its length, so that cosines are known; counts its calls."""

    model = "packaged:all-minilm-l6-v2"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        angles = np.array([len(text) / 100 for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_triangle_is_row_major_and_in_range() -> None:
    """n * (n - 1) / 2 integers from 0 to 10,000, (0,1), (0,2), (1,2): each pair by itself."""
    answers = ["It is a rainy day.", "Cats sleep a lot of the time.", "Iron rusts in wet air."]
    found = Judge(_FixedEmbedder()).compare("?", answers)
    alone = [
        Judge(_FixedEmbedder()).compare("?", [answers[i], answers[j]]).similarity_bp[0]
        for i, j in combinations(range(3), 2)
    ]
    assert list(found.similarity_bp) == alone
    assert all(0 <= bp <= 10_000 for bp in alone)


@pytest.mark.parametrize("answers", [[], ["Paris."]])
def test_fewer_than_two_answers(answers: list[str]) -> None:
    """Nothing to compare is not an error."""
    found = Judge(_FixedEmbedder()).compare(FRANCE, answers)
    assert (found.similarity_bp, found.contradictions) == ((), ())


def test_equal_texts_are_equal_and_contradictions_are_sorted() -> None:
    """Pairs in order, each with its reason."""
    found = Judge(_FixedEmbedder()).compare(FRANCE, ["Paris.", "Lyon.", "Paris.", "Rome."])
    assert found.similarity_bp[1] == 10_000
    assert found.contradictions == (
        (0, 1, "entity: paris / lyon"),
        (0, 3, "entity: paris / rome"),
        (1, 2, "entity: lyon / paris"),
        (1, 3, "entity: lyon / rome"),
        (2, 3, "entity: paris / rome"),
    )


def test_one_text_in_both_scripts_is_equal() -> None:
    """There are no other words in it, so nothing is left to a model."""
    found = Judge(_FixedEmbedder()).compare("怎麼了？", ["颱風過後下雨。", "台风过后下雨。"])
    assert found == Comparison((10_000,), ())


def test_pairs_with_chinese_are_measured_by_the_second_embedder() -> None:
    """And only those, so that neither embedder reads what it cannot."""
    english, chinese = _FixedEmbedder(), _FixedEmbedder()
    Judge(english, chinese).compare("?", ["It rains.", "The sun shines.", "今天下雨。"])
    assert not any("今天" in text for text in english.texts)
    assert any("今天" in text for text in chinese.texts)
    calls = len(chinese.texts)
    Judge(english, chinese).compare("?", ["It rains.", "The sun shines."])
    assert len(chinese.texts) == calls


class _Loadable(_FixedEmbedder):
    """Like ``LazyReader``."""

    loaded = False

    def load(self) -> None:
        self.loaded = True


def test_a_chinese_question_loads_the_second_embedder_beforehand() -> None:
    """Once; and no other question does."""
    chinese = _Loadable()
    judge = Judge(_FixedEmbedder(), chinese)
    assert judge.preparation(FRANCE) is None
    preparation = judge.preparation("法國的首都是哪裡？")
    assert preparation is not None
    preparation()
    assert chinese.loaded
    assert judge.preparation("法國的首都是哪裡？") is None


class _Severe:
    """An entailment judge that takes 3,000 basis points off every pair."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def penalties_bp(self, question: str, pairs: Sequence[tuple[str, str]]) -> list[int]:
        self.asked += pairs
        return [3_000] * len(pairs)


def test_an_entailment_judge_only_lowers_what_no_guard_rejected() -> None:
    """Its verdict is part of the similarity, never a flag; rejected pairs are not asked about."""
    answers = ["It is Paris.", "The city of Paris.", "It is Lyon."]
    severe = _Severe()
    plain = Judge(_FixedEmbedder()).compare(FRANCE, answers)
    judged = Judge(_FixedEmbedder(), entailment=severe).compare(FRANCE, answers)
    assert judged.contradictions == plain.contradictions
    flagged = {(i, j) for i, j, _ in plain.contradictions}
    assert len(severe.asked) == 3 - len(flagged) < 3
    for place, pair in enumerate(combinations(range(3), 2)):
        lowered = 0 if pair in flagged else 3_000
        assert judged.similarity_bp[place] == max(0, plain.similarity_bp[place] - lowered)


@pytest.fixture(scope="module")
def judge() -> Judge:
    """The default judge: both packaged embedders."""
    return load_judge(EmbedderSettings(threads=2))


SAME = [
    (FRANCE, "Paris.", "The capital of France is Paris."),
    (FRANCE, "Paris.", "Paris is the capital city of France."),
    (FRANCE, "Paris.", "It is Paris."),
    (FRANCE, "Paris.", "The capital of France is Paris, in Europe's west."),
    ("How many days are in a week?", "Seven.", "There are seven days in a week."),
    ("How many days are in a week?", "7", "A week has 7 days."),
    ("Who wrote Hamlet?", "Shakespeare", "Hamlet was written by William Shakespeare."),
    ("Is water wet?", "Yes.", "Yes, water is wet."),
    ("What gas do plants absorb?", "Carbon dioxide.", "Plants absorb carbon dioxide from the air."),
    ("What will oil do next month?", "It will rise.", "The price of oil will rise next month."),
    ("法國的首都是哪裡？", "巴黎。", "法國的首都是巴黎。"),
    ("一週有幾天？", "七天", "一週有七天。"),
]
DIFFERENT = [
    (FRANCE, "Paris.", "Lyon."),
    (FRANCE, "The capital of France is Paris.", "The capital of France is Lyon."),
    ("How many days are in a week?", "7", "A week has five days."),
    ("Who wrote Hamlet?", "Marlowe", "Hamlet was written by William Shakespeare."),
    ("Is water wet?", "No.", "Yes, water is wet."),
    ("What gas do plants absorb?", "Oxygen.", "Plants absorb carbon dioxide from the air."),
    ("What will oil do next month?", "Fall.", "The price of oil will rise next month."),
    ("What should I cook?", "Pasta.", "You could try a fresh salad with grilled chicken."),
    ("Should I sell?", "You should sell now.", "You should not sell now."),
    ("法國的首都是哪裡？", "里昂。", "法國的首都是巴黎。"),
    ("油價會如何？", "油價將會上漲。", "油價將會下跌。"),
]


@pytest.mark.model
@pytest.mark.parametrize(("question", "a", "b"), SAME)
def test_real_answers_that_agree(judge: Judge, question: str, a: str, b: str) -> None:
    """Similar enough for the vote, and not vetoed."""
    found = judge.compare(question, [a, b])
    assert found.similarity_bp[0] >= SAME_BP
    assert found.contradictions == ()


@pytest.mark.model
@pytest.mark.parametrize(("question", "a", "b"), DIFFERENT)
def test_real_answers_that_differ(judge: Judge, question: str, a: str, b: str) -> None:
    """Dissimilar, or vetoed."""
    found = judge.compare(question, [a, b])
    assert found.similarity_bp[0] < SAME_BP or found.contradictions


@pytest.mark.model
def test_embeddings_hardly_depend_on_the_batch(packaged_embedder: Embedder) -> None:
    """Cosines move by less than one basis point between batches, so nodes can check each other."""
    texts = [answer for _, *pair in SAME + DIFFERENT for answer in pair]
    together = packaged_embedder.embed(texts)
    assert together.shape == (len(texts), 384)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)
    alone = np.concatenate([packaged_embedder.embed([text]) for text in texts])
    assert np.abs(alone @ alone.T - together @ together.T).max() < 1e-4


@pytest.mark.model
def test_the_end_of_a_long_answer_counts(packaged_embedder: Embedder) -> None:
    """The model reads 256 tokens; an answer that differs after them still differs."""
    beginning = "The committee met and discussed the budget of the coming year. " * 40
    a, b = packaged_embedder.embed([beginning, beginning + "Bananas are yellow. " * 60])
    assert float(a @ b) < 0.95


@pytest.mark.model
def test_no_texts(packaged_embedder: Embedder) -> None:
    """An empty list gives an empty matrix."""
    assert packaged_embedder.embed([]).shape == (0, 384)
