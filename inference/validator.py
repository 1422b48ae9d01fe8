"""Is an agreed answer any good? Scores, format checks, advice; what a prompt contains; pure.

Agreement says that the nodes said the same, not that it helps: four nodes may agree on nothing.
``validate`` looks at one answer and returns scores of 0 to 10,000 basis points:

- *quality*: is it whole text? (not empty, cut off, looping, in the wrong script)
- *relevance*: is it about the question? (not an echo of it, shares its words, has what was asked)
- *consistency*: does it contradict itself, or the other answers of its cluster?

The answer is valid if the three together reach 7,000 (``overall_bp``) and nothing fatal was found.
What was found comes with advice. Nothing is changed: neither here nor in ``inspect_prompt``, which
reports what a prompt contains; what the model then reads is made by ``prompting.sanitise``.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from inference.analysis import Analysis, analyse, strip_markup
from inference.engine import QUESTION_BYTES_MAX, Finish
from inference.formats import form_asked, names_language
from inference.guards import first_objection
from inference.language import Language, detect_language
from inference.numerals import quantities
from inference.overlap import PERMILLE, coverage
from inference.prompting import sanitise
from inference.refusals import injections, standing
from inference.wording import has_han, normalise

VALID_BP = 7_000
FULL_BP = 10_000


class Flaw(StrEnum):
    """What can be wrong with an answer."""

    EMPTY = "empty"
    TRUNCATED = "truncated"
    REPETITIVE = "repetitive"
    ECHO = "echo"
    WRONG_SCRIPT = "wrong script"
    UNREADABLE = "unreadable"
    INJECTED = "injected"
    REFUSAL = "refusal"
    OFF_TOPIC = "off topic"
    NO_NUMBER = "no number"
    NO_STANCE = "no stance"
    NOT_JSON = "not JSON"
    NOT_A_LIST = "not a list"
    NOT_ONE_WORD = "not one word"
    SELF_CONTRADICTION = "contradicts itself"
    DISPUTED = "disputed"


# Cost in basis points, the score that it lowers, and what to do about it.
_FLAWS: dict[Flaw, tuple[int, str, str]] = {
    Flaw.EMPTY: (FULL_BP, "quality", "Ask again; the model produced no text."),
    Flaw.TRUNCATED: (4_000, "quality", "Raise max_tokens, or ask for a shorter answer."),
    Flaw.REPETITIVE: (FULL_BP, "quality", "Ask again with another seed; the model was looping."),
    Flaw.ECHO: (FULL_BP, "relevance", "Rephrase the question; the model only repeated it."),
    Flaw.WRONG_SCRIPT: (6_000, "quality", "Name the language in the question, or set language."),
    Flaw.UNREADABLE: (FULL_BP, "quality", "Ask again; most of the answer is no language."),
    Flaw.INJECTED: (FULL_BP, "relevance", "Remove instructions to the model from the question."),
    Flaw.REFUSAL: (6_000, "relevance", "Rephrase the question, or ask for what the model may say."),
    Flaw.OFF_TOPIC: (7_000, "relevance", "Ask more precisely; the answer shares nothing with it."),
    Flaw.NO_NUMBER: (5_000, "relevance", "Ask for a number explicitly."),
    Flaw.NO_STANCE: (3_000, "relevance", "Ask for yes or no explicitly."),
    Flaw.NOT_JSON: (FULL_BP, "quality", "Ask for JSON only, without a word around it."),
    Flaw.NOT_A_LIST: (5_000, "quality", "Ask for one item a line."),
    Flaw.NOT_ONE_WORD: (5_000, "quality", "Ask for a single word without explanation."),
    Flaw.SELF_CONTRADICTION: (7_000, "consistency", "Ask again; two sentences exclude each other."),
    Flaw.DISPUTED: (5_000, "consistency", "Look at the other answers; some of them contradict."),
}  # fmt: skip
_FATAL = frozenset(
    {Flaw.EMPTY, Flaw.REPETITIVE, Flaw.ECHO, Flaw.UNREADABLE, Flaw.INJECTED, Flaw.NOT_JSON}
)

_JUDGED_CHARACTERS = 20
_MARKS_A_LETTER = 8
"""A shorter answer may have so many marks for each letter, a longer one no more than letters."""

_WANTS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|far|old|tall|high|heavy|fast|often)\b|\bwhat (?:percentage|"
    r"year|number)\b|"
    "多少|幾[個天年月人次元公歲]|几[个天年月人次元公岁]|多久|多長|多长|哪一年"
)
_WANTS_STANCE = re.compile(
    r"^\s*(?:is|are|was|were|do|does|did|can|could|will|would|should|has|have|may)\b|[嗎吗]\s*[？?]?\s*$"
)
_LIST_ITEM = re.compile(r"(?m)^[^\S\n]*(?:[-*•]|\d+[.)、]|[一二三四五六七八九十]+、)\s*\S")
_ENDS_WHOLE = re.compile(r"""[.!?。！？…)\]}"'」』”’`*:：;；%％]\s*$""")
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")
_HAN_NAME_PAIRS_MAX = 8
# The line between the head and the body of a table.
_TABLE_RULE = re.compile(r"(?m)^[^\S\n]*\|?(?:[^\S\n]*:?-{3,}:?[^\S\n]*\|)+[-: \t]*$")
_LETTERS = re.compile(r"[^\W\d_]{2}")
_LOOP_WORDS_MAX = 40
"""A sentence; longer loops are whole lines."""
_LOOP_TIMES = 4


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores in basis points; ``flaws`` and ``advice`` go together, in order."""

    quality_bp: int
    relevance_bp: int
    consistency_bp: int
    flaws: tuple[Flaw, ...]
    advice: tuple[str, ...]

    @property
    def overall_bp(self) -> int:
        """Two parts the least of the three scores, one part their mean; rounded down.

        A mean alone would let two perfect scores make up for an answer that is about nothing.
        """
        scores = (self.quality_bp, self.relevance_bp, self.consistency_bp)
        return (6 * min(scores) + sum(scores)) // 9

    @property
    def valid(self) -> bool:
        """Whether the answer may be shown as it is."""
        return self.overall_bp >= VALID_BP and not _FATAL.intersection(self.flaws)


@dataclass(frozen=True, slots=True)
class PromptReport:
    """What a prompt contains that a prompt should not.

    ``markers`` are tokens of chat templates, ``removed_characters`` counts control and invisible
    characters, ``injections`` are phrases that give the model other instructions.
    """

    markers: tuple[str, ...]
    removed_characters: int
    injections: tuple[str, ...]
    too_long: bool

    @property
    def suspicious(self) -> bool:
        """Whether an operator should look at it."""
        return bool(self.markers or self.injections)


def validate(
    question: str,
    answer: str,
    others: Sequence[str] = (),
    *,
    finish: Finish = "stop",
    language: Language | None = None,
) -> Validation:
    """Look at an answer to a question; ``others`` are the other answers of its cluster."""
    flaws = list(dict.fromkeys(_flaws(question, answer, others, finish, language)))
    scores = dict.fromkeys(("quality", "relevance", "consistency"), FULL_BP)
    for flaw in flaws:
        cost, score, _ = _FLAWS[flaw]
        scores[score] = max(0, scores[score] - cost)
    if Flaw.EMPTY in flaws:
        scores = dict.fromkeys(scores, 0)
    return Validation(
        scores["quality"],
        scores["relevance"],
        scores["consistency"],
        tuple(flaws),
        tuple(_FLAWS[flaw][2] for flaw in flaws),
    )


def abnormality(question: str, answer: str) -> Flaw | None:
    """Why a text is no answer at all, so that a node had better not vote for it; None if it is."""
    if not re.search(r"\w", answer):
        return Flaw.EMPTY
    if is_repetitive(answer):
        return Flaw.REPETITIVE
    if _is_unreadable(answer):
        return Flaw.UNREADABLE
    return Flaw.ECHO if _bare(answer) == _bare(question) else None


def inspect_prompt(prompt: str, special_tokens: Sequence[str] = ()) -> PromptReport:
    """Report what is suspicious in a prompt; the prompt itself is left as it is."""
    sanitised = sanitise(prompt, special_tokens)
    return PromptReport(
        markers=sanitised.neutralised,
        removed_characters=sanitised.removed_characters,
        injections=injections(analyse(sanitised.text)),
        too_long=len(prompt.encode("utf-8", "surrogatepass")) > QUESTION_BYTES_MAX,
    )


def _flaws(
    question: str,
    answer: str,
    others: Sequence[str],
    finish: Finish,
    language: Language | None,
) -> list[Flaw]:
    if not re.search(r"\w", answer):
        return [Flaw.EMPTY]
    asked, given = analyse(question), analyse(answer)
    found = [*_of_text(question, answer, finish, language), *_of_format(question, answer)]
    kind = standing(given)
    if kind == "injected":
        found.append(Flaw.INJECTED)
    elif kind != "answer":
        found.append(Flaw.REFUSAL)
    else:
        found += _of_content(asked, given)
    if any(
        first_objection(question, x.text, y.text)
        for n, x in enumerate(given.sentences[:12])
        for y in given.sentences[n + 1 : 12]
        if _same_subject(x.plain, y.plain)
    ):
        found.append(Flaw.SELF_CONTRADICTION)
    disputes = sum(first_objection(question, answer, other) is not None for other in others)
    if 2 * disputes > len(others):
        found.append(Flaw.DISPUTED)
    return found


def _of_text(question: str, answer: str, finish: Finish, language: Language | None) -> list[Flaw]:
    found = []
    if finish == "length" or (len(answer) > 200 and not _ENDS_WHOLE.search(answer)):
        found.append(Flaw.TRUNCATED)
    if is_repetitive(answer):
        found.append(Flaw.REPETITIVE)
    if _is_unreadable(answer):
        found.append(Flaw.UNREADABLE)
    plain_answer = analyse(answer).whole
    if _bare(answer) == _bare(question):
        found.append(Flaw.ECHO)
    wanted = language or (None if names_language(question) else detect_language(question))
    said = detect_language(answer)
    # A name or a formula has no language; a sentence has.
    sentence = (
        len(plain_answer.words) > 3
        or len(plain_answer.han_pairs) > _HAN_NAME_PAIRS_MAX
        or (said is None and _LETTERS.search(answer))
    )
    if wanted and wanted != said and sentence:
        found.append(Flaw.WRONG_SCRIPT)
    return found


def _is_unreadable(answer: str) -> bool:
    if "\ufffd" in answer:
        return True
    answer = _TABLE_RULE.sub("", answer)
    letters = sum(character.isalnum() for character in answer)
    spaces = sum(character.isspace() for character in answer)
    marks = len(answer) - letters - spaces
    if len(answer) < _JUDGED_CHARACTERS:
        return marks > _MARKS_A_LETTER * letters  # "**B**" and "5%." are answers
    return marks > letters + spaces and not _is_json(answer)


def _is_json(answer: str) -> bool:
    try:
        json.loads(_FENCE.sub("", answer))
    except (ValueError, RecursionError):
        return False
    return True


def _bare(text: str) -> str:
    return " ".join(normalise(strip_markup(text)).split()).strip(" ?？.。")


def _of_format(question: str, answer: str) -> list[Flaw]:
    form = form_asked(question)
    if form == "JSON" and not _is_json(answer):
        return [Flaw.NOT_JSON]
    if form == "list" and len(_LIST_ITEM.findall(answer)) < 2:
        return [Flaw.NOT_A_LIST]
    if form == "word" and len(re.findall(r"[^\W_]+", answer)) > 1:
        return [Flaw.NOT_ONE_WORD]
    return []


def _of_content(asked: Analysis, given: Analysis) -> list[Flaw]:
    found = []
    question = asked.whole.text
    if _WANTS_NUMBER.search(question.casefold()) and not (
        quantities(given.whole.text) or given.whole.moments
    ):
        found.append(Flaw.NO_NUMBER)
    shared, total = coverage(asked.whole, given.whole)
    short = len(given.whole.words) + len(given.whole.han_pairs) <= 4
    if total and not short and PERMILLE * shared < 80 * total and has_han(question) == given.is_han:
        found.append(Flaw.OFF_TOPIC)
        if _WANTS_STANCE.search(question.casefold()) and not given.whole.reading.stance:
            found.append(Flaw.NO_STANCE)
    return found


def is_repetitive(text: str) -> bool:
    """Whether the same words, up to a sentence of them, or a line come again and again."""
    words = re.findall(r"[㐀-鿿]|[^\W_㐀-鿿]+", text.casefold())
    for length in range(1, _LOOP_WORDS_MAX + 1):
        times = 1
        for at in range(length, len(words) - length + 1, length):
            same = words[at : at + length] == words[at - length : at]
            times = times + 1 if same else 1
            if times >= _LOOP_TIMES and (length > 1 or times > 2 * _LOOP_TIMES):
                return True
    lines = Counter(line.strip() for line in text.splitlines() if len(line.strip()) > 12)
    return bool(lines) and max(lines.values()) >= _LOOP_TIMES


def _same_subject(a: str, b: str) -> bool:
    """Two sentences of one text are compared only if they begin alike."""
    return a.split()[:2] == b.split()[:2] and a != b
