"""Real models in virtual time: what they say is theirs, when they say it is the plan's.

One loaded model answers for all nodes, each with dice of its own, and one judge measures for all. A
run replays as far as the model does: on one machine with one number of threads.
"""

import logging
from dataclasses import replace
from random import Random

from daemon.modelwork import to_answer
from inference import structured
from inference.embedding import EmbedderSettings
from inference.engine import Engine, EngineSettings, GenerationRequest, load_engine
from inference.equivalence import AnswerJudge
from inference.errors import InferenceError, ModelUnavailable
from inference.judging import load_judge
from pbft.messages import Answer, Request
from pbft.outcome import Contradiction
from simulator.errors import SimulatorError
from simulator.meaning import Comparison, Meaning, Models

QUESTIONS = (
    "What is the capital of France?",
    "Name the largest planet of the solar system.",
    "At how many degrees Celsius does water boil at sea level?",
    "Who wrote the play Hamlet?",
    "Is the number 91 prime?",
)
"""By topic; the models packaged with qnode are small."""

TEMPERATURE_MILLI = 300
log = logging.getLogger(__name__)


class RealMeaning(Meaning):
    """See `simulator.meaning.Meaning`."""

    def __init__(self, models: Models, engine: Engine, judge: AnswerJudge) -> None:
        super().__init__(models)
        self._engine = engine
        self._judge = judge
        self._measured: dict[tuple[str, ...], Comparison] = {}

    def prompt(self, number: int, topic: int) -> str:
        del number
        return QUESTIONS[topic % len(QUESTIONS)]

    def answer(self, request: Request, topic: int, draw: Random, replica: int) -> Answer:
        del topic, replica
        asked = GenerationRequest(
            question=request.prompt,
            language=None,
            max_tokens=request.max_tokens,
            temperature_milli=TEMPERATURE_MILLI,
            seed=draw.getrandbits(53),
            instruction=structured.instruction(request.fields, request.prompt, None),
        )
        fields = request.fields
        try:
            generation, reading = structured.answer(self._engine, asked, fields, lambda: False)
        except InferenceError as error:
            return to_answer(None, str(error), self._engine.model)
        values = reading.values if fields else None
        # How long it took is this machine's affair, and would be another in the next run.
        return replace(to_answer(generation, reading.why, self._engine.model, values), elapsed_ms=0)

    def compare(self, question: str, texts: tuple[str, ...], replica: int) -> Comparison:
        del replica  # all measure alike
        key = (question, *texts)
        known = self._measured.get(key)
        if known is None:
            found = self._judge.compare(question, texts)
            contradictions = tuple(Contradiction(*each) for each in found.contradictions)
            known = self._measured[key] = found.similarity_bp, contradictions
        return known

    def alike(self, question: str, one: str, other: str, threshold_bp: int) -> bool:
        if one == other:
            return True
        similarities_bp, contradictions = self.compare(question, (one, other), 0)
        return similarities_bp[0] >= threshold_bp and not contradictions


def load(models: Models) -> RealMeaning:
    """Loads the packaged models, or those of the machine's cache."""
    try:
        engine = load_engine(EngineSettings(), log.info)
        judge = load_judge(EmbedderSettings(), log.info)
    except ModelUnavailable as error:
        raise SimulatorError(str(error)) from None
    return RealMeaning(models, engine, judge)
