"""Do two answers say the same? A similarity in basis points, and vetoes with reasons.

**Similarity** is a calibrated number, not a cosine: see ``calibration``. Its floats are the verdict
of a model that reads both answers (``reader``) and cosines of three kinds of texts: the answers,
the answers behind their question ("Paris." and "The capital of France is Paris." agree in the light
of it), and their sentences, so that one sentence which nothing in the other answer resembles is
seen. An embedder that is not taught to read gives the cosines alone.

**Contradictions** come from ``guards``: functions of the texts alone, equal on every node.

all-MiniLM-L6-v2 knows no Chinese, so pairs with Chinese are measured by a second model if there is
one; ``load_judge`` gives the packaged English model the packaged multilingual one. A model that
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
    Likeness,
    calibration_for,
)
from inference.embedding import Vectors
from inference.evidence import gather
from inference.guards import objection
from inference.reader import COMPLETED_CHARACTERS_MAX
from inference.wording import has_han

# A long question would drown the answers that complete it; its last sentence is what was asked.
_QUESTION_CHARACTERS_MAX = 200
_SENTENCE_END = re.compile(r"(?<=[?!.？！。])\s+|(?<=[？！。])|\n+")


class TextEmbedder(Protocol):
    """What the judge needs of an embedder; see ``embedding.Embedder``."""

    @property
    def model(self) -> str:
        """The name it was loaded by; it chooses the calibration."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, shape (len(texts), dim)."""


@runtime_checkable
class PairReader(Protocol):
    """A model that reads pairs itself; see ``reader.Reader``."""

    @property
    def model(self) -> str:
        """The name of the embedder in it; it chooses the calibration."""

    def likeness(
        self, asked: str, analyses: Sequence[Analysis], pairs: Sequence[tuple[int, int]]
    ) -> list[Likeness]:
        """Of each pair of places in ``analyses``; ``asked`` is the question, shortened."""


Gauge = TextEmbedder | PairReader
"""What measures pairs."""


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
    """A model that is loaded when it is needed; see ``judging.LazyReader``."""

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
        gauge: Gauge,
        han_gauge: Gauge | None = None,
        entailment: EntailmentJudge | None = None,
    ) -> None:
        """All nodes of a network should use the same models.

        ``han_gauge`` measures pairs in which there is Chinese; without it ``gauge`` does.
        """
        self._gauge = gauge
        self._han_gauge = han_gauge or gauge
        self._entailment = entailment

    def preparation(self, question: str) -> Callable[[], None] | None:
        """Load the model for Chinese if the question has any, before there are answers."""
        gauge = self._han_gauge
        if isinstance(gauge, Loadable) and not gauge.loaded and has_han(question):
            return gauge.load
        return None

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        """Compare every pair; equal texts give 10,000 and no contradiction."""
        pairs = list(combinations(range(len(answers)), 2))
        analyses = [analyse(answer) for answer in answers]
        asked = analyse(question)
        reasons = [objection(asked, analyses[i], analyses[j]) for i, j in pairs]
        similarity_bp = [0] * len(pairs)
        for gauge, chosen in self._shares(question, analyses, pairs):
            measured = measure(gauge, question, analyses, [pairs[at] for at in chosen])
            calibration = calibration_for(gauge.model, reads=isinstance(gauge, PairReader))
            for at, likeness in zip(chosen, measured, strict=True):
                a, b = (analyses[n] for n in pairs[at])
                similarity_bp[at] = (
                    BASIS_POINTS
                    if a.whole.plain == b.whole.plain
                    else calibration.similarity_bp(likeness, gather(asked, a, b))
                )
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
    ) -> list[tuple[Gauge, list[int]]]:
        """Which model measures which pairs; one that has nothing to do is not called."""
        if self._han_gauge is self._gauge:
            return [(self._gauge, list(range(len(pairs))))] if pairs else []
        han = [a.is_han or has_han(a.whole.text) for a in analyses]
        asked_han = has_han(question)
        chinese = [at for at, (i, j) in enumerate(pairs) if asked_han or han[i] or han[j]]
        others = sorted(set(range(len(pairs))) - set(chinese))
        shares = [(self._gauge, others), (self._han_gauge, chinese)]
        return [(gauge, chosen) for gauge, chosen in shares if chosen]


def measure(
    gauge: Gauge, question: str, analyses: Sequence[Analysis], pairs: Sequence[tuple[int, int]]
) -> list[Likeness]:
    """What the calibration needs of each pair of places in ``analyses``."""
    asked = what_was_asked(question)
    if isinstance(gauge, PairReader):
        return gauge.likeness(asked, analyses, pairs)
    measured = _Measured(gauge, asked, analyses, sorted({n for pair in pairs for n in pair}))
    return [measured.likeness(i, j) for i, j in pairs]


class _Measured:
    """The vectors of the texts of some answers, from one call of an embedder."""

    def __init__(
        self,
        embedder: TextEmbedder,
        asked: str,
        analyses: Sequence[Analysis],
        needed: list[int],
    ) -> None:
        rows: dict[str, int] = {}
        self._sentences: dict[int, list[int]] = {}
        self._completed: dict[int, int] = {}
        for n in needed:
            analysis = analyses[n]
            self._sentences[n] = [
                rows.setdefault(part.text, len(rows)) for part in analysis.sentences
            ]
            text = analysis.whole.text
            if len(text) <= COMPLETED_CHARACTERS_MAX:
                self._completed[n] = rows.setdefault(f"{asked} {text}".strip(), len(rows))
        vectors = embedder.embed(list(rows)).astype(np.float64)
        self._cosines = np.rint(vectors @ vectors.T * UNIT).astype(np.int64)
        # A long answer's own vector is the mean of its sentences', weighted by their length.
        self._alone: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
        for n in needed:
            weights = [max(1, len(part.text)) for part in analyses[n].sentences]
            mean = np.average(vectors[self._sentences[n]], axis=0, weights=weights)
            self._alone[n] = mean / max(float(np.linalg.norm(mean)), 1e-12)

    def likeness(self, i: int, j: int) -> Likeness:
        alone = round(float(self._alone[i] @ self._alone[j]) * UNIT)
        completed = alone
        if i in self._completed and j in self._completed:
            completed = int(self._cosines[self._completed[i], self._completed[j]])
        table = self._cosines[np.ix_(self._sentences[i], self._sentences[j])]
        weakest = min(int(table.max(axis=0).min()), int(table.max(axis=1).min()))
        return Likeness(alone, completed, weakest)


def what_was_asked(question: str) -> str:
    """The last sentence of the question, at most ``_QUESTION_CHARACTERS_MAX`` characters."""
    sentences = [part.strip() for part in _SENTENCE_END.split(question) if part.strip()]
    return sentences[-1][-_QUESTION_CHARACTERS_MAX:] if sentences else ""
