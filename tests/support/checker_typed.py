"""Questions for labels, numbers and schemas, for the second verifier (`tests/support/checker.py`).

Written from docs/protocol.md §5a. Numbers are fractions, medians are found by trying every number
that was given, clusters by comparing every answer with every other.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.support.checker_form import demand

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{0,17}[1-9])?")
WORST = ["no_agreement", "agreed_low_confidence", "agreed"]
TABLES = unicodedata.ucd_3_2_0


def spaces(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


WHITE = (
    spaces(0x09, 0x0D) + spaces(0x1C, 0x20) + "\x85\xa0\u1680" + spaces(0x2000, 0x200A)
    + "\u2028\u2029\u202f\u205f\u3000"
)  # fmt: skip


def is_blank(words: str) -> bool:
    return not words.strip(WHITE)


def is_line(words: str) -> bool:
    odd = {"Cc", "Cs", "Zl", "Zp"} & {TABLES.category(character) for character in words}
    return words != "" and words.strip(WHITE) == words and not odd


def tidy(words: str) -> str:
    return re.sub(f"[{WHITE}]+", " ", TABLES.normalize("NFKC", words)).strip(" ")


def folded(words: str) -> str:
    """What texts have in common that count as the same."""
    known = (TABLES.category(character) != "Cn" for character in tidy(words))
    lower = (
        character.casefold() if old else character
        for character, old in zip(tidy(words), known, strict=True)
    )
    return tidy("".join(lower))


# --- what may be asked, and answered ----------------------------------------------------------


def check_fields(asked: Any) -> None:
    """That the request's fields are such as its kind has."""
    fields, kind = asked["fields"], asked["kind"]
    kinds = [field["kind"] for field in fields]
    names = [field["name"] for field in fields]
    if kind == "text":
        demand(not fields, "fields of a text")
    elif kind == "schema":
        demand(len(fields) >= 1, "no fields")
        demand("schema" not in kinds, "a schema in a schema")
        demand(all(NAME.fullmatch(name) for name in names), "a wrong name")
        demand(len(set(names)) == len(names), "a name twice")
    else:
        demand(kinds == [kind] and names == ["answer"], "other fields than one")
    size = 0
    for field in fields:
        if field["kind"] == "label":
            demand(len(field["labels"]) >= 2, "no choice")
            alike = {folded(label) for label in field["labels"]}
            demand(len(alike) == len(field["labels"]), "a label twice")
            demand(all(map(is_line, field["labels"])), "a label that is no line")
        else:
            demand(not field["labels"], "labels of something else")
        demand(field["kind"] == "number" or not field["unit"], "a unit of something else")
        demand(not field["unit"] or is_line(field["unit"]), "a unit that is no line")
        size += sum(
            len(words.encode()) for words in (field["name"], field["unit"], *field["labels"])
        )
    demand(size <= 8 * 1024, "too many labels")


def check_values(asked: Any, answer: Any) -> None:
    """That the answer has values such as the request's fields ask for."""
    fields, values = asked["fields"], answer["values"]
    silent = answer["finish"] == "abstained"
    demand(silent == is_blank(answer["text"]), "an answer without words")
    if silent or not fields:
        demand(not values, "values of none")
        return
    demand(len(values) == len(fields), "not a value for each field")
    demand(any(values), "an answer without values")
    for field, value in zip(fields, values, strict=True):
        if value:
            check_value(field, value)


def check_value(field: Any, value: str) -> None:
    if field["kind"] == "label":
        demand(value in field["labels"], "none of the labels")
    elif field["kind"] == "number":
        demand(DECIMAL.fullmatch(value) is not None and value != "-0", "no plain number")
    else:
        demand(is_line(value) and tidy(value) == value, "no tidy line")


# --- what follows from the values -------------------------------------------------------------


@dataclass(frozen=True)
class Vote:
    """An answer that is no abstention."""

    replica: int
    weight: int
    digest: bytes
    model: str
    values: list[str]


def total(votes: list[Vote]) -> int:
    return sum(vote.weight for vote in votes)


def reached(given: dict[str, list[Vote]], quarters: int) -> str:
    """The least number such that it and those below it hold so many quarters of the weight."""
    holds = {number: total(votes) for number, votes in given.items()}
    if not any(holds.values()):
        holds = {number: len(votes) for number, votes in given.items()}

    def is_reached(number: str) -> bool:
        held = sum(part for other, part in holds.items() if Fraction(other) <= Fraction(number))
        return 4 * held >= quarters * sum(holds.values())

    return min(filter(is_reached, given), key=Fraction)


def confidence(share: int, cohesion: int) -> int:
    return cohesion * (10_000**2 - (10_000 - share) ** 2) // 10_000**2


def field_outcome(
    kind: str, place: int, votes: list[Vote], silent_weight: int, f: int, policy: dict[str, int]
) -> tuple[dict[str, Any], list[Vote]]:
    """The network's value of one field, and who stands behind it."""
    given: dict[str, list[Vote]] = {}
    for vote in votes:
        if vote.values[place]:
            given.setdefault(vote.values[place], []).append(vote)
    lower = value = upper = ""
    behind: list[Vote] = []
    if given and kind == "number":
        lower, value, upper = (reached(given, quarters) for quarters in (1, 2, 3))
        median = Fraction(value)
        far = abs(median) * Fraction(policy["number_tolerance_bp"], 10_000)
        near = [number for number in given if abs(Fraction(number) - median) <= far]
        behind = [vote for vote in votes if vote.values[place] in near]
    elif given:
        sorts: dict[str, list[Vote]] = {}
        for said, voters in given.items():
            sorts.setdefault(folded(said), []).extend(voters)
        best = min(sorts, key=lambda sort: (-total(sorts[sort]), -len(sorts[sort]), sort))
        behind = sorts[best]
        value = min(
            (said for said in given if folded(said) == best),
            key=lambda said: (-total(given[said]), -len(given[said]), said),
        )
    excluded = []
    for vote in votes:
        if not vote.values[place]:
            excluded.append({"replica": vote.replica, "reason": "no_value"})
        elif vote not in behind:
            reason = "outlier" if kind == "number" else "outvoted"
            excluded.append({"replica": vote.replica, "reason": reason})
    weight = total(behind)
    weight_given = sum(total(voters) for voters in given.values())
    share = weight * 10_000 // max(total(votes) + silent_weight, 1)
    sure = confidence(share, 10_000)
    status = "no_agreement"
    enough = policy["vote_denominator"] * weight >= policy["vote_numerator"] * weight_given
    if len(behind) >= f + 1 and weight > 0 and enough:
        status = "agreed" if sure >= policy["confidence_threshold_bp"] else "agreed_low_confidence"
    outcome = {
        "status": status,
        "value": value,
        "lower_quartile": lower,
        "upper_quartile": upper,
        "agreement_rate_bp": weight * 10_000 // max(weight_given, 1),
        "confidence_bp": sure,
        "excluded": excluded,
    }
    return outcome, behind


def typed_outcome(
    fields: list[Any], votes: list[Vote], silent_weight: int, f: int, policy: dict[str, int]
) -> dict[str, Any]:
    """What the network says to a request with fields."""
    kinds = [field["kind"] for field in fields]
    decided = [
        field_outcome(kind, place, votes, silent_weight, f, policy)
        for place, kind in enumerate(kinds)
    ]
    outcomes = [outcome for outcome, _ in decided]

    def stands(vote: Vote) -> list[bool]:
        return [vote in behind for _, behind in decided]

    def together(one: Vote, other: Vote) -> bool:
        return stands(one) == stands(other) and all(
            stand or folded(first) == folded(second)
            for stand, first, second in zip(stands(one), one.values, other.values, strict=True)
        )

    clusters: list[list[Vote]] = []
    for vote in votes:
        mine = [cluster for cluster in clusters if together(vote, cluster[0])]
        if mine:
            mine[0].append(vote)
        else:
            clusters.append([vote])
    clusters.sort(
        key=lambda cluster: (
            -sum(stands(cluster[0])),
            -total(cluster),
            -len(cluster),
            sorted(vote.digest for vote in cluster),
        )
    )

    def distance(vote: Vote) -> Any:
        far = [
            abs(Fraction(vote.values[place]) - Fraction(outcomes[place]["value"]))
            for place, kind in enumerate(kinds)
            if kind == "number" and vote.values[place]
        ]
        return vote.weight == 0, far, vote.digest

    status = min((outcome["status"] for outcome in outcomes), key=WORST.index)
    agreed = status != "no_agreement"
    return {
        "status": status,
        "representative": min(clusters[0], key=distance).replica if agreed else None,
        "clusters": [[vote.replica for vote in cluster] for cluster in clusters],
        "agreement_rate_bp": min(outcome["agreement_rate_bp"] for outcome in outcomes),
        "confidence_bp": min(outcome["confidence_bp"] for outcome in outcomes),
        "distinct_models": len({vote.model for cluster in clusters[:1] for vote in cluster}),
        "fields": outcomes,
    }
