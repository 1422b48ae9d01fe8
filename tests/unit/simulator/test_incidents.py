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


def test_a_twin_comes_and_goes_at_its_times() -> None:
    """And does not come back with the calm."""
    twin = Incident("twin", 1_000, 3_000, {"node": 0})
    world = World(Plan(seed=1, nodes=4, faults=(twin,), calm_ms=5_000))
    incidents = Incidents(world)
    incidents.start()
    second = world.processes[4]
    assert second.replica_id == 0
    up = []
    for at_ms in (500, 2_000, 4_000):
        world.run_until(1_000 * at_ms)
        up.append(second.up)
    incidents.calm()
    world.run_until(10_000_000)
    assert (up, second.up) == ([False, True, False], False)
    assert world.processes[0].up


@pytest.mark.parametrize(("until_ms", "after"), [(None, True), (60_000, False)])
@pytest.mark.parametrize("kind", ["twin", "mute"])
def test_the_calm_ends_what_has_an_end(kind: str, until_ms: int | None, *, after: bool) -> None:
    """A behaviour that were to last longer would be in the way of the progress that is demanded
    from then on; one without end is there for good."""
    fault = Incident(kind, 0, until_ms, {"node": 0})
    world = World(Plan(seed=1, nodes=4, faults=(fault,), calm_ms=5_000))
    incidents = Incidents(world)
    incidents.start()
    world.run_until(5_000_000)
    incidents.calm()
    lasts = world.processes[4].up if kind == "twin" else world.processes[0].layers[0].active
    assert lasts is after
