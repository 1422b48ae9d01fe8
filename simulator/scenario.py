"""Scenario files: a run described by a person, in TOML. Times are in seconds.

    says = "The first primary dies; the others go on."
    nodes = 4
    seconds = 10                 # then the network heals, and all must be answered

    [[ask]]
    node = 1
    at = 0.5

    [[fault]]
    kind = "crash"
    node = 0
    at = 1.0                     # `until` or `for` says when it ends; without, never

    [expect]
    view = 1

What else there is stands in docs/simulator.md.
"""

import tomllib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from simulator.errors import BadScenario, shown
from simulator.plan import MS_MAX, QUESTIONS_MAX, Incident, Plan, Question, check, models_from

_TOP = {
    "says", "name", "nodes", "seconds", "bound", "delay_ms", "long_tail", "policy", "models",
    "ask", "fault", "expect", "seed",
}  # fmt: skip
_ASK = {"node", "at", "every", "times", "topic", "kind", "timeout"}


def read_scenario(path: Path, seed: int | None = None) -> Plan:
    """The plan of a scenario file; `BadScenario` says which entry makes no sense."""
    return read_file(path, lambda text: parse(text, seed, path.stem))


def read_file(path: Path, parsed: Callable[[str], Plan]) -> Plan:
    """A plan from a text file; `BadScenario` names the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadScenario(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadScenario(f"{path} is not UTF-8 text.") from None
    try:
        return parsed(text)
    except BadScenario as error:
        raise BadScenario(f"{path}: {error}") from None


def parse(text: str, seed: int | None = None, name: str = "") -> Plan:
    try:
        body = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadScenario(f"It is not valid TOML: {error}.") from None
    except ValueError:
        raise BadScenario("It holds a number of far too many digits.") from None
    except RecursionError:
        raise BadScenario("It is nested far too deeply.") from None
    _only(body, _TOP, "The scenario")
    asked = (question for entry in _tables(body, "ask") for question in _questions(entry))
    questions = list(islice(asked, QUESTIONS_MAX + 1))  # one too many is refused with the plan
    plan = Plan(
        seed=body.get("seed", 0) if seed is None else seed,
        nodes=body.get("nodes", 4),
        questions=tuple(sorted(questions, key=lambda question: question.at_ms)),
        faults=tuple(_incident(entry) for entry in _tables(body, "fault")),
        calm_ms=_ms(body, "seconds", 20),
        bound_ms=_ms(body, "bound", 300),
        delay_ms=_pair(body.get("delay_ms", [1, 8])),
        exponential=body.get("long_tail", False),
        policy=_table(body, "policy"),
        models=models_from(_table(body, "models")),
        name=body.get("name", name),
        expect=_table(body, "expect"),
    )
    check(plan)
    return plan


def _only(entry: dict[str, Any], known: set[str], what: str) -> None:
    for name in entry:
        if name not in known:
            raise BadScenario(f"{what} has no {name!r}; it has: {', '.join(sorted(known))}.")


def _table(body: dict[str, Any], name: str) -> dict[str, Any]:
    entry = body.get(name, {})
    if not isinstance(entry, dict):
        raise BadScenario(
            f"Write [{name}] with a line for each entry, not {name} = {shown(entry)}."
        )
    return entry


def _tables(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = body.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadScenario(f"Write [[{name}]] with two brackets before each entry.")
    return entries


def _pair(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise BadScenario(
            f"delay_ms is {shown(value)}; it must be two whole numbers, the lower first."
        )
    return value[0], value[1]


def _ms(entry: dict[str, Any], name: str, default: float | None = None) -> int:
    value: Any = entry.get(name, default)
    if type(value) not in (int, float) or not 0 <= value <= MS_MAX / 1_000:
        raise BadScenario(
            f"{name} is {shown(value)}; it must be a number of seconds from 0 to {MS_MAX // 1_000}."
        )
    ms: int = round(value * 1_000)
    return ms


def _questions(entry: dict[str, Any]) -> list[Question]:
    """`times` questions, `every` so many seconds, at one node or at all in turn."""
    _only(entry, _ASK, "[[ask]]")
    nodes = entry.get("node", 0)
    ring = nodes if isinstance(nodes, list) else [nodes]
    at_ms, every_ms = _ms(entry, "at", 0), _ms(entry, "every", 1)
    times = entry.get("times", 1)
    if not ring:
        raise BadScenario("[[ask]] needs a node.")
    if type(times) is not int or not 0 <= times <= QUESTIONS_MAX:
        raise BadScenario(
            f"times is {shown(times)}; it must be a whole number from 0 to {QUESTIONS_MAX}."
        )
    return [
        Question(
            at_ms + place * every_ms,
            ring[place % len(ring)],
            entry.get("topic", place),
            entry.get("kind", "text"),
            _ms(entry, "timeout", 10),
        )
        for place in range(times)
    ]


def _incident(entry: dict[str, Any]) -> Incident:
    settings = dict(entry)
    kind = settings.pop("kind", None)
    if not isinstance(kind, str):
        raise BadScenario("Every [[fault]] needs a kind.")
    at_ms = _ms(settings, "at", 0)
    until_ms = None
    if "until" in settings and "for" in settings:
        raise BadScenario(
            f"A [[fault]] of kind {shown(kind)} has both `until` and `for`; give it one end."
        )
    if "until" in settings:
        until_ms = _ms(settings, "until")
    elif "for" in settings:
        until_ms = at_ms + _ms(settings, "for")
    rest = {k: v for k, v in settings.items() if k not in ("at", "until", "for")}
    return Incident(kind, at_ms, until_ms, rest)
