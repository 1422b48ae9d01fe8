"""Plans and scenario files: what is read is what was written, and nonsense is one sentence."""

import json
from typing import Any

import pytest

from simulator import fuzz, scenario, twins
from simulator.errors import BadScenario
from simulator.faults import BEHAVIOURS
from simulator.generate import plan_of
from simulator.plan import FORMAT, Incident, Plan, Plans, Question, check, from_text, to_text
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
        ('[[ask]]\ntimes = "a"', "times"),
        ("[[ask]]\ntimes = 1000000", "times"),
        ('[[ask]]\ntopic = "x"', "topic"),
        ("[[ask]]\nnode = {}", "node {}"),
        ("[[ask]]\ntimeout = true", "timeout"),
        ("models = 3", r"\[models\]"),
        ("[models]\nanswer_ms = 3", "answer_ms"),
        ("[models]\nright_bp = [1]", "right_bp"),
        ("[models]\nerror_bp = 101", "similarity_tolerance_bp"),
        ("[policy]\nsimilarity_tolerance_bp = 100", "at most 50"),
        ("policy = 3", r"\[policy\]"),
        ("delay_ms = [1, true]", "delay_ms"),
        ("long_tail = 1", "long_tail"),
        ("name = 3", "name"),
        ("expect = 3", r"\[expect\]"),
        ('[expect]\nview_min = "a"', "expect.view_min"),
        ("[expect]\ndecided_min = true", "expect.decided_min"),
        ("[expect]\naccused = 3", "expect.accused"),
        ('[expect]\naccused_within = ["R3"]', "expect.accused_within"),
        ("[expect]\nrefused = 3", "expect.refused"),
        ("[expect]\nrule = 3", "expect.rule"),
        ("[expect]\nfinding = []", "expect.finding"),
        ("[expect]\noutside_guarantee = 1", "expect.outside_guarantee"),
        (f"seed = {'1' * 5_000}", "digits"),
        (f"seed = 0x{'f' * 5_000}", "seed"),
        (f"seconds = 0x{'f' * 5_000}", "seconds is far too large"),
        (f"nodes = {'[' * 5_000}{']' * 5_000}", "nested"),
        ('[[fault]]\nkind = "endorse"\nnodes = [7]\nleaves = 1', "nodes"),
        ('[[fault]]\nkind = "endorse"\nnodes = [4]\nleaves = 1', "there are 4"),
        ('[[fault]]\nkind = "lie"\nnode = 0\n[[fault]]\nkind = "mute"\nnode = 7', "Fault 2: mute"),
        ("[expect]\nfinding = 'unexpected'", "expect.finding"),
    ],
)
def test_nonsense_is_named(text: str, word: str) -> None:
    """A file that makes no sense raises one sentence that names the entry."""
    with pytest.raises(BadScenario, match=word):
        parse(text)


def fault(kind: str, settings: str, *, seconds: int = 20) -> str:
    lines = settings.replace("; ", "\n")
    return f'nodes = 4\nseconds = {seconds}\n[[fault]]\nkind = "{kind}"\n{lines}\n'


@pytest.mark.parametrize(
    ("kind", "settings", "word"),
    [
        ("mute", "node = 1; at = 20", "calm"),
        ("lose", "at = 25; for = 5", "calm"),
        ("crash", "node = 1; at = 2; until = 1", "ends at 1 s, and begins at 2 s"),
        ("part", "sides = [[0]]; at = 2; until = 2", "ends at 2 s"),
        ("crash", "node = 1; until = 5; for = 2", "both `until` and `for`"),
        ("join", "for = 5", "no end"),
        ("set_policy", "attempts_max = 1; until = 5", "no end"),
        ("set_policy", "", "at least one rule"),
    ],
)
def test_a_fault_that_could_not_happen_as_it_says_is_refused(
    kind: str, settings: str, word: str
) -> None:
    """From the calm on progress is demanded, so nothing goes wrong anew; what ends has begun."""
    with pytest.raises(BadScenario, match=word):
        parse(fault(kind, settings))


def test_a_fault_may_last_until_the_calm_and_longer() -> None:
    """What begins a moment before it happens; a question may be asked at the very end."""
    parse(fault("mute", "node = 1; at = 19.9; until = 30") + "[[ask]]\nat = 20\n")


def test_a_question_after_the_calm_is_refused() -> None:
    """It would be asked only if the run happened to last so long."""
    with pytest.raises(BadScenario, match="asked at 11 s"):
        parse("seconds = 10\n[[ask]]\nat = 9\nevery = 1\ntimes = 3")


@pytest.mark.parametrize(
    ("kind", "settings", "known"),
    [
        ("bad_item", 'node = 0; how = "outcom"', "outcome"),
        ("bad_plan", 'node = 0; how = "nul"', "null"),
        ("bad_view_change", 'node = 0; how = ""', "certificate"),
        ("tweak", 'node = 0; how = "pbft"', "pbft-commit-digest-modify"),
        ("copy", 'node = 0; when = "later"', "after, before"),
        ("split_proposals", 'node = 0; other = "none"', "empty, other, near"),
        ("lose", 'messages = ["Comit"]', "Commit"),
        ("delay", 'extra_ms = [1, 2]; messages = ["PrePrepare"]', "Proposal"),
        ("selective", 'node = 0; messages = ["Comit"]', "Commit"),
        ("replay", 'node = 0; messages = ["Comit"]', "Commit"),
        ("flood", 'node = 0; messages = ["AnswerReveal"]', "AnswerCommitment"),
        ("equivocate", 'node = 0; messages = ["Seal"]', "AnswerCommitment, Prepare, Commit"),
    ],
)
def test_a_misspelt_word_is_refused_with_those_that_exist(
    kind: str, settings: str, known: str
) -> None:
    """A fault that knows no such word would do nothing, and the run would hold."""
    with pytest.raises(BadScenario, match=known):
        parse(fault(kind, settings))


@pytest.mark.parametrize(
    ("kind", "settings", "wanted"),
    [
        ("part", "sides = [[0], [4]]", "there are 4, from 0"),
        ("part", "sides = [[0, 1], [1, 2]]", "each node in one only"),
        ("part", "sides = [0, 1]", "each a list"),
        ("part", "sides = []", "at least one"),
        ("cut", "sources = [0]; targets = [9]", "there are 4"),
        ("lose", "sources = [4]", "there are 4"),
        ("lose", "messages = []", "at least one"),
        ("lose", "share_bp = 10001", "from 1 to 10000"),
        ("mutate", "node = 0; share_bp = 0", "from 1 to 10000"),
        ("repeat", "times = 0", "from 1 to 100"),
        ("repeat", "times = 1000000", "from 1 to 100"),
        ("flood", "node = 0; times = 101", "from 1 to 100"),
        ("revote", "node = 0; times = 0", "from 1 to 100"),
        ("usurp", "node = 0; every = 0", "from 1"),
        ("restless", "node = 0; every = -1", "from 1"),
        ("wrong_number", "node = 0; by = 0", "from 1"),
        ("matrix", "node = 0; by_bp = 10001", "to 10000"),
        ("slow", "node = 0; delay_ms = 0", "from 1"),
        ("delay", "extra_ms = [0, 0]", "two whole numbers"),
        ("split_proposals", "node = 0; last = 0", "from 1 to 3"),
        ("split_proposals", "node = 0; last = 4", "from 1 to 3"),
        ("misvote", "node = 0; both = 2", "from 0 to 1"),
        ("selective", "node = 0; to = [4]", "there are 4"),
        ("hidden_batch", "node = 0; to = [7]", "there are 4"),
    ],
)
def test_a_setting_that_would_do_nothing_or_harm_the_run_is_refused(
    kind: str, settings: str, wanted: str
) -> None:
    """Nodes that are not there, shares above all, no times at all, or more than memory holds."""
    with pytest.raises(BadScenario, match=wanted):
        parse(fault(kind, settings))


def test_second_processes_and_joiners_have_numbers() -> None:
    """Those of twins come after the nodes', and who joins comes last; to the members it comes
    right after them."""
    more = '[[fault]]\nkind = "twin"\nnode = 0\n[[fault]]\nkind = "join"\n'
    parse(fault("part", "sides = [[0, 4], [5]]") + more)
    parse(fault("selective", "node = 1; to = [4]") + more)
    with pytest.raises(BadScenario, match="there are 6"):
        parse(fault("part", "sides = [[6]]") + more)
    with pytest.raises(BadScenario, match="there are 5"):
        parse(fault("selective", "node = 1; to = [5]") + more)


@pytest.mark.parametrize("kind", sorted(BEHAVIOURS))
def test_every_behaviour_may_say_what_it_does_anyway(kind: str) -> None:
    """Defaults fit their own rules."""
    options = {name: v for name, v in BEHAVIOURS[kind].OPTIONS.items() if v is not None}
    plan = Plan(0, 4, faults=(Incident(kind, 0, None, {"node": 0} | options),), calm_ms=1)
    check(plan)


def test_a_million_plans_are_made_one_by_one() -> None:
    """Their number is known before the first is made."""
    made = []

    def make(number: int) -> Plan:
        made.append(number)
        return Plan(number, 4)

    plans = Plans(range(1_000_000), make)
    assert len(plans) == 1_000_000
    assert next(iter(plans)).seed == 0
    assert made == [0]


def test_nonsense_about_many_plans_is_refused_before_the_first() -> None:
    """Not by whoever takes the first of them, in another process."""
    with pytest.raises(BadScenario, match="--sample"):
        twins.plans(4, 3, 0, 0)
    with pytest.raises(BadScenario, match="--sample"):
        fuzz.plans(2, 2, 8, 0, 0)


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ({"expect": {"weather": 1}}, "weather"),
        ({"expect": None}, "expect"),
        ({"expect": {"view": "a"}}, "expect.view"),
        ({"questions": [[0, 0, "x"]]}, "topic"),
        ({"questions": [[0, 0, 1, "text", None]]}, "timeout"),
        ({"questions": [3]}, "A question is 3; it must be .at_ms, node"),
        ({"questions": [[0, 0, 0, "text", 1, 9]]}, "it must be .at_ms, node"),
        ({"models": {"wit": 1}}, "models. has no 'wit'; it has: right_bp"),
        ({"models": 3}, "models. is 3"),
        ({"policy": {"patience": 1}}, "policy has no 'patience'; it has: similarity"),
        ({"bound_ms": 2_000}, "bound is 2 s"),
        ({"questions": {"a": 1}}, "questions are .* a list"),
        ({"faults": None}, "faults are None"),
        ({"colour": 1}, "no 'colour'; it has: seed, nodes"),
        ({"delay_ms": None}, "delay_ms is None"),
        ({"name": 3}, "name"),
        ({"exponential": "yes"}, "exponential"),
        ({"models": {"compare_ms": "ab"}}, "compare_ms"),
        ({"policy": None}, "policy"),
        ({"faults": [{"kind": ["crash"], "node": 0}]}, "kind"),
        ({"faults": [{"kind": "crash", "node": None}]}, "node"),
        ({"faults": [{"kind": "crash", "node": 0, "lose": None}]}, "lose"),
        ({"faults": [{"kind": "lose", "share_bp": None}]}, "share_bp"),
        ({"faults": [{"kind": "collude", "node": 0, "words": "\ud800"}]}, "words"),
        ({"faults": [{"kind": "lose", "messages": ["\ud800"]}]}, "messages"),
    ],
)
def test_a_plan_with_a_wrong_entry_is_refused(entries: dict[str, object], word: str) -> None:
    """Replaying checks as much as running: the sentence names the entry."""
    body = {"format": FORMAT, "seed": 1, "nodes": 4} | entries
    with pytest.raises(BadScenario, match=word):
        from_text(json.dumps(body))


@pytest.mark.parametrize("name", ["seed", "nodes"])
def test_a_plan_without_what_it_needs_is_refused(name: str) -> None:
    """In words of the file, not of the program."""
    body: dict[str, object] = {"format": FORMAT, "seed": 1, "nodes": 4}
    del body[name]
    with pytest.raises(BadScenario, match=f"needs the entry '{name}'"):
        from_text(json.dumps(body))


def test_far_too_many_questions_are_not_made_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many entries with the most questions that one can have, two are enough to refuse all."""
    made = []
    questions = scenario._questions

    def counted(entry: dict[str, Any]) -> list[Question]:
        made.append(entry)
        return questions(entry)

    monkeypatch.setattr(scenario, "_questions", counted)
    with pytest.raises(BadScenario, match="more questions than can be planned"):
        parse("[[ask]]\ntimes = 60000\nevery = 0\n" * 5)
    assert len(made) == 2


def test_those_who_come_may_endorse_too() -> None:
    """A node that joins has the number after the last member's, and operators of its own."""
    join = '[[fault]]\nkind = "join"\n'
    parse(join + '[[fault]]\nkind = "endorse"\nnodes = [4]\nleaves = 1')


@pytest.mark.parametrize(("rounds", "sample"), [(3, 5), (20, 2), (20, 50)])
def test_twins_are_sampled_however_many_there_are(rounds: int, sample: int) -> None:
    """Also of more scenarios than a machine word counts, and the same ones each time."""
    drawn = list(twins.plans(4, rounds, sample, 0))
    assert len({plan.name for plan in drawn}) == sample
    assert drawn == list(twins.plans(4, rounds, sample, 0))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "qnode plan 1"}', '{"format": "qnode plan 1", "seed": -1}']
)
def test_a_file_that_is_no_plan_is_refused(text: str) -> None:
    """What is not a plan raises a sentence, whatever it is."""
    with pytest.raises(BadScenario):
        from_text(text)
