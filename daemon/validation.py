"""What the validator says of an answer and of a question, as documents."""

from collections.abc import Sequence
from typing import Any

from inference.engine import Finish
from inference.validator import inspect_prompt, validate
from pbft.types import FULL_BP


def validation(question: str, answer: str, others: Sequence[str], finish: Finish) -> dict[str, Any]:
    """Scores from 0 to 1, what is wrong with the answer, and what to do about each flaw."""
    found = validate(question, answer, others, finish=finish)
    return {
        "valid": found.valid,
        "overall": found.overall_bp / FULL_BP,
        "quality": found.quality_bp / FULL_BP,
        "relevance": found.relevance_bp / FULL_BP,
        "consistency": found.consistency_bp / FULL_BP,
        "flaws": [str(flaw) for flaw in found.flaws],
        "advice": list(found.advice),
    }


def inspection(question: str) -> dict[str, Any]:
    """What a question contains that a question should not. The question itself is never changed;
    the model reads its markers broken by a space, and not its invisible characters."""
    found = inspect_prompt(question)
    return {
        "suspicious": found.suspicious,
        "markers": list(found.markers),
        "injections": list(found.injections),
        "removed_characters": found.removed_characters,
    }


def told(report: dict[str, Any]) -> str:
    """One line about a suspicious question; empty for any other."""
    return ", ".join(repr(part) for part in (*report["injections"], *report["markers"]))[:300]
