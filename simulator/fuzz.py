"""Round-based fuzzing (Winter et al., OOPSLA 2023, "ByzzFuzz"): d rounds with a partition and c
rounds in which one node changes a field a little and signs again.

A round here is a slot of time as long as a step of the protocol takes. The mutations are those of
ByzzBench for PBFT (27 kinds, github.com/joaomlneto/byzzbench), and as many again for messages that
only this protocol has. A reply in PBFT is one replica's result; here a client's result is the
commit, whose signatures are the certificate, so the four mutations of replies are made to commits
and reveals.
"""

from functools import partial
from random import Random

from simulator.errors import BadScenario
from simulator.faults.tweak import MUTATIONS, Mutation
from simulator.meaning import Models
from simulator.plan import Incident, Plan, Plans, Question

ROUND_MS = 400

__all__ = ["MUTATIONS", "Mutation", "plans"]


def plans(partitions: int, mutations: int, rounds: int, sample: int, seed: int) -> Plans:
    """`sample` scenarios; every kind of mutation comes up in turn."""
    if not 1 <= rounds <= 100 or not 0 <= partitions <= rounds or not 0 <= mutations <= rounds:
        raise BadScenario(
            "--rounds must be from 1 to 100, --partitions and --mutations at most as many."
        )
    if not 1 <= sample <= 1_000_000:
        raise BadScenario("--sample must be from 1 to 1000000.")
    return Plans(range(sample), partial(_plan, partitions, mutations, rounds, seed))


def _plan(partitions: int, mutations: int, rounds: int, seed: int, number: int) -> Plan:
    draw = Random(f"fuzz {seed} {number}")  # noqa: S311  # a seed must replay
    liar = draw.choice([0, 0, 1, 2, 3])
    faults = []
    for round_ in draw.sample(range(rounds), partitions):
        side = [p for p in range(4) if draw.random() < 0.5]
        faults.append(_in_round("part", round_, {"sides": [side], "quiet": True}))
    for place, round_ in enumerate(draw.sample(range(rounds), mutations)):
        chosen = MUTATIONS[(number * max(1, mutations) + place) % len(MUTATIONS)]
        settings = {"node": liar, "how": chosen.name, "all": draw.choice([0, 1])}
        faults.append(_in_round("tweak", round_, settings))
    if draw.random() < 0.3:  # prepared and not committed: view changes have something to carry
        faults.append(Incident("lose", 0, rounds * ROUND_MS // 2, {"messages": ["Commit"]}))
    questions = tuple(
        Question(10 + round_ * ROUND_MS, draw.randrange(4), round_) for round_ in range(rounds)
    )
    return Plan(
        seed=number,
        nodes=4,
        questions=questions,
        faults=tuple(sorted(faults, key=lambda fault: fault.at_ms)),
        calm_ms=rounds * ROUND_MS + 100,
        policy={"view_timeout_ms": 300, "seal_grace_ms": 100, "reveal_grace_ms": 100},
        models=Models(answer_ms=(5, 60), compare_ms=(1, 5)),
        name=f"fuzz {seed} {number}",
    )


def _in_round(kind: str, round_: int, settings: dict[str, object]) -> Incident:
    at_ms = 20 + round_ * ROUND_MS
    return Incident(kind, at_ms, at_ms + ROUND_MS, settings)
