"""What a virtual disk does to a log, and how that is read again."""

from random import Random

from pbft import journal
from pbft.records import Forgot, Record
from simulator.disk import Disk
from simulator.incidents import Incidents
from simulator.plan import Plan, Question
from simulator.world import World


def log_of_a_life() -> tuple[Disk, list[Record]]:
    """A disk of a replica that decided something, and what is on it."""
    world = World(Plan(seed=1, nodes=4))
    Incidents(world).start()
    world.ask(Question(0, 0))
    world.run_until(20_000_000)
    assert world.decided
    disk = world.processes[1].disk
    assert len(disk.log) > 5
    return disk, list(disk.log)


def test_a_log_is_read_as_it_was_written() -> None:
    _, records = log_of_a_life()
    data = b"".join(map(journal.frame, records))
    assert journal.read(data) == (tuple(records), len(data))


def test_wherever_a_bit_flips_the_node_knows_that_it_forgot() -> None:
    disk, records = log_of_a_life()
    draw = Random(1)  # noqa: S311  # the same in every run
    for _ in range(200):
        disk.log[:] = records
        assert disk.flip_bit(draw)
        (forgot,) = disk.log
        assert isinstance(forgot, Forgot)
        assert len(forgot.salt) == 32


def test_an_empty_log_has_no_bit_to_flip() -> None:
    disk, _ = log_of_a_life()
    disk.log.clear()
    assert not disk.flip_bit(Random(1))  # noqa: S311  # nothing is drawn
    assert disk.log == []
