"""Do two answers say the same? A similarity in basis points, and vetoes with reasons.

**Similarity** is a calibrated number, not a cosine: see ``calibration``. Its floats are cosines of
three kinds of texts: the answers, the answers behind their question ("Paris." and "The capital of
France is Paris." agree in the light of it), and their sentences, so that one sentence which nothing
in the other answer resembles is seen.

**Contradictions** come from ``guards``: functions of the texts alone, equal on every node.

all-MiniLM-L6-v2 knows no Chinese, so pairs with Chinese are measured by a second embedder if there
is one; ``load_judge`` gives the packaged English model the packaged multilingual one. A model that
judges entailment may be added (``nli``): it can only lower similarities.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol, runtime_checkable

import numpy as np

from inference.analysis import Analysis, analyse
from inference.calibration import (
    BASIS_POINTS,
    UNIT,
    Cosines,
    calibration_for,
)
from inference.embedding import Vectors
from inference.evidence import gather
from inference.guards import objection
from inference.wording import has_han

# A long question would drown the answers that complete it; its last sentence is what was asked.
_QUESTION_CHARACTERS_MAX = 200
_SENTENCE_END = re.compile(r"(?<=[?!.？！。])\s+|(?<=[？！。])|\n+")
# The question helps short answers; a long one is put alone, which also saves half the work.
_COMPLETED_CHARACTERS_MAX = 240


class TextEmbedder(Protocol):
    """What the judge needs of an embedder; see ``embedding.Embedder``."""

    @property
    def model(self) -> str:
        """The name it was loaded by; it chooses the calibration."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, shape (len(texts), dim)."""


class EntailmentJudge(Protocol):
    """What the judge needs of a model that judges entailment; see ``nli.EntailmentModel``."""

    def penalties_bp(self, question: str, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """By how much to lower each pair's similarity, 0 to 10,000."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every pair among n answers.

    ``similarity_bp`` is the upper triangle, row by row: n * (n - 1) / 2 integers, 0 to 10,000.
    ``contradictions`` are (i, j, reason) with i < j, sorted; a reason is a code, a colon and a
    detail, such as "number: 5 % / 50 %". They depend on the texts only, never on floats.
    """

    similarity_bp: tuple[int, ...]
    contradictions: tuple[tuple[int, int, str], ...]


@runtime_checkable
class Loadable(Protocol):
    """An embedder that is loaded when it is needed; see ``judging.LazyEmbedder``."""

    @property
    def loaded(self) -> bool:
        """Whether it is."""

    def load(self) -> None:
        """Load it unless that was done."""


class AnswerJudge(Protocol):
    """What the daemon needs of a judge; see ``Judge``."""

    def preparation(self, question: str) -> Callable[[], None] | None:
        """What to do before answers to this question are compared; None if nothing."""

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        """Compare every pair."""


class Judge:
    """Compares answers to one question."""

    def __init__(
        self,
        embedder: TextEmbedder,
        han_embedder: TextEmbedder | None = None,
        entailment: EntailmentJudge | None = None,
    ) -> None:
        """All nodes of a network should use the same models.

        ``han_embedder`` measures pairs in which there is Chinese; without it ``embedder`` does.
        """
        self._embedder = embedder
        self._han_embedder = han_embedder or embedder
        self._entailment = entailment

    def preparation(self, question: str) -> Callable[[], None] | None:
        """Load the embedder for Chinese if the question has any, before there are answers."""
        embedder = self._han_embedder
        if isinstance(embedder, Loadable) and not embedder.loaded and has_han(question):
            return embedder.load
        return None

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        """Compare every pair; equal texts give 10,000 and no contradiction."""
        pairs = list(combinations(range(len(answers)), 2))
        analyses = [analyse(answer) for answer in answers]
        asked = analyse(question)
        reasons = [objection(asked, analyses[i], analyses[j]) for i, j in pairs]
        similarity_bp = [0] * len(pairs)
        for embedder, chosen in self._shares(question, analyses, pairs):
            measured = _Measured(embedder, question, analyses, chosen, pairs)
            for at in chosen:
                i, j = pairs[at]
                similarity_bp[at] = measured.similarity_bp(asked, i, j)
        if self._entailment is not None:
            # Pairs that cannot agree anyway need no second opinion.
            open_pairs = [at for at, reason in enumerate(reasons) if reason is None]
            texts = [(answers[pairs[at][0]], answers[pairs[at][1]]) for at in open_pairs]
            penalties = self._entailment.penalties_bp(question, texts)
            for at, penalty in zip(open_pairs, penalties, strict=True):
                similarity_bp[at] = max(0, similarity_bp[at] - penalty)
        return Comparison(
            tuple(similarity_bp),
            tuple(
                (i, j, reason)
                for (i, j), reason in zip(pairs, reasons, strict=True)
                if reason is not None
            ),
        )

    def _shares(
        self, question: str, analyses: list[Analysis], pairs: list[tuple[int, int]]
    ) -> list[tuple[TextEmbedder, list[int]]]:
        """Which embedder measures which pairs; one that has nothing to do is not called."""
        if self._han_embedder is self._embedder:
            return [(self._embedder, list(range(len(pairs))))] if pairs else []
        han = [a.is_han or has_han(a.whole.text) for a in analyses]
        asked_han = has_han(question)
        chinese = [at for at, (i, j) in enumerate(pairs) if asked_han or han[i] or han[j]]
        others = sorted(set(range(len(pairs))) - set(chinese))
        shares = [(self._embedder, others), (self._han_embedder, chinese)]
        return [(embedder, chosen) for embedder, chosen in shares if chosen]


class _Measured:
    """The vectors of the texts that some pairs need, from one call of an embedder."""

    def __init__(
        self,
        embedder: TextEmbedder,
        question: str,
        analyses: list[Analysis],
        chosen: list[int],
        pairs: list[tuple[int, int]],
    ) -> None:
        self._model = embedder.model
        self._analyses = analyses
        asked = _what_was_asked(question)
        rows: dict[str, int] = {}
        needed = sorted({n for at in chosen for n in pairs[at]})
        self._sentences: dict[int, list[int]] = {}
        self._completed: dict[int, int] = {}
        for n in needed:
            analysis = analyses[n]
            self._sentences[n] = [
                rows.setdefault(part.text, len(rows)) for part in analysis.sentences
            ]
            text = analysis.whole.text
            if len(text) <= _COMPLETED_CHARACTERS_MAX:
                self._completed[n] = rows.setdefault(f"{asked} {text}".strip(), len(rows))
        vectors = embedder.embed(list(rows)).astype(np.float64)
        self._cosines = np.rint(vectors @ vectors.T * UNIT).astype(np.int64)
        # A long answer's own vector is the mean of its sentences', weighted by their length.
        self._alone: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
        for n in needed:
            weights = [max(1, len(part.text)) for part in analyses[n].sentences]
            mean = np.average(vectors[self._sentences[n]], axis=0, weights=weights)
            self._alone[n] = mean / max(float(np.linalg.norm(mean)), 1e-12)

    def similarity_bp(self, asked: Analysis, i: int, j: int) -> int:
        a, b = self._analyses[i], self._analyses[j]
        if a.whole.plain == b.whole.plain:
            return BASIS_POINTS
        return calibration_for(self._model).similarity_bp(self.cosines(i, j), gather(asked, a, b))

    def cosines(self, i: int, j: int) -> Cosines:
        alone = round(float(self._alone[i] @ self._alone[j]) * UNIT)
        completed = alone
        if i in self._completed and j in self._completed:
            completed = int(self._cosines[self._completed[i], self._completed[j]])
        table = self._cosines[np.ix_(self._sentences[i], self._sentences[j])]
        weakest = min(int(table.max(axis=0).min()), int(table.max(axis=1).min()))
        return Cosines(alone, completed, weakest)


def measure(embedder: TextEmbedder, question: str, answers: tuple[str, str]) -> Cosines:
    """The cosines of one pair, as the calibration is fitted on them."""
    analyses = [analyse(answer) for answer in answers]
    return _Measured(embedder, question, analyses, [0], [(0, 1)]).cosines(0, 1)


def _what_was_asked(question: str) -> str:
    """The last sentence of the question, at most ``_QUESTION_CHARACTERS_MAX`` characters."""
    sentences = [part.strip() for part in _SENTENCE_END.split(question) if part.strip()]
    return sentences[-1][-_QUESTION_CHARACTERS_MAX:] if sentences else ""
