"""The fault plan: everything about a run that was chosen, as a JSON file.

A seed only generates a plan; the plan is what runs, replays and shrinks. It holds the seed of the
network's delays and the models' answers too: two runs of one plan are the same in every byte.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pbft.policy import Policy
from pbft.types import FULL_BP
from simulator import expectations
from simulator.errors import BadScenario, shown
from simulator.meaning import Models

FORMAT = "qnode plan 1"
NODES_MAX = 128
FAULTS_MAX = 10_000
QUESTIONS_MAX = 100_000
SEED_MAX = 2**64 - 1
MS_MAX = 10_000_000
FRESH_AFTER_MS = 2_000
"""So long after the calm a run asks questions of its own; then everybody is connected again."""
KINDS = ("text", "label", "number")

Settings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A user asks a node."""

    at_ms: int
    node: int
    topic: int = 0
    kind: str = "text"
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class Incident:
    """One fault: of the network, of a disk, or of a node's behaviour (`simulator.kinds`)."""

    kind: str
    at_ms: int
    until_ms: int | None
    """None: for good."""
    settings: Settings = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        return self.settings.get(name, default)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    nodes: int
    questions: tuple[Question, ...] = ()
    faults: tuple[Incident, ...] = ()
    calm_ms: int = 0
    """When the network heals, crashed nodes are back and only behaviours without end go on. From
    here on progress is demanded."""
    delay_ms: tuple[int, int] = (1, 8)
    exponential: bool = False
    policy: Settings = field(default_factory=dict)
    """Fields that differ from the default policy."""
    models: Models = field(default_factory=Models)
    bound_ms: int = 300_000
    """Within so much time after the calm everything asked must be answered."""
    name: str = ""
    expect: Settings = field(default_factory=dict)
    """What the scenario says about the end (`simulator.expectations`)."""

    def the_policy(self) -> Policy:
        _check_names("The policy", self.policy, Policy)
        try:
            return Policy(**self.policy)
        except ValueError as error:
            raise BadScenario(f"The policy makes no sense: {error}") from None

    def without_faults(self) -> "Plan":
        return replace(self, faults=())


@dataclass(frozen=True, slots=True)
class Plans(Collection[Plan]):
    """Plans that are made when they are needed: all at once may be more than memory holds."""

    numbers: Sequence[int]
    make: Callable[[int], Plan]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Plan]:
        return map(self.make, self.numbers)

    def __contains__(self, plan: object) -> bool:
        return any(made == plan for made in self)


# --- JSON --------------------------------------------------------------------------------------


def to_json(plan: Plan) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": plan.name,
        "seed": plan.seed,
        "nodes": plan.nodes,
        "calm_ms": plan.calm_ms,
        "bound_ms": plan.bound_ms,
        "delay_ms": list(plan.delay_ms),
        "exponential": plan.exponential,
        "policy": dict(plan.policy),
        "models": {
            "right_bp": plan.models.right_bp,
            "abstain_bp": plan.models.abstain_bp,
            "answer_ms": list(plan.models.answer_ms),
            "compare_ms": list(plan.models.compare_ms),
            "error_bp": plan.models.error_bp,
        },
        "questions": [
            [q.at_ms, q.node, q.topic, q.kind, q.timeout_ms] for q in plan.questions
        ],
        "faults": [incident_to_json(incident) for incident in plan.faults],
        "expect": dict(plan.expect),
    }  # fmt: skip


def incident_to_json(incident: Incident) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": incident.kind, "at_ms": incident.at_ms}
    if incident.until_ms is not None:
        body["until_ms"] = incident.until_ms
    return body | dict(incident.settings)


def to_text(plan: Plan) -> str:
    """The plan's one form: a fault or a question on each line."""
    body = to_json(plan)
    lines = []
    for key, value in body.items():
        if key in ("questions", "faults") and value:
            inner = ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value)
            lines.append(f' "{key}": [\n  {inner}\n ]')
        else:
            lines.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def from_text(text: str) -> Plan:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadScenario("The plan is not valid JSON.") from None
    return from_json(body)


def from_json(body: Any) -> Plan:
    """Inverse of `to_json`; `BadScenario` names the entry that makes no sense."""
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise BadScenario(f'The plan does not say "format": "{FORMAT}".')
    body = dict(body)
    del body["format"]
    _check_names("The plan", body, Plan)
    for name in ("seed", "nodes"):
        if name not in body:
            raise BadScenario(f"The plan needs the entry {name!r}.")
    for name in ("questions", "faults"):
        if not isinstance(body.get(name, []), list):
            raise BadScenario(f"The plan's {name} are {shown(body[name])}; they must be a list.")
    questions = tuple(question_from_json(entry) for entry in body.pop("questions", ()))
    faults = tuple(incident_from_json(entry) for entry in body.pop("faults", ()))
    models = models_from(body.pop("models", {}))
    if isinstance(delay_ms := body.get("delay_ms"), list):
        body["delay_ms"] = tuple(delay_ms)
    plan = Plan(questions=questions, faults=faults, models=models, **body)
    check(plan)
    return plan


def models_from(given: Any) -> Models:
    """Of a scenario or a plan."""
    _check_names("[models]", given, Models)
    entries: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Models(**entries)


def question_from_json(entry: Any) -> Question:
    names = [question.name for question in fields(Question)]
    if not isinstance(entry, list) or not 2 <= len(entry) <= len(names):
        raise BadScenario(
            f"A question is {shown(entry)}; it must be [{', '.join(names)}], of which the first "
            "two are needed."
        )
    return Question(*entry)


def incident_from_json(entry: Any) -> Incident:
    if not isinstance(entry, dict) or "kind" not in entry:
        raise BadScenario(f"A fault needs a kind: {shown(entry)}.")
    settings = dict(entry)
    kind, at_ms = settings.pop("kind"), settings.pop("at_ms", 0)
    return Incident(kind, at_ms, settings.pop("until_ms", None), settings)


def check(plan: Plan) -> None:
    """Raises `BadScenario` unless the plan can run."""
    if type(plan.seed) is not int or not 0 <= plan.seed <= SEED_MAX:
        raise BadScenario(f"The seed must be a whole number from 0 to {SEED_MAX}.")
    if type(plan.nodes) is not int or not 1 <= plan.nodes <= NODES_MAX:
        raise BadScenario(f"nodes must be from 1 to {NODES_MAX}.")
    if type(plan.name) is not str:
        raise BadScenario(f"The name is {shown(plan.name)}; it must be text.")
    if type(plan.exponential) is not bool:
        raise BadScenario(
            f"long_tail (exponential) is {shown(plan.exponential)}; it must be true or false."
        )
    _check_range("delay_ms", plan.delay_ms)
    _check_ms("calm_ms", plan.calm_ms)
    _check_ms("bound_ms", plan.bound_ms)
    if plan.bound_ms <= FRESH_AFTER_MS:
        raise BadScenario(
            f"The bound is {plan.bound_ms / 1_000:g} s; {FRESH_AFTER_MS / 1_000:g} s after the "
            "calm the run asks questions of its own, which must be answered too: let it be more."
        )
    _check_models(plan)
    _check_questions(plan)
    _check_faults(plan)
    expectations.check(plan.expect)


def _check_models(plan: Plan) -> None:
    models = plan.models
    _check_range("answer_ms", models.answer_ms)
    _check_range("compare_ms", models.compare_ms)
    for name in ("right_bp", "abstain_bp", "error_bp"):
        _check_ms(name, getattr(models, name), FULL_BP)
    tolerance_bp = plan.the_policy().similarity_tolerance_bp
    if 2 * models.error_bp > tolerance_bp:
        raise BadScenario(
            f"error_bp is {models.error_bp}: two honest nodes would differ by up to twice that, "
            f"and take each other for liars beyond the policy's similarity_tolerance_bp of "
            f"{tolerance_bp}; it must be at most {tolerance_bp // 2}."
        )


def _check_questions(plan: Plan) -> None:
    if len(plan.questions) > QUESTIONS_MAX:
        raise BadScenario(f"There are more questions than can be planned; that is {QUESTIONS_MAX}.")
    for question in plan.questions:
        _check_ms("A question's time", question.at_ms)
        if question.at_ms > plan.calm_ms:
            raise BadScenario(
                f"A question is asked at {question.at_ms / 1_000:g} s, and at "
                f"{plan.calm_ms / 1_000:g} s the calm begins, after which only the run itself "
                "asks; ask earlier, or let the calm (`seconds`) begin later."
            )
        _check_ms("A question's topic", question.topic)
        _check_ms("A question's timeout", question.timeout_ms)
        if type(question.node) is not int or not 0 <= question.node < plan.nodes:
            raise BadScenario(
                f"A question is for node {shown(question.node)}; there are {plan.nodes}."
            )
        if question.kind not in KINDS:
            raise BadScenario(f"A question is of kind {shown(question.kind)}; it may be {KINDS}.")


def _check_faults(plan: Plan) -> None:
    from simulator.kinds import check_incident, numbers_of

    if len(plan.faults) > FAULTS_MAX:
        raise BadScenario(f"There are {len(plan.faults)} faults; {FAULTS_MAX} can be planned.")
    kinds = [incident.kind for incident in plan.faults]
    if kinds.count("join") > 1:
        raise BadScenario("One node can join in a plan: of two, nobody knows which comes first.")
    numbers = numbers_of(plan.nodes, plan.faults)
    for place, incident in enumerate(plan.faults, start=1):
        try:
            if type(incident.kind) is not str:
                raise BadScenario(f"its kind is {shown(incident.kind)}; it must be a word.")
            check_incident(incident, numbers)
            _check_span(incident, plan.calm_ms)
        except BadScenario as error:
            raise BadScenario(f"Fault {place}: {error}") from None


def _check_span(incident: Incident, calm_ms: int) -> None:
    """Progress is demanded from the calm on: nothing can go wrong anew after it."""
    from simulator.kinds import WITHOUT_END

    kind, at_ms, until_ms = incident.kind, incident.at_ms, incident.until_ms
    _check_ms(f"at_ms of {kind}", at_ms)
    if at_ms >= calm_ms:
        raise BadScenario(
            f"{kind} begins at {at_ms / 1_000:g} s, and at {calm_ms / 1_000:g} s the calm begins, "
            "from which all must go well; let it begin earlier, or the calm (`seconds`) later."
        )
    if until_ms is None:
        return
    _check_ms(f"until_ms of {kind}", until_ms)
    if kind in WITHOUT_END:
        raise BadScenario(f"{kind} is done once and has no end; leave out its end.")
    if until_ms <= at_ms:
        raise BadScenario(
            f"{kind} ends at {until_ms / 1_000:g} s, and begins at {at_ms / 1_000:g} s; "
            "let it end after it begins."
        )


def _check_names(what: str, given: Any, kind: type) -> None:
    """Whether all entries are fields of the dataclass."""
    known = [entry.name for entry in fields(kind)]
    if not isinstance(given, Mapping):
        raise BadScenario(f"{what} is {shown(given)}; it must be names with values.")
    for name in given:
        if name not in known:
            raise BadScenario(f"{what} has no {shown(name)}; it has: {', '.join(known)}.")


def _check_ms(what: str, value: Any, greatest: int = MS_MAX) -> None:
    if type(value) is not int or not 0 <= value <= greatest:
        raise BadScenario(
            f"{what} is {shown(value)}; it must be a whole number from 0 to {greatest}."
        )


def _check_range(what: str, value: Any) -> None:
    fits = isinstance(value, list | tuple) and len(value) == 2
    if not (fits and all(type(v) is int for v in value) and 0 <= value[0] <= value[1] <= MS_MAX):
        raise BadScenario(
            f"{what} is {shown(value)}; it must be two whole numbers up to {MS_MAX}, the lower "
            "first."
        )
