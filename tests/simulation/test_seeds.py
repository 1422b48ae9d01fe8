"""Whole networks in virtual time: whatever a seed brings, safety holds, and progress in the end.

A failure names its seed; `python -m tests.simulation.test_seeds crashes 4 17` runs it again.
"""

import random
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from pbft.membership import Change, Join, Leave, ReplaceKey, SetPolicy
from pbft.policy import Policy
from pbft.types import ReplicaId
from tests.support.intervals import checkpoint_every
from tests.support.keyring import QuickKeyring
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


def members(n: int, seed: int) -> None:
    """Nodes join, leave, get other keys, forget and lose their disks, and the policy changes, amid
    crashes, partitions and loss."""
    draw = random.Random(f"members {seed}")  # noqa: S311  # a seed must replay
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(8, patch, renewal=24)
        network = Network(n, f"members {seed}", Policy(rotation_slots=64))
        network.lost = draw.choice([0, 0, 0.01, 0.05])
        change_members(network, draw, draw.randint(10, 25))
        in_the_end(network)


def traitor(n: int, seed: int) -> None:
    """The same with one Byzantine replica, which makes up proofs and wishes too."""
    draw = random.Random(f"traitor {seed}")  # noqa: S311  # a seed must replay
    with pytest.MonkeyPatch.context() as patch:
        checkpoint_every(8, patch, renewal=24)
        liar = Byzantine(
            draw.choice([0, 0, *range(n)]),
            dropped=draw.choice([0, 0.1, 0.3]),
            mutated=draw.choice([0.05, 0.3]),
            replayed=draw.choice([0, 0.1]),
            made_up=draw.choice([0.02, 0.2]),
        )
        network = Network(n, f"traitor {seed}", Policy(rotation_slots=64), liar)
        change_members(network, draw, draw.randint(6, 15))
        in_the_end(network)


def change_members(network: Network, draw: random.Random, actions: int) -> None:
    """What may happen at once is bounded by what the protocol tolerates."""
    fresh_key = 1_000
    for _ in range(actions):
        honest = [i for i in network.honest if not network.nodes[i].gone]
        up = [i for i in honest if network.nodes[i].replica is not None]
        down = [i for i in honest if i not in up]
        spare = network.newest.membership.f - (network.byzantine is not None)
        action = draw.random()
        if action < 0.4:
            for _ in range(draw.choice([1, 1, 3])):
                network.ask(draw.choice(up))
        elif action < 0.5 and len(down) < max(spare, network.byzantine is not None):
            network.crash(draw.choice(up))
        elif action < 0.6 and down:
            network.restart(draw.choice(down))
        elif action < 0.65 and network.byzantine is None:
            network.part({i for i in range(len(network.nodes)) if draw.random() < 0.5})
        elif action < 0.7:
            network.heal()
        elif action < 0.76 and spare > 0 and not network.broken() and not down:
            network.forget(draw.choice(up), disk=draw.random() < 0.5)
        elif action < 0.82 and spare > 0 and not network.broken() and not down:
            fresh_key += 1
            i = draw.choice(up)
            if network.newest.membership.member(ReplicaId(i)):
                network.replace(i, fresh_key)
                network.run(draw.choice([5, 3_000]))
        else:
            change = some_change(network, draw)
            if change is not None:
                network.endorse(change)
        network.run(draw.choice([5, 50, 300, 1_500, 5_000]))


def some_change(network: Network, draw: random.Random) -> Change | None:
    """What operators might want now, for all to survive it."""
    membership = network.newest.membership
    for i in network.honest:
        node = network.nodes[i]
        key = QuickKeyring.public_key(node.key)
        member = membership.member(ReplicaId(i))
        if member is not None and member.public_key != key:
            return ReplaceKey(ReplicaId(i), key)
        if member is None and not node.gone and i == membership.next_replica:
            return Join(f"joiner{i}", key, ())
    kind = draw.random()
    if kind < 0.4 and membership.n < 7 and len(network.nodes) == membership.next_replica:
        i = network.join()
        return Join(f"joiner{i}", QuickKeyring.public_key(network.nodes[i].key), ())
    if kind < 0.7 and membership.n > 4 and not network.broken():
        return Leave(draw.choice([r for r in membership.replicas if r in network.honest]))
    attempts = draw.randint(1, 3)
    policy = replace(network.newest.policy, attempts_max=attempts)
    return SetPolicy(replace(policy, similarity_threshold_bp=draw.choice([8_000, 8_500, 9_000])))


def in_the_end(network: Network) -> None:
    """All faults stop. Every question is answered, and every honest member takes part, is up to
    date, and holds the proof of every epoch."""
    network.lost = 0
    for i, node in enumerate(network.nodes):
        if node.replica is None and not node.gone:
            network.restart(i)
    network.heal()
    network.check()
    for _ in range(60):
        network.run(6_000)
        change = some_key(network)
        if change is not None:
            network.endorse(change)
        elif not network.laggards():
            break
        network.ask(next(i for i in network.up() if network.takes_part(i)))
    assert network.laggards() == []
    network.check()


def some_key(network: Network) -> Change | None:
    """Whoever has another key by now must be let in again."""
    for i in network.honest:
        key = QuickKeyring.public_key(network.nodes[i].key)
        member = network.newest.membership.member(ReplicaId(i))
        if member is not None and member.public_key != key:
            return ReplaceKey(ReplicaId(i), key)
    return None


SCENARIOS: dict[str, Callable[[int, int], None]] = {
    "crashes": crashes,
    "dead": dead,
    "byzantine": byzantine,
    "busy": busy,
    "members": members,
    "traitor": traitor,
}
SEEDS = [
    *[("crashes", 4, seed) for seed in range(16)],
    *[("dead", 4, seed) for seed in range(6)],
    *[("byzantine", 4, seed) for seed in (*range(16), 328)],
    *[("busy", 4, seed) for seed in range(1)],
    *[("crashes", 7, 100), ("crashes", 7, 101), ("dead", 7, 102)],
    *[("byzantine", 7, 103), ("byzantine", 7, 104)],
    *[("members", 4, seed) for seed in range(12)],
    *[("traitor", 4, seed) for seed in range(8)],
    *[("members", 5, 105), ("members", 7, 106), ("traitor", 7, 107)],
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
