"""Which faults can be done to real nodes, by which means; what cannot is refused in a sentence."""

import pytest

from simulator.errors import BadScenario
from simulator.live.means import check_live, choose, why_not
from simulator.live.verdict import check_expectations
from simulator.plan import Incident, Plan

NO_NAMESPACES = "There are none here."


def plan(*faults: Incident, **more: object) -> Plan:
    return Plan(0, 4, faults=faults, name="S", **more)  # type: ignore[arg-type]


def fault(kind: str, **settings: object) -> Incident:
    return Incident(kind, 0, None, settings)


PART = fault("part", sides=[[0]])
REPEAT = fault("repeat")
COMMITS_LOST = fault("lose", messages=["Commit"])


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ((fault("endorse", nodes=[0], leaves=1),), "not endorse"),
        ((fault("crash", node=0, effects=3),), "leave out `effects`"),
        ((fault("crash", node=0, lose="unsynced"),), "nothing, log, disk or all"),
        ((fault("lie", node=0), fault("mute", node=0)), "one behaviour"),
    ],
)
def test_what_real_nodes_cannot_have_is_refused(
    faults: tuple[Incident, ...], sentence: str
) -> None:
    """Whatever the means."""
    with pytest.raises(BadScenario, match=sentence):
        check_live(plan(*faults))


def test_twins_count_as_processes() -> None:
    """A machine has so many processes at most, twins included."""
    check_live(Plan(0, 10))
    with pytest.raises(BadScenario, match="at most 10 processes"):
        check_live(Plan(0, 10, faults=(fault("twin", node=1),)))


def test_each_means_says_what_it_cannot_do() -> None:
    """Packets are not told apart by what is in them; loopback has no packets to repeat."""
    assert "encrypted" in why_not(plan(PART, COMMITS_LOST), "namespaces")
    assert not why_not(plan(PART, COMMITS_LOST), "messages")
    for kind in (REPEAT, fault("reorder"), fault("disk_full", node=1)):
        assert "needs namespaces" in why_not(plan(PART, kind), "messages")
        assert not why_not(plan(PART, kind), "namespaces")
    apart = fault("part", sides=[[0, 4]])
    assert "twin" in why_not(plan(fault("twin", node=3), apart), "messages")
    assert not why_not(plan(fault("twin", node=3), apart), "namespaces")


def test_namespaces_are_taken_where_machine_and_faults_allow_it() -> None:
    """Unless told otherwise; what was wanted and is not possible is refused with the reason."""
    assert choose(plan(PART), "auto", "") == "namespaces"
    assert choose(plan(PART), "auto", NO_NAMESPACES) == "messages"
    assert choose(plan(COMMITS_LOST), "auto", "") == "messages"
    assert choose(plan(PART), "messages", "") == "messages"
    with pytest.raises(BadScenario, match=NO_NAMESPACES):
        choose(plan(PART), "namespaces", NO_NAMESPACES)
    with pytest.raises(BadScenario, match="encrypted"):
        choose(plan(COMMITS_LOST), "namespaces", "")
    with pytest.raises(BadScenario, match="repeat needs namespaces"):
        choose(plan(REPEAT), "messages", "")
    with pytest.raises(BadScenario, match=f"repeat needs namespaces.*{NO_NAMESPACES}"):
        choose(plan(REPEAT), "auto", NO_NAMESPACES)
    with pytest.raises(BadScenario, match="repeat needs namespaces"):
        choose(plan(REPEAT, COMMITS_LOST), "auto", "")


def test_what_only_virtual_time_can_tell_is_not_expected() -> None:
    """A scenario that expects something of the core's inside is refused, not passed over."""
    check_expectations(plan(expect={"accused": [3], "decided_min": 2}))
    with pytest.raises(BadScenario, match="not agreed_min"):
        check_expectations(plan(expect={"agreed_min": 1}))
