"""Comparing answers: the shape of the result, completion by the question, real similarities."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from inference.embedding import Embedder, Vectors
from inference.equivalence import Judge, completes

FRANCE = "What is the capital of France?"
SAME_BP = 8500


class _FixedEmbedder:
    """Maps each text to a vector by its length, so that cosines are known."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        angles = np.array([len(text) / 10 for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_triangle_is_row_major_and_clamped() -> None:
    """n * (n - 1) / 2 integers from 0 to 10,000, (0,1), (0,2), (1,2)."""
    answers = ["a" * 10, "b" * 20, "c" * 36]
    found = Judge(_FixedEmbedder()).compare("?", answers)
    expected = [np.cos((len(y) - len(x)) / 10) for x, y in combinations(answers, 2)]
    assert found.similarity_bp == tuple(max(0, round(cosine * 10_000)) for cosine in expected)
    assert found.similarity_bp[1] == 0  # a negative cosine


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


@pytest.mark.parametrize(
    ("question", "a", "b", "completed"),
    [
        (FRANCE, "Paris.", "The capital of France is Paris.", True),
        (FRANCE, "Paris.", "The capital of France is Lyon.", False),
        (FRANCE, "The capital of France.", "It is the capital.", False),
        ("How many days are in a week?", "Seven", "A week has 7 days.", True),
        ("How many days are in a week?", "Seven", "A week has 5 days.", False),
        ("Is water wet?", "Yes.", "Water is wet.", True),
        ("Is water wet?", "No.", "Water is wet.", False),
        ("What gas do plants absorb?", "Oxygen.", "Plants absorb carbon dioxide.", False),
        ("法國的首都是哪裡？", "巴黎", "法國的首都是巴黎。", True),
        ("法國的首都是哪裡？", "里昂", "法國的首都是巴黎。", False),
    ],
)
def test_only_justified_pairs_are_completed(question: str, a: str, b: str, completed: bool) -> None:
    """What the short answer adds must occur in the other one."""
    assert completes(question, a, b) is completed
    assert completes(question, b, a) is completed


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
def test_real_answers_that_agree(
    packaged_embedder: Embedder, question: str, a: str, b: str
) -> None:
    """Similar enough for the vote, and not vetoed."""
    found = Judge(packaged_embedder).compare(question, [a, b])
    assert found.similarity_bp[0] >= SAME_BP
    assert found.contradictions == ()


@pytest.mark.model
@pytest.mark.parametrize(("question", "a", "b"), DIFFERENT)
def test_real_answers_that_differ(
    packaged_embedder: Embedder, question: str, a: str, b: str
) -> None:
    """Dissimilar, or vetoed."""
    found = Judge(packaged_embedder).compare(question, [a, b])
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
