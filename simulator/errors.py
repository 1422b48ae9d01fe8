"""Errors of the simulator.

SimulatorError
└── BadScenario     the writer's fault: a scenario or a plan that makes no sense

Violation           what must hold does not: a finding about the core, not an error of anyone's
"""

from collections.abc import Iterable
from enum import StrEnum


class SimulatorError(Exception):
    """Root of the errors that input from outside can cause; one sentence for a person."""


class BadScenario(SimulatorError):
    """The text says which entry is wrong and what it could be."""


SHOWN_MAX = 80


def shown(value: object) -> str:
    """A value from outside, for a sentence: its start, if it is long. Python has no words for
    numbers of thousands of digits and for what is nested very deeply."""
    try:
        words = repr(value)
    except (ValueError, RecursionError):
        return "far too large"
    return words if len(words) <= SHOWN_MAX else f"{words[:SHOWN_MAX]}…"


class Finding(StrEnum):
    """What a run found out. The exit codes differ, so that a script can tell them apart."""

    HOLDS = "holds"
    SAFETY = "safety"
    """Something happened that must never happen."""
    LIVENESS = "liveness"
    """Something that must happen in the end did not."""
    CRASH = "crash"
    """The core of an honest replica raised."""
    UNEXPECTED = "unexpected"
    """Everything held, but not what the scenario expects."""

    @property
    def exit_code(self) -> int:
        """0, and from 10 on what no other command of `qnode` returns."""
        return {"holds": 0, "safety": 10, "liveness": 11, "crash": 12, "unexpected": 13}[self.value]

    @property
    def severity(self) -> int:
        """0 if all holds. Of several findings the one with the most is what a script must learn:
        a network that is too slow must not hide one that contradicts itself."""
        return ("holds", "unexpected", "liveness", "crash", "safety").index(self.value)


def worst(findings: Iterable[Finding]) -> Finding:
    """Of no findings: all holds."""
    return max(findings, key=lambda finding: finding.severity, default=Finding.HOLDS)


class Violation(Exception):
    """Raised by a checker at the moment when something happened that must not."""

    def __init__(self, finding: Finding, rule: str, sentence: str) -> None:
        super().__init__(sentence)
        self.finding = finding
        self.rule = rule
        """One of few constant words, such as `agreement`."""
