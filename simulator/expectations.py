"""What a scenario may say about its end, beside that everything holds."""

from collections.abc import Mapping
from typing import Any

from simulator.errors import BadScenario, Finding, shown

KNOWN = {
    "finding": "how the run ends: holds (default), safety, liveness or crash",
    "rule": "which rule is broken, if one is",
    "decided_min": "so many questions are decided at least",
    "view": "the last view of the honest nodes",
    "view_min": "the last view is at least this",
    "view_max": "the last view is at most this",
    "epoch_min": "the last epoch is at least this",
    "accused": "exactly these nodes are proven faulty",
    "accused_within": "nobody but these is proven faulty",
    "agreed_min": "so many answers are agreed with confidence at least",
    "agreed_max": "so many answers are agreed, with confidence or without, at most",
    "refused": "messages are refused for each of these reasons",
    "refused_not": "no message is refused for any of these reasons",
    "outside_guarantee": "more nodes lie than the network can bear, and the result says so",
}


def check(expect: Any) -> None:
    """Raises `BadScenario` unless it can be compared with what came out."""
    if not isinstance(expect, Mapping):
        raise BadScenario(f"expect is {shown(expect)}; write [expect] and a line for each entry.")
    for name, value in expect.items():
        if name not in KNOWN:
            raise BadScenario(f"expect has no {shown(name)}; it has: {', '.join(KNOWN)}.")
        if wanted := _unfit(name, value):
            raise BadScenario(f"expect.{name} cannot be {shown(value)}; it must be {wanted}.")


def _unfit(name: str, value: Any) -> str | None:
    """What it must be, if it is something else."""
    match name:
        case "finding":
            known = [finding.value for finding in Finding if finding is not Finding.UNEXPECTED]
            return None if value in known else f"one of {', '.join(known)}"
        case "rule":
            return None if type(value) is str else "the word of a rule, such as agreement"
        case "outside_guarantee":
            return None if type(value) is bool else "true or false"
        case "accused" | "accused_within":
            return None if _all(int, value) else "a list of nodes, such as [3]"
        case "refused" | "refused_not":
            return None if _all(str, value) else 'a list of reasons, such as ["signature"]'
    return None if type(value) is int and value >= 0 else "a whole number from 0"


def _all(kind: type, value: Any) -> bool:
    return isinstance(value, list | tuple) and all(type(entry) is kind for entry in value)


def fault(
    expect: Mapping[str, Any], finding: Finding, rule: str, figures: Mapping[str, Any]
) -> tuple[str, str] | None:
    """What is not as expected: a constant word and a sentence; None if all is."""
    wanted = expect.get("finding", "holds")
    if finding.value != wanted:
        # A violation that nobody expected is reported as what it is.
        return ("finding", f"It was to end with {wanted}.") if finding is Finding.HOLDS else None
    if "rule" in expect and expect["rule"] != rule:
        return "rule", f"The rule {expect['rule']} was to be broken, not {rule}."
    accused = sorted(int(replica) for replica in figures["accused"])
    facts: dict[str, tuple[bool, str]] = {
        "decided_min": (
            figures["decided"] >= expect.get("decided_min", 0),
            f"{figures['decided']} questions were decided",
        ),
        "view": (figures["view"] == expect.get("view"), f"the view is {figures['view']}"),
        "view_min": (figures["view"] >= expect.get("view_min", 0), f"view {figures['view']}"),
        "view_max": (figures["view"] <= expect.get("view_max", 0), f"view {figures['view']}"),
        "epoch_min": (figures["epoch"] >= expect.get("epoch_min", 0), f"epoch {figures['epoch']}"),
        "accused": (accused == sorted(expect.get("accused", ())), f"accused are {accused}"),
        "accused_within": (
            set(accused) <= set(expect.get("accused_within", ())),
            f"accused are {accused}",
        ),
        "agreed_min": (
            figures["statuses"].get("agreed", 0) >= expect.get("agreed_min", 0),
            f"{figures['statuses']}",
        ),
        "agreed_max": (
            sum(n for status, n in figures["statuses"].items() if status != "no_agreement")
            <= expect.get("agreed_max", 0),
            f"{figures['statuses']}",
        ),
        "refused": (
            set(expect.get("refused", ())) <= figures["refused"].keys(),
            f"refused were {figures['refused']}",
        ),
        "refused_not": (
            not set(expect.get("refused_not", ())) & figures["refused"].keys(),
            f"refused were {figures['refused']}",
        ),
        "outside_guarantee": (
            figures["outside_guarantee"] is expect.get("outside_guarantee"),
            f"outside_guarantee is {figures['outside_guarantee']}",
        ),
    }
    for name, value in expect.items():
        if name in facts and not facts[name][0]:
            return name, f"{name} was to be {value}; {facts[name][1]}."
    return None
