"""Do two answers say the same? A similarity in basis points, and vetoes with reasons.

**Similarity** is the cosine of the two embeddings. Embeddings of sentences fail on elliptical
answers: "Paris." against "The capital of France is Paris." measures 0.69 with all-MiniLM-L6-v2,
although in the light of the question they are one answer. Completing both with the question gives
0.95, but it also lifts "Paris." against "Lyon." from 0.49 to 0.81, because the question dominates
both texts. So a pair is completed only when the words themselves justify it: one answer is short
(its *core*, what it adds to the question, has at most ``CORE_TERMS_MAX`` terms) and everything
in that core occurs in the other answer. Then the question explains the difference in length, and
the similarity is the greater of the two cosines. The rule is symmetric and made of integers and
sets; only the cosines are floats.

**Contradictions** come from ``guards``: functions of the texts alone, equal on every node.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import numpy as np

from inference.embedding import Vectors
from inference.guards import first_objection, side_taken
from inference.numerals import quantities, same_amount, without_quantities
from inference.polarity import read
from inference.wording import content_terms, core_terms

BASIS_POINTS = 10_000
CORE_TERMS_MAX = 6
# A long question would drown the answers that complete it; its last sentence is what was asked.
_QUESTION_CHARACTERS_MAX = 200
_SENTENCE_END = re.compile(r"(?<=[?!.？！。])\s+|(?<=[？！。])|\n+")


class TextEmbedder(Protocol):
    """What the judge needs of an embedder; see ``embedding.Embedder.embed``."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, shape (len(texts), dim)."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every pair among n answers.

    ``similarity_bp`` is the upper triangle, row by row: n * (n - 1) / 2 integers, 0 to 10,000.
    ``contradictions`` are (i, j, reason) with i < j, sorted; a reason is a code, a colon and a
    detail, such as "number: 5 % / 50 %". They depend on the texts only, never on floats.
    """

    similarity_bp: tuple[int, ...]
    contradictions: tuple[tuple[int, int, str], ...]


class AnswerJudge(Protocol):
    """What the daemon needs of a judge; see ``Judge.compare``."""

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        """Compare every pair."""


class Judge:
    """Compares answers to one question."""

    def __init__(self, embedder: TextEmbedder) -> None:
        """``embedder`` decides the similarities; all nodes should use the same model."""
        self._embedder = embedder

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        """Compare every pair; equal texts give 10,000 and no contradiction."""
        asked = _what_was_asked(question)
        texts = [*answers, *(f"{asked} {answer}" for answer in answers)]
        vectors = self._embedder.embed(texts).astype(np.float64)
        alone, completed = vectors[: len(answers)], vectors[len(answers) :]
        pairs = list(combinations(range(len(answers)), 2))
        similarity_bp = []
        for i, j in pairs:
            cosine = float(alone[i] @ alone[j])
            if answers[i] == answers[j]:
                cosine = 1.0
            elif completes(question, answers[i], answers[j]):
                cosine = max(cosine, float(completed[i] @ completed[j]))
            similarity_bp.append(_to_basis_points(cosine))
        objections = ((i, j, first_objection(question, answers[i], answers[j])) for i, j in pairs)
        return Comparison(
            tuple(similarity_bp),
            tuple((i, j, reason) for i, j, reason in objections if reason is not None),
        )


def completes(question: str, a: str, b: str) -> bool:
    """Whether the question explains why one answer is shorter than the other.

    True if all that one of them adds to the question occurs in the other, and it adds something
    short. Numbers count by their value, so "Seven." occurs in "A week has 7 days". A bare "Yes."
    occurs in whatever affirms the question.
    """
    return (
        _occurs(question, a, b)
        or _occurs(question, b, a)
        or ((_is_bare_stance(a) or _is_bare_stance(b)) and _take_one_side(question, a, b))
    )


def _is_bare_stance(text: str) -> bool:
    reading = read(text)
    return reading.stance != 0 and not reading.rest.strip()


def _take_one_side(question: str, a: str, b: str) -> bool:
    return side_taken(question, a) * side_taken(question, b) > 0


def _occurs(question: str, short: str, long: str) -> bool:
    core = core_terms(question, without_quantities(short))
    amounts = quantities(short)
    if not 1 <= len(core) + len(amounts) <= CORE_TERMS_MAX:
        return False
    if not core <= frozenset(content_terms(long)):
        return False
    candidates = quantities(long)
    return all(any(same_amount(amount, other) for other in candidates) for amount in amounts)


def _what_was_asked(question: str) -> str:
    """The last sentence of the question, at most ``_QUESTION_CHARACTERS_MAX`` characters."""
    sentences = [part.strip() for part in _SENTENCE_END.split(question) if part.strip()]
    return sentences[-1][-_QUESTION_CHARACTERS_MAX:] if sentences else ""


def _to_basis_points(cosine: float) -> int:
    return min(BASIS_POINTS, max(0, round(cosine * BASIS_POINTS)))
