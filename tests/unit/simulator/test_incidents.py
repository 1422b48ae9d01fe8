"""Faults in a world: what begins, and that it ends once."""

import pytest

from simulator.incidents import Incidents
from simulator.plan import Incident, Plan
from simulator.world import World


@pytest.mark.parametrize("lose", ["nothing", "unsynced", "log", "disk", "all"])
def test_a_crash_that_outlasts_the_calm_ends_with_it(lose: str) -> None:
    """The node comes back at the calm, having lost what it is to lose, and does not die again when
    the crash was to end."""
    crash = Incident("crash", 1_000, 9_000, {"node": 0, "lose": lose})
    world = World(Plan(seed=1, nodes=4, faults=(crash,), calm_ms=2_000))
    incidents = Incidents(world)
    incidents.start()
    world.run_until(2_000_000)
    process = world.processes[0]
    assert not process.up
    incidents.calm()
    assert process.up
    life = process.life
    world.run_until(10_000_000)
    assert (process.up, process.life) == (True, life)


def test_a_node_that_is_gone_for_good_stays_gone() -> None:
    """The calm brings back only who is to come back."""
    crash = Incident("crash", 1_000, None, {"node": 0})
    world = World(Plan(seed=1, nodes=4, faults=(crash,), calm_ms=2_000))
    incidents = Incidents(world)
    incidents.start()
    world.run_until(2_000_000)
    incidents.calm()
    world.run_until(10_000_000)
    assert not world.processes[0].up
