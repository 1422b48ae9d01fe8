"""A small model of meaning: what simulated language models say, and how alike two sayings are.

A saying is a claim in one of several wordings. Two wordings of one claim are similar; two claims
mostly are not. Some claims come in pairs of similar words and opposite meaning (rise, fall) or with
different numbers: these are similar, and contradict each other. Everything is an integer and
follows from the words, but for a small error of measurement that each replica makes in its own way.
Words that the model does not know are similar only to themselves.
"""

from dataclasses import dataclass
from itertools import combinations
from random import Random
from zlib import crc32

from pbft.messages import Answer, Field, Finish, Kind, Request
from pbft.outcome import Contradiction
from pbft.types import FULL_BP

CLAIMS = (
    "Paris",
    "Lyon",
    "Marseille",
    "a river",
    "a mountain",
    "the price will rise",
    "the price will fall",
    "it is safe",
    "it is not safe",
    "about 42 percent",
    "about 47 percent",
)
WORDINGS = ("It is {}.", "The answer: {}.", "Surely {}.", "I would say {}.", "{}, no doubt.")
OPPOSITES = {5: 6, 6: 5, 7: 8, 8: 7, 9: 10, 10: 9}
"""By claim: the one with similar words that cannot be right beside it."""

LABELS = ("yes", "no", "unknown")
SAME_BP = 9_000
"""Different wordings of one claim are at least so similar."""
OPPOSITE_BP = 9_200
FAR_BP = 4_000
"""Different claims are at most so similar."""

_TEXTS = {
    wording.format(claim): (c, w)
    for c, claim in enumerate(CLAIMS)
    for w, wording in enumerate(WORDINGS)
}


def text_of(claim: int, wording: int) -> str:
    return WORDINGS[wording % len(WORDINGS)].format(CLAIMS[claim % len(CLAIMS)])


def claim_of(text: str) -> int | None:
    """None for words that the model does not know."""
    known = _TEXTS.get(text)
    return known[0] if known else None


def similarity_bp(one: str, other: str) -> int:
    """The true similarity, 0..10000."""
    if one == other:
        return FULL_BP
    spread = crc32("\n".join(sorted((one, other))).encode("utf-8", "replace"))
    a, b = _TEXTS.get(one), _TEXTS.get(other)
    if a is None or b is None:
        return spread % FAR_BP
    if a[0] == b[0]:
        return SAME_BP + spread % 900
    if OPPOSITES.get(a[0]) == b[0]:
        return OPPOSITE_BP + spread % 500
    return spread % FAR_BP


def contradict(one: str, other: str) -> bool:
    a, b = claim_of(one), claim_of(other)
    return a is not None and b is not None and OPPOSITES.get(a) == b


def opposite_of(text: str) -> str:
    """Similar words, opposite meaning; for claims without one, another claim."""
    known = _TEXTS.get(text)
    if known is None:
        return text_of(6, 0)
    return text_of(OPPOSITES.get(known[0], (known[0] + 1) % 5), known[1])


Comparison = tuple[tuple[int, ...], tuple[Contradiction, ...]]


@dataclass(frozen=True, slots=True)
class Models:
    """How good the models of one network are, and how fast."""

    right_bp: int = 9_300
    """How often an honest model says what is true."""
    abstain_bp: int = 100
    """How often it has no answer."""
    answer_ms: tuple[int, int] = (100, 2_000)
    compare_ms: tuple[int, int] = (10, 60)
    error_bp: int = 60
    """Each replica measures each pair by up to so much too high or too low. Two honest replicas
    differ by at most twice this; it must stay within the policy's tolerance."""


class Meaning:
    """Answers and measurements of one network."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self._true: dict[tuple[str, ...], Comparison] = {}

    def truth(self, topic: int) -> int:
        """The claim that is right."""
        return topic * 7 % len(CLAIMS)

    def prompt(self, number: int, topic: int) -> str:
        """What a user asks."""
        return f"Question {number}, of topic {topic}?"

    def alike(self, question: str, one: str, other: str, threshold_bp: int) -> bool:
        """Whether two answers may stand in one cluster, whoever measures."""
        del question
        return similarity_bp(one, other) >= threshold_bp and not contradict(one, other)

    def answer(self, request: Request, topic: int, draw: Random, replica: int) -> Answer:
        """What an honest model says."""
        del replica  # all are the same model
        models = self.models
        luck = draw.randrange(FULL_BP)
        if luck < models.abstain_bp:
            return Answer("", Finish.ABSTAINED, "", 0, 10, "no answer")
        right = luck < models.abstain_bp + models.right_bp
        truth = self.truth(topic)
        claim = truth if right else draw.randrange(len(CLAIMS))
        wording = draw.randrange(len(WORDINGS))
        return Answer(
            text_of(claim, wording), Finish.STOP, "simulated", 8, 10, "", _values(request, claim)
        )

    def compare(self, question: str, texts: tuple[str, ...], replica: int) -> Comparison:
        """What a replica measures: the truth and its own error."""
        del question
        known = self._true.get(texts)
        if known is None:
            if len(self._true) > 10_000:
                self._true.clear()
            known = self._true[texts] = compare_truly(texts)
        error = self.models.error_bp
        if not error:
            return known
        spread = 2 * error + 1
        similarities_bp = tuple(
            min(FULL_BP, max(0, value + (value * 31 + replica * 97 + place * 17) % spread - error))
            for place, value in enumerate(known[0])
        )
        return similarities_bp, known[1]


def compare_truly(texts: tuple[str, ...]) -> Comparison:
    """Upper triangle, row-major, and the pairs that contradict each other."""
    pairs = list(combinations(texts, 2))
    found = [
        Contradiction(i, j, "opposite")
        for i, j in combinations(range(len(texts)), 2)
        if contradict(texts[i], texts[j])
    ]
    return tuple(similarity_bp(a, b) for a, b in pairs), tuple(found)


def _values(request: Request, claim: int) -> tuple[str, ...]:
    return tuple(_value(field, claim) for field in request.fields)


def _value(field: Field, claim: int) -> str:
    if field.kind is Kind.LABEL:
        return field.labels[claim % len(field.labels)]
    return str(40 + claim) if field.kind is Kind.NUMBER else f"word {claim}"


def fields_for(kind: Kind) -> tuple[Field, ...]:
    """Of a question of this kind."""
    if kind is Kind.LABEL:
        return (Field("answer", kind, LABELS, ""),)
    return (Field("answer", kind, (), "USD"),) if kind is Kind.NUMBER else ()
