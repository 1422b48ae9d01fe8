"""One whole decision in which everybody's words are given.

For liars who know beforehand what the others will say: how similar their words are, and what
contradicts what, is for a judge outside to say. All else is the protocol: requests, commitments,
seals, reveals, proposals, votes, with the liars' words put into the mouths of nodes that collude.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from random import Random

from pbft.messages import Answer, Finish, Item, Request
from pbft.outcome import Contradiction, Outcome
from simulator.errors import Finding, Violation
from simulator.incidents import Incidents
from simulator.meaning import Comparison, Meaning, Models
from simulator.plan import Incident, Plan, Question
from simulator.world import World

REASON_MAX = 200
_MODELS = Models(answer_ms=(10, 50), compare_ms=(1, 5), error_bp=0)
_BOUND_US = 60_000_000

Pair = Callable[[str, str], tuple[int, str | None]]
"""Of two texts: similarity in basis points, and why they contradict each other, if they do."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Who says what to one question."""

    question: str
    said: tuple[str, ...]
    """By node."""
    liars: frozenset[int]
    pair: Pair


class _Script(Meaning):
    """The models say what the stage gives them, and all measure alike."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(_MODELS)
        self._stage = stage

    def prompt(self, number: int, topic: int) -> str:
        del number, topic
        return self._stage.question

    def answer(self, request: Request, topic: int, draw: Random, replica: int) -> Answer:
        del request, topic, draw
        return Answer(self._stage.said[replica], Finish.STOP, "scripted", 8, 10)

    def compare(self, question: str, texts: tuple[str, ...], replica: int) -> Comparison:
        del question, replica
        found = [
            (i, j, *self._stage.pair(texts[i], texts[j]))
            for i, j in combinations(range(len(texts)), 2)
        ]
        contradictions = tuple(
            Contradiction(i, j, reason[:REASON_MAX]) for i, j, _, reason in found if reason
        )
        return tuple(similarity_bp for _, _, similarity_bp, _ in found), contradictions

    def alike(self, question: str, one: str, other: str, threshold_bp: int) -> bool:
        del question
        if one == other:
            return True
        similarity_bp, reason = self._stage.pair(one, other)
        return similarity_bp >= threshold_bp and reason is None


def decide(stage: Stage, seed: int = 0) -> Outcome:
    """What the network certifies. Raises `Violation` if it certifies nothing, or what it must not.

    The first node asks; a single attempt, as everybody would only say the same again.
    """
    faults = tuple(
        Incident("collude", 0, None, {"node": node, "words": stage.said[node]})
        for node in sorted(stage.liars)
    )
    plan = Plan(seed, len(stage.said), faults=faults, policy={"attempts_max": 1}, models=_MODELS)
    world = World(plan, meaning=_Script(stage))
    decided: list[Outcome] = []

    def observe(item: Item) -> None:
        decided.append(item.outcome)

    def ask() -> None:
        world.ask(Question(world.now_us // 1_000, 0))

    world.checkers.observe = observe
    Incidents(world).start()
    world.schedule(100, ask)
    if not world.run_until(_BOUND_US, lambda: bool(decided)):
        raise Violation(Finding.LIVENESS, "progress", "nothing is decided within a minute")
    return decided[0]
