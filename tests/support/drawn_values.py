"""Questions for labels, numbers and schemas and the answers to them, from a seed, and the ways in
which they and what follows from them go wrong (`tests/support/certificates.py`)."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal
from random import Random
from typing import Any

from pbft.messages import Field, Kind
from pbft.outcome import Exclusion, FieldOutcome, Outcome, Reason, Status
from pbft.types import FIELDS_BYTES_MAX, ReplicaId
from tests.support.twist import (
    Twist,
    first_twice,
    more,
    same,
    shuffled,
    without_first,
)
from tests.support.typed import number_field, text_field

NAMES = ["answer", "price", "a", "x_1", "n" * 32]
LABELS = [
    ("up", "down"),
    ("up", "down", "flat"),
    ("上", "下", "平"),
    ("Straße", "Gasse", "no road", "é"),
]
MANY_LABELS = tuple(f"label {number}" for number in range(64))
UNITS = ["", "USD", "km/h", "°", "EUR per kilogram"]
TRUTHS = ["0", "1", "100", "-40", "2.5", "999999999999999999", "-0.000000000000000001",
          "123456.789", "50.000000000000000001"]  # fmt: skip
SPELLINGS = [
    ["Paris", "PARIS", "paris", "Lyon"],
    ["Straße", "STRASSE", "strasse", "STRA\u1e9eE", "Weg"],  # its capital came with Unicode 5.1
    ["new york", "New York", "ʣ", "ʥ", "ǰ", "J\u030c"],
    ["\u10a0", "\u2d00", "\u13a0", "\uab70"],  # letters whose other case came later
    ["ΣΊΣΥΦΟΣ", "σίσυφος", "σίσυφοσ", "İ", "i\u0307", "ı", "\u1fb3", "αι"],
    ["\u0390", "\u03aa\u0301", "Ι"],  # one letter with two marks, and none
    ["\U0001e900", "\U0001e922", "\U0001f600", "平"],
]
EXACT = Context(prec=80)

NOT_NAMES = ["", "Answer", "1a", "_a", "a-b", "é", "a ", "a\n", "m" * 33, "ａ"]
NOT_UNITS = [" kg", "kg ", "k  g", "k\ng", "㎏", "u" * 17, " ", "\u212b", "k\x00g"]
NOT_VALUES = {
    Kind.NUMBER: {
        "sign": ["-0", "-0.0", "+1", "--1", "+0"],
        "zeros": ["1.0", "0.50", "00", "01", "-01", ".5", "5.", "1."],
        "digits": ["1" * 19, "0." + "0" * 18 + "1", "١", "１", "1_000", "0x1", "1e3", "1,5", "1/2"],
        "unit": ["1 USD", " 1", "1 ", "1\n", "NaN", "Infinity", "one"],
    },
    Kind.TEXT: {
        "ends": [" x", "x ", " ", "\u3000", "\u2003x", "x\n"],
        "line": ["a\nb", "a\rb", "a\tb", "a\u2028b", "a\x1fb", "a\x85b", "a\x00b", "a\x7fb"],
        "spaces": ["a  b", "a\u00a0b", "a\u2003b", "a \u3000b"],
        "form": ["\ufb01", "A\u030a", "\u212b", "²", "カ\u3099", "\uf900"],
        "length": ["x" * 65, "é" * 33],
    },
    Kind.LABEL: {"choice": ["sideways", " ", "UP", "up ", "u", "u\u0301p"]},
}
"""What is no value of a field, and what is wrong with it."""
NOT_LABELS = ["", *(words for some in NOT_VALUES[Kind.TEXT].values() for words in some)]


@dataclass(frozen=True)
class Question:
    """Its form, and for each field what its answers are drawn from."""

    kind: Kind
    fields: tuple[Field, ...]
    pools: tuple[list[str], ...]


def written(number: Decimal) -> str | None:
    """The one form of a number; None if it has too many digits."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    whole, _, rest = text.lstrip("-").partition(".")
    if len(whole) > 18 or len(rest) > 18:
        return None
    return "0" if text == "-0" else text


def numbers(draw: Random, tolerance_bp: int) -> list[str]:
    """Some that agree with the first, among them one exactly at the edge, and others."""
    truth = Decimal(draw.choice(TRUTHS))
    edge = EXACT.multiply(truth, Decimal(tolerance_bp).scaleb(-4))
    tiny = Decimal("1e-18")
    candidates = [truth] * 5 + [
        EXACT.add(truth, edge),
        EXACT.subtract(truth, edge),
        EXACT.add(EXACT.add(truth, edge), tiny),
        EXACT.subtract(EXACT.subtract(truth, edge), tiny),
        EXACT.multiply(truth, Decimal("1.01")),
        EXACT.add(truth, tiny),
        EXACT.multiply(truth, Decimal(10)),
        -truth,
        Decimal(0),
        Decimal(7),
    ]
    return [text for number in candidates if (text := written(number)) is not None]


def draw_question(twist: Twist, tolerance_bp: int) -> Question:
    draw = twist.draw
    kind = draw.choice([Kind.TEXT, Kind.LABEL, Kind.NUMBER, Kind.SCHEMA])
    kinds: list[Kind] = [] if kind is Kind.TEXT else [kind]
    names = ["answer"]
    if kind is Kind.SCHEMA:
        count = draw.choice([1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 16])
        kinds = [draw.choice([Kind.LABEL, Kind.NUMBER, Kind.TEXT]) for _ in range(count)]
        names = NAMES[:count] if count <= len(NAMES) else [f"f{place}" for place in range(count)]
    asked = tuple(
        _draw_field(twist, name, form, alone=kind is not Kind.SCHEMA)
        for name, form in zip(names, kinds, strict=False)
    )
    if kind is Kind.TEXT:
        asked = twist("fields", asked, same((number_field(),)), same((text_field("answer"),)))
    else:
        asked = twist(
            "fields",
            asked,
            first_twice,
            lambda some: (*some, replace(some[0], kind=Kind.TEXT, labels=(), unit="")),
            lambda some: (*some, number_field("y"), number_field("z"), number_field("y")),
            same(()),
            same(sized(FIELDS_BYTES_MAX)),  # harmless to a schema
            same(sized(FIELDS_BYTES_MAX + 1)),
            same(tuple(number_field(f"f{place}") for place in range(17))),
        )
    others = [same(other) for other in Kind if other is not kind]
    return Question(
        twist("kind", kind, *others),
        asked,
        tuple(_pool(draw, field, tolerance_bp) for field in asked),
    )


def _draw_field(twist: Twist, name: str, kind: Kind, *, alone: bool) -> Field:
    draw = twist.draw
    wrong_names = [same(bad) for bad in NOT_NAMES]
    wrong_labels: list[Callable[[Any], Any]] = [same(("a", "b")), same(("a",)), same(("",))]
    wrong_units = [same("USD"), same(" ")]
    labels: tuple[str, ...] = ()
    unit = ""
    if alone:
        wrong_names.append(same("other"))
    if kind is Kind.LABEL:
        labels = MANY_LABELS if draw.random() < 0.05 else draw.choice(LABELS)
        wrong_labels = [
            first_twice,
            same(()),
            lambda some: some[:1],
            lambda some: (*some[:1], some[0].upper(), *some[2:]),
            lambda some: ("Straße", "STRASSE", *some[2:]),
            *(lambda some, bad=bad: (bad, *some[1:]) for bad in NOT_LABELS),
            same(tuple(f"number {number}" for number in range(65))),
        ]
    if kind is Kind.NUMBER:
        unit = draw.choice(UNITS)
        wrong_units = [same(bad) for bad in NOT_UNITS]
    return Field(
        twist("field name", name, *wrong_names),
        twist("field kind", kind, same(Kind.SCHEMA), _other_kind),
        twist("field labels", labels, *wrong_labels),
        twist("field unit", unit, *wrong_units),
    )


def _other_kind(kind: Kind) -> Kind:
    return Kind.NUMBER if kind is Kind.LABEL else Kind.LABEL


def _pool(draw: Random, field: Field, tolerance_bp: int) -> list[str]:
    """What answers to a field are drawn from."""
    if field.kind is Kind.NUMBER:
        return numbers(draw, tolerance_bp)
    if field.kind is Kind.LABEL:
        return [*field.labels[:1] * 3, *field.labels[:3]] or ["no label"]
    return draw.choice(SPELLINGS)


def sized(size: int) -> tuple[Field, ...]:
    """Three fields whose names and labels have so many bytes together."""
    names = ["f0", "f1", "f2"]
    lengths = [(size - 6) // 192] * 192
    for place in range((size - 6) % 192):
        lengths[place] += 1
    labels = [f"{place:x<{length}}" for place, length in enumerate(lengths)]
    return tuple(
        Field(name, Kind.LABEL, tuple(labels[64 * place : 64 * place + 64]), "")
        for place, name in enumerate(names)
    )


def draw_values(twist: Twist, question: Question) -> tuple[str, ...]:
    """What one replica says, empty here and there."""
    draw = twist.draw
    values = [
        "" if len(question.pools) > 1 and draw.random() < 0.15 else draw.choice(pool)
        for pool in question.pools
    ]
    if question.pools and not any(values):
        values[0] = question.pools[0][0]
    said = tuple(
        _twist_value(twist, field, value)
        for field, value in zip(question.fields, values, strict=True)
    )
    if not said:
        return twist("values", said, same(("1",)), same(("",)))
    return twist("values", said, first_twice, without_first, lambda v: ("",) * len(v))


def _twist_value(twist: Twist, field: Field, value: str) -> str:
    for fault in NOT_VALUES.get(field.kind, {}):
        value = twist(f"{field.kind} {fault}", value, *INSTEAD[fault])
    return value


INSTEAD = {
    fault: [same(bad) for bad in some]
    for faults in NOT_VALUES.values()
    for fault, some in faults.items()
}


# --- what follows from them ---------------------------------------------------------------------


def twist_outcome(twist: Twist, outcome: Outcome) -> Outcome:
    """One of the outcome's fields, at any depth."""
    decided = tuple(_twist_field(twist, field) for field in outcome.fields)
    outcome = replace(outcome, fields=decided)
    if decided:
        outcome = twist(
            "field outcomes",
            outcome,
            lambda o: replace(o, fields=first_twice(o.fields)),
            lambda o: replace(o, fields=without_first(o.fields)),
            lambda o: replace(o, fields=()),
        )
    steps: dict[str, list[Callable[[Any], Any]]] = {
        "status": [_other_status],
        "representative": [_other_replica],
        "clusters": [_emptied, without_first, _reversed_clusters, _merged],
        "agreement_rate_bp": [more, _one_off],
        "confidence_bp": [more, _one_off],
        "distinct_models": [more, _one_off],
    }
    assert set(steps) | {"fields"} == {field.name for field in fields(Outcome)}
    for name, wrong in steps.items():
        outcome = replace(
            outcome, **{name: twist(f"outcome {name}", getattr(outcome, name), *wrong)}
        )
    return outcome


def _twist_field(twist: Twist, decided: FieldOutcome) -> FieldOutcome:
    steps: dict[str, list[Callable[[Any], Any]]] = {
        "status": [_other_status],
        "value": [_other_value],
        "lower_quartile": [_other_value],
        "upper_quartile": [_other_value],
        "agreement_rate_bp": [more, _one_off],
        "confidence_bp": [more, _one_off],
        "excluded": [_first_excluded, _other_reasons],
    }
    assert set(steps) == {field.name for field in fields(FieldOutcome)}
    for name, wrong in steps.items():
        decided = replace(decided, **{name: twist(f"field {name}", getattr(decided, name), *wrong)})
    return decided


def _other_status(status: Status) -> Status:
    others = [Status.AGREED, Status.AGREED_LOW_CONFIDENCE, Status.NO_AGREEMENT]
    return others[others.index(status) - 1]


def _other_value(value: str) -> str:
    return {"": "0", "0": ""}.get(value, value.swapcase() if value.isalpha() else value + "1")


def _other_replica(replica: ReplicaId | None) -> ReplicaId | None:
    return ReplicaId(0) if replica is None else None


def _one_off(number: int) -> int:
    return number - 1 if number else 1


def _emptied(clusters: Any) -> Any:
    return (*clusters, ())


def _reversed_clusters(clusters: Any) -> Any:
    return shuffled(clusters) if len(clusters) > 1 else (*clusters, (9,))


def _merged(clusters: Any) -> Any:
    return (sum(clusters, ()),) if len(clusters) > 1 else ((*sum(clusters, ()), 9),)


def _first_excluded(excluded: Any) -> Any:
    return excluded[1:] if excluded else (Exclusion(ReplicaId(0), Reason.OUTVOTED),)


def _other_reasons(excluded: Any) -> Any:
    if not excluded:
        return (Exclusion(ReplicaId(0), Reason.NO_VALUE),)
    reason = Reason.NO_VALUE if excluded[0].reason is not Reason.NO_VALUE else Reason.OUTLIER
    return (Exclusion(excluded[0].replica, reason), *excluded[1:])
