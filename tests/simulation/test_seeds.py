"""Whole networks in virtual time: whatever a seed brings, safety holds, and progress in the end.

A failure names its seed; `python -m tests.simulation.test_seeds crashes 4 17` runs it again.
"""

import random
import sys
from collections.abc import Callable

import pytest

from pbft.policy import Policy
from tests.support.virtual import Byzantine, Network


def crashes(n: int, seed: int) -> None:
    """Crashes, restarts, partitions and loss; for a time even more than f are down."""
    draw = random.Random(f"crashes {seed}")  # noqa: S311  # a seed must replay
    network = Network(n, f"crashes {seed}", Policy(rotation_slots=draw.choice([64, 1_024])))
    network.lost = draw.choice([0, 0, 0.01, 0.1])
    f = network.members.f
    for _ in range(draw.randint(5, 20)):
        action = draw.random()
        up = network.up()
        down = [i for i in range(n) if i not in up]
        if action < 0.55:
            for _ in range(draw.choice([1, 1, 3])):
                network.ask(draw.choice(up))
        elif action < 0.7 and len(down) < f + (draw.random() < 0.2):
            network.crash(draw.choice(up))
        elif action < 0.85 and down:
            network.restart(draw.choice(down))
        elif action < 0.92:
            network.part({i for i in range(n) if draw.random() < 0.5})
        else:
            network.heal()
        network.run(draw.choice([5, 50, 300, 1_500, 5_000]))
    network.lost = 0
    for i in range(n):
        if i not in network.up():
            network.restart(i)
    network.heal()
    network.check()


def dead(n: int, seed: int) -> None:
    """f replicas, the first primary among them, die early and for good."""
    draw = random.Random(f"dead {seed}")  # noqa: S311  # a seed must replay
    network = Network(n, f"dead {seed}")
    living = list(range(network.members.f, n))
    network.ask(draw.choice(living))
    network.run(draw.uniform(0, 3_000))
    for i in range(network.members.f):
        network.crash(i)
        network.run(draw.uniform(0, 500))
    for _ in range(5):
        network.ask(draw.choice(living))
        network.run(draw.choice([5, 300, 3_000]))
    network.check()


def byzantine(n: int, seed: int) -> None:
    """One replica mutates, signs again, withholds and replays, while honest ones crash."""
    draw = random.Random(f"byzantine {seed}")  # noqa: S311  # a seed must replay
    liar = Byzantine(
        draw.choice([0, 0, *range(n)]),
        dropped=draw.choice([0, 0.1, 0.4]),
        mutated=draw.choice([0.05, 0.3, 0.6]),
        replayed=draw.choice([0, 0.1]),
    )
    network = Network(n, f"byzantine {seed}", Policy(rotation_slots=64), liar)
    for _ in range(draw.randint(4, 12)):
        for _ in range(draw.choice([1, 1, 4])):
            network.ask(draw.choice(network.honest if draw.random() < 0.8 else range(n)))
        if draw.random() < 0.1:
            i = draw.choice(network.honest)
            network.crash(i)
            network.run(draw.choice([5, 300, 2_000]))
            network.restart(i)
        network.run(draw.choice([5, 50, 300, 1_500, 5_000]))
    network.check()


def busy(n: int, seed: int) -> None:
    """Enough slots for several checkpoints and rotations, with a crash in every other part."""
    draw = random.Random(f"busy {seed}")  # noqa: S311  # a seed must replay
    network = Network(n, f"busy {seed}", Policy(rotation_slots=64))
    for part in range(30):
        for _ in range(6):
            network.ask(draw.choice(network.up()))
        network.run(draw.choice([300, 1_000, 3_000]))
        if part % 2:
            i = draw.randrange(n)
            network.crash(i)
            network.run(draw.choice([5, 300, 1_000]))
            network.restart(i)
    network.check()
    network.run(10_000)
    assert all(len(node.log) < 64 * 20 for node in network.nodes)
    assert min(node.replica.view for node in network.nodes if node.replica) >= 1


SCENARIOS: dict[str, Callable[[int, int], None]] = {
    "crashes": crashes,
    "dead": dead,
    "byzantine": byzantine,
    "busy": busy,
}
SEEDS = [
    *[("crashes", 4, seed) for seed in range(16)],
    *[("dead", 4, seed) for seed in range(6)],
    *[("byzantine", 4, seed) for seed in range(16)],
    *[("busy", 4, seed) for seed in range(1)],
    *[("crashes", 7, 100), ("crashes", 7, 101), ("dead", 7, 102)],
    *[("byzantine", 7, 103), ("byzantine", 7, 104)],
]


@pytest.mark.parametrize(("scenario", "n", "seed"), SEEDS)
def test_a_seed(scenario: str, n: int, seed: int) -> None:
    """Agreement, no gaps, nobody honest accused, valid certificates, every question answered."""
    replay(scenario, n, seed)


def test_a_seed_brings_the_same_every_time() -> None:
    """What failed once can be looked at again."""
    runs = []
    for _ in range(2):
        network = Network(4, "again")
        for i in (0, 1, 2, 1):
            network.ask(i)
            network.run(700)
        network.check()
        runs.append((network.now_ms, network._count, network.decided))
    assert runs[0] == runs[1]


def replay(scenario: str, n: int, seed: int) -> None:
    try:
        SCENARIOS[scenario](n, seed)
    except Exception as failure:
        command = f"python -m tests.simulation.test_seeds {scenario} {n} {seed}"
        failure.add_note(f"seed {seed}; again with: {command}")
        raise


if __name__ == "__main__":
    replay(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
