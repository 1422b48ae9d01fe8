"""Values from a model: what to tell it about the fields, and how to read what it writes.

A model is told the fields in the question's language. Its text is read in this order: a JSON
object with the fields' names; lines such as `price: 5`; for a label or the only number, the text as
a whole (`values`). Whatever is not found stays empty. Where a label was asked for and the text
names none, the model is made to choose: of all labels the one that it is most likely to go on
with after its own words, so that the label fits the reason shown for it.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from inference.engine import Chooser, Engine, Generation, GenerationRequest
from inference.errors import GenerationFailed, PromptTooLong
from inference.language import Language, detect_language
from inference.values import UNWRITABLE, NoValue, exact, read_label, read_number, read_words
from inference.wording import normalise
from pbft.fields import ANSWER, is_value
from pbft.messages import Field, Kind
from pbft.types import NAME_BYTES_MAX

OBJECTS_TRIED_MAX = 8
"""Opening braces at which a JSON object is looked for."""

_EXPONENT_MAX = 40
"""A number beyond has no canonical form, and its digits would only fill memory."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The values in a text, parallel to the fields, empty where there is none; and why not."""

    values: tuple[str, ...]
    why: str = ""

    @property
    def has_values(self) -> bool:
        return any(self.values)


# --- telling -----------------------------------------------------------------------------------


def instruction(fields: Sequence[Field], question: str, language: Language | None) -> str:
    """What to tell a model after its question; empty for a question for text."""
    if not fields:
        return ""
    words = _CHINESE if (language or detect_language(question)) == "zh-TW" else _ENGLISH
    if len(fields) == 1 and fields[0].name == ANSWER and fields[0].kind is not Kind.TEXT:
        (field,) = fields
        if field.kind is Kind.LABEL:
            return words.label.format(words.comma.join(field.labels))
        return words.number.format(words.unit.format(field.unit) if field.unit else "")
    keys = "\n".join(f'"{field.name}": {_described(field, words)}' for field in fields)
    return f"{words.schema}\n{keys}"


@dataclass(frozen=True, slots=True)
class _Words:
    label: str
    number: str
    unit: str
    schema: str
    one_of: str
    a_number: str
    few_words: str
    comma: str


_ENGLISH = _Words(
    label="Answer with one of these labels: {}. Write the label first, then the reason in one "
    "short sentence.",
    number="Answer with one number{}. Write the number in digits first, then the reason in one "
    "short sentence.",
    unit=" in {}",
    schema="Answer with one JSON object and nothing else. It has these keys:",
    one_of="one of {}",
    a_number="a number{}",
    few_words="a few words",
    comma=", ",
)
_CHINESE = _Words(
    label="請用下列標籤之一回答：{}。先寫標籤，再用一個簡短的句子說明理由。",
    number="請用一個數字回答{}。先用阿拉伯數字寫出，再用一個簡短的句子說明理由。",
    unit="，單位是 {}",
    schema="請只用一個 JSON 物件回答，包含下列鍵：",
    one_of="{} 其中之一",
    a_number="一個數字{}",
    few_words="幾個字",
    comma="、",
)


def _described(field: Field, words: _Words) -> str:
    if field.kind is Kind.LABEL:
        labels = words.comma.join(json.dumps(label, ensure_ascii=False) for label in field.labels)
        return words.one_of.format(labels)
    if field.kind is Kind.NUMBER:
        return words.a_number.format(words.unit.format(field.unit) if field.unit else "")
    return words.few_words


# --- asking ------------------------------------------------------------------------------------

_CUE = "\n\nLabel: "

CHOSEN = "label chosen by likelihood"
"""Said of a label that the model did not write."""


def answer(
    engine: Engine,
    request: GenerationRequest,
    fields: Sequence[Field],
    cancelled: Callable[[], bool],
) -> tuple[Generation, Reading]:
    """The model's words and the values in them; blocks. Errors are those of `Engine.generate`."""
    generation = engine.generate(request, cancelled)
    reading = read(fields, generation.text, request.question)
    if reading.has_values or not generation.text.strip() or not isinstance(engine, Chooser):
        return generation, reading
    if len(fields) == 1 and fields[0].kind is Kind.LABEL:
        labels = fields[0].labels
        try:
            likely = engine.log_likelihoods(request, generation.text + _CUE, labels, cancelled)
        except (PromptTooLong, GenerationFailed):
            return generation, reading  # it stays without a label
        reading = Reading((labels[likely.index(max(likely))],), CHOSEN)
    return generation, reading


# --- reading -----------------------------------------------------------------------------------


def read(fields: Sequence[Field], text: str, question: str) -> Reading:
    """The values of all fields in a model's answer."""
    written = _object(fields, text)
    lines = _lines(fields, text)
    numbers = sum(field.kind is Kind.NUMBER for field in fields)
    values: list[str] = []
    reasons: list[str] = []
    for field in fields:
        try:
            if field.name in written:
                value = _from_json(field, written[field.name], question)
            elif field.name in lines:
                value = _from_words(field, lines[field.name], question)
            elif field.kind is Kind.LABEL or (field.kind is Kind.NUMBER and numbers == 1):
                value = _from_words(field, text, question)
            else:
                raise NoValue("not given")
            if not is_value(field, value):
                raise NoValue("not usable")
        except NoValue as why:
            value = ""
            reasons.append(str(why) if len(fields) == 1 else f"{field.name}: {why}")
        values.append(value)
    return Reading(tuple(values), "; ".join(reasons)[:NAME_BYTES_MAX])


def _from_words(field: Field, text: str, question: str) -> str:
    if field.kind is Kind.LABEL:
        return read_label(field.labels, text)
    if field.kind is Kind.NUMBER:
        return read_number(field.unit, text, question)
    return read_words(text)


def _from_json(field: Field, value: Any, question: str) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if isinstance(value, Decimal):
        if field.kind is Kind.NUMBER:
            return _from_decimal(value)
        value = str(value)
    if not isinstance(value, str):
        raise NoValue("not given")
    return _from_words(field, value, question)


def _from_decimal(value: Decimal) -> str:
    if abs(value.adjusted()) > _EXPONENT_MAX:
        raise NoValue(UNWRITABLE)
    return exact(Fraction(value))


_READER = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)


def _object(fields: Sequence[Field], text: str) -> dict[str, Any]:
    """What the first JSON object that names a field says about the fields; models put it among
    words and into fences."""
    names = {field.name for field in fields}
    for opening in list(re.finditer(r"\{", text))[:OBJECTS_TRIED_MAX]:
        try:
            document, _ = _READER.raw_decode(text, opening.start())
        except (ValueError, ArithmeticError, RecursionError):
            continue
        found = {_key(name): value for name, value in document.items() if _key(name) in names}
        if found:
            return found
    return {}


def _key(name: str) -> str:
    return re.sub(r"[\s-]+", "_", normalise(name).strip())


def _lines(fields: Sequence[Field], text: str) -> dict[str, str]:
    """What stands behind each field's name and a colon, up to the next such name or line."""
    plain = unicodedata.normalize("NFKC", text)
    names = "|".join(
        field.name.replace("_", r"[\s_-]") for field in sorted(fields, key=lambda f: -len(f.name))
    )
    heading = re.compile(rf"(?<![^\W_])(?P<name>{names})[\"'`*]*\s*[:=]", re.IGNORECASE)
    headings = list(heading.finditer(plain))
    found: dict[str, str] = {}
    for place, match in enumerate(headings):
        end = headings[place + 1].start() if place + 1 < len(headings) else len(plain)
        rest = plain[match.end() : end].strip().partition("\n")[0].strip(" ,;{}*")
        if rest:
            found.setdefault(_key(match["name"]), rest)
    return found
