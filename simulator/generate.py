"""From a seed to a plan: every knob is drawn, as in a swarm (Groce et al. 2012, "Swarm testing").

Each plan leaves most kinds of faults out, so that the others get room. What is Byzantine, gone for
good or has lost its log never exceeds f, so that safety and progress may be demanded.
"""

from random import Random
from typing import Any

from pbft.types import faults_tolerated
from simulator.faults import BEHAVIOURS
from simulator.meaning import Models
from simulator.plan import Incident, Plan, Question

DECISIONS = 30
_SIZES = (4, 4, 4, 4, 4, 4, 5, 6, 7, 7, 2, 1, 10)
_ENVIRONMENT = (
    "crash", "crash", "crash_effects", "unsynced", "pause", "disk_full", "part", "part", "cut",
    "lose", "repeat", "reorder", "delay", "reconnect",
)  # fmt: skip
_MESSAGES = (
    "Request", "AnswerCommitment", "Seal", "AnswerReveal", "Proposal", "Prepare", "Commit",
    "Checkpoint", "ViewChange", "NewView", "DecidedSlot", "Height", "BatchContent",
)  # fmt: skip
_LYING = tuple(sorted(name for name, kind in BEHAVIOURS.items() if kind.BYZANTINE))
_ILL = ("slow", "mute", "stall")
_CHANGES = {"join", "replace_key", "set_policy", "endorse"}
_BOUND_MS = 300_000
_BOUND_CHANGES_MS = 900_000
"""A change takes effect at a checkpoint, 64 slots away at most; where messages take as long as a
view's patience a slot takes seconds."""


def plan_of(seed: int, nodes: int | None = None, decisions: int = DECISIONS) -> Plan:
    """The plan of a swarm seed."""
    return _Generator(seed, nodes, decisions).plan()


class _Generator:
    def __init__(self, seed: int, nodes: int | None, decisions: int) -> None:
        self._seed = seed
        self._draw = Random(f"plan {seed}")  # noqa: S311  # a seed must replay
        self._nodes = nodes or self._draw.choice(_SIZES)
        self._decisions = decisions
        self._calm_ms = 1_000 * self._draw.choice([5, 10, 20, 20, 40])
        self._f = faults_tolerated(self._nodes)
        self._bad: set[int] = set()
        """Nodes of which nothing may be expected in the end."""
        self._policy = {
            "view_timeout_ms": self._draw.choice([300, 1_000, 2_000]),
            "seal_grace_ms": self._draw.choice([50, 500, 1_500]),
            "reveal_grace_ms": self._draw.choice([50, 500, 1_500]),
            "rotation_slots": self._draw.choice([64, 64, 1_024]),
            "attempts_max": self._draw.choice([1, 2, 3]),
        }

    def plan(self) -> Plan:
        draw = self._draw
        faults: list[Incident] = []
        if self._f and draw.random() < 0.6:
            for _ in range(draw.randint(1, self._f)):
                faults += self._liar()
        kinds = draw.sample(_ENVIRONMENT, draw.randint(0, 5))
        for _ in range(draw.randint(0, 12) if kinds else 0):
            faults.append(self._incident(draw.choice(kinds)))
        if draw.random() < 0.2:
            faults.append(self._illness())
        if draw.random() < 0.25 and len(self._bad) < self._f:
            faults.append(self._loss())
        if self._nodes >= 4 and draw.random() < 0.3:
            faults += self._changes()
        return Plan(
            seed=self._seed,
            nodes=self._nodes,
            questions=self._questions(),
            faults=tuple(sorted(faults, key=lambda fault: fault.at_ms)),
            calm_ms=self._calm_ms,
            bound_ms=_BOUND_CHANGES_MS if _CHANGES & {f.kind for f in faults} else _BOUND_MS,
            delay_ms=draw.choice([(0, 1), (1, 8), (1, 8), (20, 80), (0, 300)]),
            exponential=draw.random() < 0.2,
            policy=self._policy,
            models=self._models(),
            name=f"seed {self._seed}",
        )

    def _models(self) -> Models:
        draw = self._draw
        return Models(
            right_bp=draw.choice([9_900, 9_300, 8_000, 5_000]),
            abstain_bp=draw.choice([0, 100, 1_000]),
            answer_ms=draw.choice([(0, 0), (100, 300), (100, 2_000), (10, 9_000)]),
            compare_ms=draw.choice([(0, 0), (1, 5), (10, 60), (10, 400)]),
            error_bp=draw.choice([0, 60, 100]),
        )

    def _questions(self) -> tuple[Question, ...]:
        draw = self._draw
        fresh = self._nodes - len(self._bad)
        count = max(1, self._decisions - fresh)
        end_ms = max(1, self._calm_ms - 500)
        questions = [
            Question(
                draw.randrange(end_ms),
                draw.randrange(self._nodes),
                draw.randrange(20),
                draw.choice(["text", "text", "text", "label", "number"]),
                draw.choice([1_000, 10_000, 10_000]),
            )
            for _ in range(count)
        ]
        return tuple(sorted(questions, key=lambda question: question.at_ms))

    # --- faults --------------------------------------------------------------------------------

    def _span(self) -> tuple[int, int]:
        at_ms = self._draw.randrange(self._calm_ms)
        length_ms = self._draw.choice([5, 50, 300, 1_500, 5_000, 15_000])
        return at_ms, min(self._calm_ms, at_ms + length_ms)

    def _node(self) -> int:
        return self._draw.randrange(self._nodes)

    def _liar(self) -> list[Incident]:
        """One node, with one or two behaviours, or a twin."""
        draw = self._draw
        good = [n for n in range(self._nodes) if n not in self._bad]
        node = draw.choice([good[0], *good])
        self._bad.add(node)
        if draw.random() < 0.08:
            return [Incident("twin", 0, None, {"node": node})]
        found = []
        for kind in draw.sample(_LYING, draw.choice([1, 1, 2, 3])):
            at_ms = draw.choice([0, 0, draw.randrange(self._calm_ms)])
            until_ms = draw.choice([None, None, self._calm_ms])
            found.append(Incident(kind, at_ms, until_ms, {"node": node} | self._options(kind)))
        return found

    def _options(self, kind: str) -> dict[str, Any]:  # noqa: C901  # one case for each kind
        draw = self._draw
        some = [n for n in range(self._nodes) if draw.random() < 0.5]
        match kind:
            case "mutate":
                return {"share_bp": draw.choice([500, 3_000, 6_000])}
            case "replay":
                return {"share_bp": draw.choice([500, 3_000])}
            case "fabricate":
                return {"share_bp": draw.choice([200, 2_000])}
            case "forge":
                return {"share_bp": draw.choice([500, 3_000])}
            case "selective":
                return {"to": some}
            case "bias":
                return {"against": some, "commitments": draw.choice([0, 1])}
            case "copy":
                return {"when": draw.choice(["before", "after"])}
            case "split_proposals":
                last = draw.randint(1, max(1, self._nodes - 2))
                return {"last": last, "other": draw.choice(["empty", "other"])}
            case "bad_plan":
                return {"how": draw.choice(["none", "null", "more", "unknown", "worthless"])}
            case "bad_view_change":
                return {"how": draw.choice(["certificate", "empty", "stable", "view", "apart"])}
            case "matrix":
                return {"by_bp": draw.choice([150, 300, 500, 5_000])}
            case "flood":
                return {"times": 1}
            case "wrong_number":
                return {"by": draw.choice([1, 2, 300]), "all": draw.choice([0, 1])}
            case "hide_proposals":
                return {"hidden": some}
        return {}

    def _illness(self) -> Incident:
        at_ms, until_ms = self._span()
        return Incident(self._draw.choice(_ILL), at_ms, until_ms, {"node": self._node()})

    def _loss(self) -> Incident:
        """A node is gone for good, loses its log, its disk, its whole memory, or its key."""
        draw = self._draw
        good = [n for n in range(self._nodes) if n not in self._bad]
        node = draw.choice(good)
        self._bad.add(node)
        at_ms, until_ms = self._span()
        lose = draw.choice(["gone", "log", "disk", "all", "key"])
        if lose == "gone":
            return Incident("crash", at_ms, None, {"node": node})
        if lose == "key":
            return Incident("replace_key", at_ms, None, {"node": node})
        return Incident("crash", at_ms, until_ms, {"node": node, "lose": lose})

    def _changes(self) -> list[Incident]:
        """What the operators want, for all to survive it: one joins, one leaves, other rules."""
        draw = self._draw
        found = []
        for kind in draw.sample(("join", "leave", "set_policy"), draw.choice([1, 1, 2, 3])):
            at_ms = draw.randrange(self._calm_ms)
            if kind == "join":
                found.append(Incident("join", at_ms, None, {}))
            elif kind == "set_policy":
                rules = {
                    "attempts_max": draw.randint(1, 3),
                    "similarity_threshold_bp": draw.choice([8_000, 8_500, 9_000]),
                }
                found.append(Incident("set_policy", at_ms, None, rules))
            elif faults_tolerated(self._nodes - 1) >= len(self._bad):
                wanted = {"nodes": list(range(self._nodes)), "leaves": self._node()}
                found.append(Incident("endorse", at_ms, None, wanted))
        return found

    def _incident(self, kind: str) -> Incident:
        draw = self._draw
        at_ms, until_ms = self._span()
        match kind:
            case "crash":
                return Incident("crash", at_ms, until_ms, {"node": self._node()})
            case "crash_effects":
                dies = {"node": self._node(), "effects": draw.randrange(8)}
                return Incident("crash", at_ms, until_ms, dies)
            case "unsynced":
                loses = {"node": self._node(), "lose": "unsynced", "effects": draw.randrange(5)}
                return Incident("crash", at_ms, until_ms, loses)
            case "pause" | "disk_full":
                return Incident(kind, at_ms, until_ms, {"node": self._node()})
            case "part":
                side = [n for n in range(self._nodes) if draw.random() < 0.5]
                parts = {"sides": [side], "quiet": draw.random() < 0.3}
                return Incident("part", at_ms, until_ms, parts)
            case "cut":
                ends = {"sources": [self._node()], "targets": [self._node(), self._node()]}
                return Incident("cut", at_ms, until_ms, ends)
            case "reconnect":
                return Incident("reconnect", at_ms, until_ms, {})
            case "delay":
                extra = draw.choice([[0, 50], [100, 900], [1_000, 4_000]])
                return Incident("delay", at_ms, until_ms, {"extra_ms": extra} | self._where())
            case _:
                share = draw.choice([100, 1_000, 3_000, 10_000])
                return Incident(kind, at_ms, until_ms, {"share_bp": share} | self._where())

    def _where(self) -> dict[str, Any]:
        draw = self._draw
        where: dict[str, Any] = {}
        if draw.random() < 0.5:
            where["messages"] = draw.sample(_MESSAGES, draw.randint(1, 4))
        if draw.random() < 0.3:
            where["sources"] = [self._node()]
        if draw.random() < 0.3:
            where["targets"] = [self._node()]
        return where
