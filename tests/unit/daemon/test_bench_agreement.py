"""`qnode bench agreement`: what it refuses, and what it prints."""

import json

import pytest

from daemon import cli
from daemon.bench.agreement import ANSWERS, WORDS, answers

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("options", [["--rounds", "0"], ["--threads", "0"], ["--threads", "65"]])
def test_what_cannot_be_done_is_one_sentence(capsys: Capture, options: list[str]) -> None:
    """Exit code 2 and a sentence that names the option, before a model is loaded."""
    assert cli.main(["bench", "agreement", *options]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"qnode: {options[0]} must be from 1 to ")
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_the_answers_are_new_in_every_round_and_always_the_same() -> None:
    """So nothing kept about earlier texts helps, and two machines measure the same work."""
    assert [len(text.split()) for text in answers(3)] == [WORDS] * ANSWERS
    assert answers(3) == answers(3)
    assert len(set(answers(3))) > ANSWERS // 2
    assert not set(answers(3)) & set(answers(4))


@pytest.mark.model
def test_every_part_is_measured(capsys: Capture) -> None:
    """As an object of milliseconds."""
    assert cli.main(["bench", "agreement", "--rounds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"analysis_ms", "guards_ms", "evidence_ms", "whole_ms"}
    assert all(value > 0 for value in found.values())
