"""Plans and scenario files: what is read is what was written, and nonsense is one sentence."""

import pytest

from simulator.errors import BadScenario
from simulator.generate import plan_of
from simulator.plan import check, from_text, to_text
from simulator.scenario import parse

MINIMAL = "[[ask]]\nnode = 1\n"


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_survives_its_file(seed: int) -> None:
    """What was generated can run, and its file gives the same plan in the same bytes."""
    plan = plan_of(seed)
    check(plan)
    text = to_text(plan)
    assert to_text(from_text(text)) == text


def test_a_scenario_becomes_a_plan() -> None:
    """Seconds become milliseconds, `for` an end, and a list of nodes takes turns."""
    plan = parse(
        "nodes = 5\nseconds = 3\n[[ask]]\nnode = [0, 2]\nat = 0.5\nevery = 0.25\ntimes = 3\n"
        '[[fault]]\nkind = "crash"\nnode = 4\nat = 1\nfor = 0.5\n'
        '[[fault]]\nkind = "lie"\nnode = 3\n',
        seed=9,
    )
    assert (plan.seed, plan.nodes, plan.calm_ms) == (9, 5, 3_000)
    assert [(q.at_ms, q.node) for q in plan.questions] == [(500, 0), (750, 2), (1_000, 0)]
    crash, lie = plan.faults
    assert (crash.at_ms, crash.until_ms, crash.settings) == (1_000, 1_500, {"node": 4})
    assert (lie.at_ms, lie.until_ms) == (0, None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nodes = 0", "nodes"),
        ("nodes = 4.5", "nodes"),
        ("seconds = -1", "seconds"),
        ("colour = 1", "colour"),
        ("[[ask]]\nnode = 7", "node 7"),
        ('[[ask]]\nnode = 1\nkind = "song"', "song"),
        ("[[ask]]\nwhere = 1", "where"),
        ('[[fault]]\nkind = "earthquake"', "earthquake"),
        ("[[fault]]\nnode = 1", "kind"),
        ('[[fault]]\nkind = "crash"', "node"),
        ('[[fault]]\nkind = "crash"\nnode = 1\ndepth = 2', "depth"),
        ('[[fault]]\nkind = "crash"\nnode = 1\nlose = "hope"', "hope"),
        ('[[fault]]\nkind = "delay"\nextra_ms = [5, 1]', "extra_ms"),
        ('[[fault]]\nkind = "set_policy"\nattempts_max = 0', "attempts_max"),
        ('[[fault]]\nkind = "join"\n[[fault]]\nkind = "join"', "One node can join"),
        ("[expect]\nweather = 1", "weather"),
        ('[expect]\nfinding = "good"', "good"),
        ("[policy]\nview_timeout_ms = 1", "view_timeout_ms"),
        ("[policy]\npatience = 1", "policy"),
        ("[fault]\nkind = 1", "two brackets"),
        ("nodes = ", "TOML"),
    ],
)
def test_nonsense_is_named(text: str, word: str) -> None:
    """A file that makes no sense raises one sentence that names the entry."""
    with pytest.raises(BadScenario, match=word):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "qnode plan 1"}', '{"format": "qnode plan 1", "seed": -1}']
)
def test_a_file_that_is_no_plan_is_refused(text: str) -> None:
    """What is not a plan raises a sentence, whatever it is."""
    with pytest.raises(BadScenario):
        from_text(text)
