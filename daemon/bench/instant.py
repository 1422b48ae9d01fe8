"""A model and a judge that take no time, so that only consensus is left to measure.

Each replica gives an answer of its own, as long as a short real one, so that commitments, reveals
and matrices are of the usual size. The similarities are integers drawn from the texts by a hash:
equal on all nodes, and above the threshold, so that every question is agreed on.
"""

import re
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import combinations

from inference.engine import Generation, GenerationRequest
from inference.equivalence import Comparison
from pbft.types import ReplicaId

_LOWEST_BP = 9_000
_SPREAD_BP = 900
_WORDINGS = (
    "The capital of France is Paris, a city on the river Seine in the north of the country.",
    "It is Paris: the seat of the government, on the Seine, with some two million inhabitants.",
    "Paris. France has been governed from there, with interruptions, for about a thousand years.",
    "France's capital is the city of Paris, which is its largest one as well, on the Seine.",
)
_NUMBER = re.compile(r"\d+")


def question(number: int) -> str:
    """A question that no other of the same run equals."""
    return f"Question {number} of the benchmark: what is the capital of France?"


def number_of(text: str) -> int:
    """The number in a question made by `question`."""
    found = _NUMBER.search(text)
    return int(found.group()) if found else -1


class InstantEngine:
    """Answers at once, and notes when (`ready_ns`, on `time.monotonic_ns`, by question)."""

    model = "instant"
    device = "cpu"

    def __init__(self, me: ReplicaId) -> None:
        self._text = f"{_WORDINGS[me % len(_WORDINGS)]} (answer of replica {me})"
        self.ready_ns: dict[int, int] = {}

    def generate(self, request: GenerationRequest, _cancelled: Callable[[], bool]) -> Generation:
        generation = Generation(
            text=self._text,
            reasoning="",
            finish="stop",
            model=self.model,
            prompt_tokens=16,
            output_tokens=24,
            elapsed_ms=0,
        )
        self.ready_ns[number_of(request.question)] = time.monotonic_ns()
        return generation


class InstantJudge:
    """Finds all answers alike, each pair by its own measure."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], int] = {}

    def preparation(self, _question: str) -> None:
        """Always ready."""

    def compare(self, _question: str, answers: Sequence[str]) -> Comparison:
        pairs = combinations(answers, 2)
        return Comparison(tuple(self._similarity_bp(a, b) for a, b in pairs), ())

    def _similarity_bp(self, a: str, b: str) -> int:
        pair = (min(a, b), max(a, b))
        measured = self._measured.get(pair)
        if measured is None:
            drawn = sha256("\0".join(pair).encode()).digest()
            measured = _LOWEST_BP + int.from_bytes(drawn[:2]) % _SPREAD_BP
            self._measured[pair] = measured
        return measured
