"""Answering and comparing: the replica's slow questions, asked in worker threads.

One generation and one comparison run at a time, each in its own lane, so that a long answer never
holds up the judging of a proposal.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import combinations
from threading import Event as ThreadEvent

import trio

from daemon.lane import Lane
from inference import structured
from inference.engine import Engine, Generation, GenerationRequest
from inference.equivalence import AnswerJudge, Comparison
from inference.errors import GenerationCancelled, InferenceError, PromptTooLong
from inference.language import Language
from inference.structured import Reading
from inference.validator import abnormality
from pbft.effects import CompareAnswers, RunInference
from pbft.events import AnswerReady, AnswersCompared, Event
from pbft.messages import Answer, Field, Finish
from pbft.outcome import Contradiction
from pbft.types import ANSWER_BYTES_MAX, FULL_BP, NAME_BYTES_MAX, RequestId

log = logging.getLogger("qnode.model")

QUEUE_MAX = 8_192
"""Above the number of requests that the core lets be in flight at once."""

_LANGUAGES: dict[str, Language] = {"en": "en", "zh-TW": "zh-TW"}


@dataclass(slots=True)
class _Generate:
    request: GenerationRequest
    fields: tuple[Field, ...]
    done: Callable[[Generation | None, Reading], None]
    """Called with the answer and its values, or with None and why there is none."""
    cancelled: ThreadEvent = field(default_factory=ThreadEvent)


class ModelWork:
    """The node's own model and judge; results of consensus work go to `deliver` as events."""

    def __init__(
        self,
        public_key: bytes,
        engine: Engine,
        judge: AnswerJudge,
        deliver: Callable[[Event], None],
    ) -> None:
        self._public_key = public_key
        self._engine = engine
        self._judge = judge
        self._deliver = deliver
        self._generations = Lane(stop=self._stop_generating)
        self._comparisons = Lane()
        self._generating: _Generate | None = None
        self._running: dict[tuple[RequestId, int], _Generate] = {}

    @property
    def model(self) -> str:
        return self._engine.model

    def infer(self, effect: RunInference) -> None:
        """Answer for consensus; `AnswerReady` follows, with an abstention if there is no answer."""
        key = (effect.request_id, effect.attempt)
        request = effect.request

        def done(generation: Generation | None, reading: Reading) -> None:
            self._running.pop(key, None)
            salt = secrets.token_bytes(32)
            values = reading.values if request.fields else None
            why = reading.why
            if generation is not None and not request.fields and generation.text.strip():
                flaw = abnormality(request.prompt, generation.text)
                generation, why = (None, str(flaw)) if flaw else (generation, why)
            answer = to_answer(generation, why, self.model, values)
            self._deliver(AnswerReady(*key, answer, salt))

        try:
            language = _LANGUAGES.get(request.language)
            generation_request = GenerationRequest(
                question=request.prompt,
                language=language,
                max_tokens=request.max_tokens,
                temperature_milli=effect.temperature_milli,
                seed=self._seed(*key),
                instruction=structured.instruction(request.fields, request.prompt, language),
            )
            job = _Generate(generation_request, request.fields, done)
            if len(self._generations) >= QUEUE_MAX:
                done(None, no_values("too busy"))
                return
            self._running[key] = job
            self._put(job)
            if preparation := self._judge.preparation(request.prompt):
                self._comparisons.put(partial(_prepare, preparation))  # while the model is thinking
        except InferenceError as error:
            log.warning("cannot answer: %s", error)
            done(None, no_values("question not usable"))

    def _seed(self, request_id: RequestId, attempt: int) -> int:
        """Own dice for every replica and attempt: equal models should not echo each other."""
        material = request_id + attempt.to_bytes(8, "big") + self._public_key
        return int.from_bytes(sha256(material).digest()[:7], "big")

    def stop_inference(self, request_id: RequestId, attempt: int) -> None:
        """The answer is not wanted any more."""
        if job := self._running.pop((request_id, attempt), None):
            job.cancelled.set()

    def compare(self, effect: CompareAnswers) -> None:
        """`AnswersCompared` follows."""
        self._comparisons.put(partial(self._compare_for, effect))

    async def ask(
        self, request: GenerationRequest, fields: tuple[Field, ...] = ()
    ) -> tuple[Generation, Reading]:
        """An answer of this node alone, outside consensus; raises `InferenceError`."""
        finished = trio.Event()
        result: list[tuple[Generation | None, Reading]] = []

        def done(generation: Generation | None, reading: Reading) -> None:
            result.append((generation, reading))
            finished.set()

        if len(self._generations) >= QUEUE_MAX:
            raise InferenceError("The model is too busy; ask again later.")
        job = _Generate(request, fields, done)
        try:
            self._put(job)
            await finished.wait()
        finally:
            job.cancelled.set()
        generation, reading = result[0]
        if generation is None:
            raise InferenceError(f"The model gave no answer: {reading.why}.")
        return generation, reading

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._generations.run)
            nursery.start_soon(self._comparisons.run)

    def _put(self, job: _Generate) -> None:
        self._generations.put(partial(self._generate, job))

    def _stop_generating(self) -> None:
        if job := self._generating:
            job.cancelled.set()  # the thread stops at its next token

    def _generate(self, job: _Generate) -> Callable[[], None]:
        """In the lane's thread."""
        self._generating = job
        generation, reading = self._answer(job)
        self._generating = None
        return partial(job.done, generation, reading)

    def _answer(self, job: _Generate) -> tuple[Generation | None, Reading]:
        """Never fails: a model that did would end the process, and with it the whole network."""
        if job.cancelled.is_set():
            return None, no_values("cancelled")
        try:
            return structured.answer(self._engine, job.request, job.fields, job.cancelled.is_set)
        except GenerationCancelled:
            return None, no_values("cancelled")
        except PromptTooLong:
            return None, no_values("question too long for the model")
        except Exception as error:
            log.warning("the model failed: %s", error, exc_info=True)
            return None, no_values("model failed")

    def _compare_for(self, effect: CompareAnswers) -> Callable[[], None]:
        """In the lane's thread."""
        comparison = self._compare(effect.question, effect.texts)
        compared = AnswersCompared(
            effect.request_id,
            effect.attempt,
            effect.answers,
            comparison.similarity_bp,
            tuple(
                Contradiction(first, second, fit(reason, 256))
                for first, second, reason in comparison.contradictions
            ),
        )
        return partial(self._deliver, compared)

    def _compare(self, question: str, answers: Sequence[str]) -> Comparison:
        """Never fails: what can't be measured is not similar, on every node alike."""
        try:
            return self._judge.compare(question, answers)
        except InferenceError as error:  # of the model: no pair can be measured
            log.warning("the answers cannot be compared: %s", error, exc_info=True)
            return _unmeasured(answers)
        except Exception as error:
            log.warning("some answers cannot be compared: %s", error, exc_info=True)
        if len(answers) <= 2:
            return _unmeasured(answers)
        return self._compare_by_pairs(question, answers)

    def _compare_by_pairs(self, question: str, answers: Sequence[str]) -> Comparison:
        """One answer that nobody can measure, by a liar or by chance, leaves the others alone."""
        similarities, contradictions = [], []
        for i, j in combinations(range(len(answers)), 2):
            pair = answers[i], answers[j]
            try:
                found = self._judge.compare(question, pair)
            except Exception:
                log.debug("answers %d and %d cannot be compared", i, j, exc_info=True)
                found = _unmeasured(pair)
            similarities.append(found.similarity_bp[0])
            contradictions += [(i, j, reason) for _, _, reason in found.contradictions]
        return Comparison(tuple(similarities), tuple(contradictions))


def _unmeasured(answers: Sequence[str]) -> Comparison:
    """Each is the same as itself, and like nothing else."""
    return Comparison(tuple(FULL_BP if a == b else 0 for a, b in combinations(answers, 2)), ())


def _prepare(preparation: Callable[[], None]) -> Callable[[], None]:
    """Never fails: whoever compares then finds out what is missing, and says so."""
    try:
        preparation()
    except Exception as error:
        log.warning("cannot get ready to compare: %s", error, exc_info=True)
    return lambda: None


def no_values(why: str) -> Reading:
    """Of a model that did not answer."""
    return Reading((), why)


def to_answer(
    generation: Generation | None,
    note: str,
    model: str,
    values: tuple[str, ...] | None = None,
) -> Answer:
    """A generation as the protocol's answer; nothing, or nothing but reasoning, abstains. `values`
    are those found in it, None where none were asked for; without any of them it abstains too."""
    model = fit(model, NAME_BYTES_MAX)
    worded = generation is not None and generation.text.strip() != ""
    if generation is not None and not worded:
        note = "no answer within the token limit" if generation.finish == "length" else "empty"
    note = fit(note, NAME_BYTES_MAX)
    if generation is None or not worded or (values is not None and not any(values)):
        return Answer("", Finish.ABSTAINED, model, 0, 0, note)
    text = fit(generation.text, ANSWER_BYTES_MAX)
    cut = text != generation.text or generation.finish == "length"
    return Answer(
        text=text,
        finish=Finish.LENGTH if cut else Finish.STOP,
        model=model,
        output_tokens=generation.output_tokens,
        elapsed_ms=generation.elapsed_ms,
        note=note,
        values=values or (),
    )


def fit(text: str, bytes_max: int) -> str:
    """The longest beginning that fits, not splitting a character; valid Unicode."""
    return text.encode(errors="replace")[:bytes_max].decode(errors="ignore")
