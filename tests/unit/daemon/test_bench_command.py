"""`qnode bench consensus`: what it refuses, and what its nodes answer."""

import subprocess
import sys
from itertools import combinations

import pytest

from daemon import cli
from daemon.bench.instant import InstantEngine, InstantJudge, number_of, question
from inference.engine import GenerationRequest
from pbft.policy import Policy
from pbft.types import FULL_BP, ReplicaId
from tests.support.commands import environment

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--nodes", "1"], "from 2 to 16"),
        (["--nodes", "17"], "from 2 to 16"),
        (["--sizes", "4,99"], "from 2 to 16"),
        (["--concurrency", "0"], "--concurrency"),
        (["--concurrency", "1,1025"], "from 1 to 1024 with 4 nodes"),
        (["--seconds", "0"], "--seconds"),
        (["--seconds", "nan"], "--seconds"),
        (["--seconds", "601"], "--seconds"),
        (["--decisions", "0"], "--decisions"),
        (["--folder", "/does/not/exist"], "--folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    capsys: Capture, options: list[str], words: str
) -> None:
    """Exit code 2 and a sentence that names the option, before anything is started."""
    assert cli.main(["bench", "consensus", *options]) == 2
    output = capsys.readouterr()
    line = output.err.strip()
    assert line.startswith("qnode: ")
    assert line.endswith(".")
    assert "\n" not in line
    assert words in line
    assert output.out == ""


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["throughput"],
        ["consensus", "--concurrency", "many"],
        ["consensus", "--sizes", "4,,7"],
        ["consensus", "--nodes", "4", "--sizes", "4"],
    ],
)
def test_what_makes_no_sense_is_refused_by_the_parser(capsys: Capture, options: list[str]) -> None:
    """Exit code 2 with the usage, and no traceback."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", *options])
    assert ended.value.code == 2
    assert "usage: qnode bench" in capsys.readouterr().err


def answers_of(replicas: int) -> list[str]:
    request = GenerationRequest(question(1), None, 16, 0, 1)
    return [InstantEngine(ReplicaId(r)).generate(request, bool).text for r in range(replicas)]


def test_replicas_answer_differently_and_are_found_to_agree() -> None:
    """All texts differ; every pair has a similarity of its own kind above the threshold, the same
    on every node and in every order."""
    texts = answers_of(16)
    assert len(set(texts)) == 16
    measured = InstantJudge().compare(question(1), texts)
    assert measured.contradictions == ()
    assert len(measured.similarity_bp) == 16 * 15 // 2
    assert all(type(value) is int for value in measured.similarity_bp)
    assert Policy().similarity_threshold_bp <= min(measured.similarity_bp)
    assert max(measured.similarity_bp) <= FULL_BP
    assert len(set(measured.similarity_bp)) > 1
    backwards = InstantJudge()
    for (i, j), value in zip(combinations(range(16), 2), measured.similarity_bp, strict=True):
        assert backwards.compare(question(2), [texts[j], texts[i]]).similarity_bp == (value,)


def test_the_engine_notes_when_each_answer_was_ready() -> None:
    """By the number in the question, in the order in which they were asked."""
    engine = InstantEngine(ReplicaId(0))
    for number in (3, 12):
        engine.generate(GenerationRequest(question(number), None, 16, 0, 1), bool)
    assert list(engine.ready_ns) == [3, 12]
    assert 0 < engine.ready_ns[3] <= engine.ready_ns[12]
    assert [number_of(question(number)) for number in (1, 70_001)] == [1, 70_001]


def test_a_node_of_the_benchmark_loads_no_model_library() -> None:
    """Sixteen of them have to fit and to start quickly."""
    script = "import sys, daemon.bench.worker; print(*{'torch', 'transformers'} & {*sys.modules})"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == ""
