"""Answering and comparing in worker threads: an answer or an abstention always comes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio

from daemon.modelwork import ModelWork, fit, to_answer
from inference.engine import GenerationRequest
from inference.equivalence import Comparison
from inference.errors import GenerationFailed, InferenceError, ModelUnavailable
from pbft import digest, effects
from pbft.events import AnswerReady, AnswersCompared, Event
from pbft.fields import values_fault
from pbft.messages import Answer, Finish, Request
from pbft.outcome import Contradiction
from pbft.types import ANSWER_BYTES_MAX, NAME_BYTES_MAX, RequestId
from tests.support.forge import D1, request
from tests.support.stubs import WAIT_S, SlowEngine, StubEngine, StubJudge, generation
from tests.support.typed import ASK_LABEL, ASK_NUMBER, ASK_SCHEMA

Script = Callable[[ModelWork, "Delivered"], Awaitable[None]]


class Delivered:
    """Events that came back, and a way to wait for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = trio.Event()

    def put(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()

    async def wait_for(self, count: int) -> None:
        with trio.fail_after(WAIT_S):
            while len(self.events) < count:
                await self._changed.wait()


def working(
    script: Script, engine: StubEngine, judge: StubJudge | None = None, me: int = 0
) -> list[Event]:
    """Runs the script beside a node's model work."""
    delivered: list[Event] = []

    async def main() -> None:
        events = Delivered()
        models = ModelWork(bytes([me]) * 32, engine, judge or StubJudge(), events.put)  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(models.run)
            await script(models, events)
            nursery.cancel_scope.cancel()
        delivered.extend(events.events)

    trio.run(main)
    return delivered


def run_inference(asked: Request | None = None, attempt: int = 0) -> effects.RunInference:
    asked = asked or request()
    return effects.RunInference(digest.request_id(asked), attempt, asked, temperature_milli=300)


def answered(engine: StubEngine, effect: effects.RunInference, me: int = 0) -> AnswerReady:
    async def script(models: ModelWork, events: Delivered) -> None:
        models.infer(effect)
        await events.wait_for(1)

    (event,) = working(script, engine, me=me)
    assert isinstance(event, AnswerReady)
    assert (event.request_id, event.attempt) == (effect.request_id, effect.attempt)
    assert len(event.salt) == 32
    return event


def test_an_answer_comes_with_all_that_is_known_of_it() -> None:
    """Text, model, tokens and time are the engine's."""
    event = answered(StubEngine(), run_inference())
    assert event.answer.text == "Paris"
    assert event.answer.finish is Finish.STOP
    assert (event.answer.model, event.answer.output_tokens, event.answer.elapsed_ms) == (
        "stub",
        2,
        30,
    )


def test_the_model_is_asked_what_the_user_asked() -> None:
    """Question, language, length and temperature come from the request and the policy."""
    engine = StubEngine()
    answered(engine, run_inference(request(language="zh-TW", max_tokens=9, prompt="你好？")))
    answered(engine, run_inference(request(language="")))
    first, second = engine.requests
    assert (first.question, first.language, first.max_tokens) == ("你好？", "zh-TW", 9)
    assert first.temperature_milli == 300
    assert second.language is None


@pytest.mark.parametrize(
    "error",
    [
        GenerationFailed("out of memory"),
        ModelUnavailable("gone"),
        InferenceError("x" * 1_000),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        ValueError("a template of the model raised"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_model_that_fails_abstains_and_goes_on(error: Exception) -> None:
    """Whatever the engine raises: every member gets the same question, and one that ends the
    process would end the whole network, again after each restart."""

    def answer(asked: GenerationRequest) -> object:
        if asked.question == "poison":
            raise error
        return generation()

    engine = StubEngine(answer)  # type: ignore[arg-type]

    async def script(models: ModelWork, events: Delivered) -> None:
        models.infer(run_inference(request(prompt="poison")))
        models.infer(run_inference(request(prompt="Capital of France?")))
        await events.wait_for(2)

    first, second = working(script, engine)
    assert isinstance(first, AnswerReady)
    assert isinstance(second, AnswerReady)
    assert (first.answer.finish, first.answer.text) == (Finish.ABSTAINED, "")
    assert first.answer.note == "model failed"
    assert second.answer.text == "Paris"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("gold is gold is gold is gold is gold is", "repetitive"),
        ("\ufffd\ufffd\ufffd", "empty"),
        ("%%% --- ### !!! a", "unreadable"),
        ("What is the capital of France?", "echo"),
    ],
)
def test_an_abnormal_text_is_an_abstention(text: str, note: str) -> None:
    """What is no answer gets no vote, and the reason is known to all."""
    asked = request(prompt="What is the capital of France?")
    event = answered(StubEngine(lambda _request: generation(text)), run_inference(asked))
    assert (event.answer.finish, event.answer.text) == (Finish.ABSTAINED, "")
    assert event.answer.note == note


def test_salts_are_never_the_same() -> None:
    """A salt that repeats would let others guess an answer from its commitment."""
    salts = {answered(StubEngine(), run_inference()).salt for _ in range(5)}
    assert len(salts) == 5


def test_the_seed_is_the_replicas_own_and_repeatable() -> None:
    """Equal models should not echo each other, and one replica answers an attempt one way."""
    seeds = {}
    for me in range(4):
        for attempt in range(2):
            engine = StubEngine()
            answered(engine, run_inference(attempt=attempt), me=me)
            answered(engine, run_inference(attempt=attempt), me=me)
            first, second = engine.requests
            assert first.seed == second.seed
            seeds[me, attempt] = first.seed
    assert len(set(seeds.values())) == len(seeds)
    other = StubEngine()
    answered(other, run_inference(request(number=2)))
    assert other.requests[0].seed not in seeds.values()


def test_the_deadline_stops_the_model() -> None:
    """The core cancels, and the thread ends at its next token."""
    engine = SlowEngine()
    effect = run_inference()

    async def script(models: ModelWork, events: Delivered) -> None:
        models.infer(effect)
        await trio.to_thread.run_sync(engine.began.wait, WAIT_S)
        models.stop_inference(effect.request_id, effect.attempt)
        assert await trio.to_thread.run_sync(engine.stopped.wait, WAIT_S)
        await events.wait_for(1)

    (event,) = working(script, engine)
    assert isinstance(event, AnswerReady)
    assert event.answer.finish is Finish.ABSTAINED


def test_a_question_that_waits_can_be_called_off() -> None:
    """One whose turn has not come never reaches the model, and the next one does."""
    engine = SlowEngine()
    first, second, third = (run_inference(request(number=number)) for number in (1, 2, 3))

    async def script(models: ModelWork, events: Delivered) -> None:
        for effect in (first, second, third):
            models.infer(effect)
        await trio.to_thread.run_sync(engine.began.wait, WAIT_S)
        models.stop_inference(second.request_id, 0)
        models.stop_inference(second.request_id, 0)  # twice is once
        engine.go.set()
        await events.wait_for(3)

    ready = [event for event in working(script, engine) if isinstance(event, AnswerReady)]
    assert [event.request_id for event in ready] == [
        effect.request_id for effect in (first, second, third)
    ]
    assert [event.answer.finish for event in ready] == [
        Finish.STOP,
        Finish.ABSTAINED,
        Finish.STOP,
    ]
    assert len(engine.requests) == 2


def test_leaving_does_not_wait_for_the_model() -> None:
    """On shutdown the thread is let go and told to stop."""
    engine = SlowEngine()

    async def script(models: ModelWork, _: Delivered) -> None:
        models.infer(run_inference())
        await trio.to_thread.run_sync(engine.began.wait, WAIT_S)

    assert working(script, engine) == []
    assert engine.stopped.wait(WAIT_S)


def test_a_comparison_passes_a_long_answer() -> None:
    """Judging has a lane of its own."""
    engine, judge = SlowEngine(), StubJudge(contradictions=((0, 1, "number: 1 / 2"),))
    asked = request()
    compare = effects.CompareAnswers(digest.request_id(asked), 0, D1, "q?", ("a", "b"))

    async def script(models: ModelWork, events: Delivered) -> None:
        models.infer(run_inference())
        await trio.to_thread.run_sync(engine.began.wait, WAIT_S)
        models.compare(compare)
        await events.wait_for(1)

    (event,) = working(script, engine, judge)
    assert event == AnswersCompared(
        compare.request_id,
        0,
        D1,
        (9_900,),
        (Contradiction(0, 1, "number: 1 / 2"),),
    )
    assert judge.asked == [("q?", ("a", "b"))]


def test_a_reason_of_the_judge_fits_the_protocol() -> None:
    """A long detail is cut between characters."""
    judge = StubJudge(contradictions=((0, 1, "臺" * 200),))

    async def script(models: ModelWork, events: Delivered) -> None:
        models.compare(effects.CompareAnswers(RequestId(bytes(32)), 0, D1, "q?", ("a", "b")))
        await events.wait_for(1)

    (event,) = working(script, StubEngine(), judge)
    assert isinstance(event, AnswersCompared)
    assert event.contradictions[0].reason == "臺" * 85


class _PickyJudge(StubJudge):
    """Cannot read one of the texts, or has no model at all."""

    def __init__(self, unreadable: str, error: Exception) -> None:
        super().__init__()
        self._unreadable, self._error = unreadable, error

    def compare(self, question: str, answers: Sequence[str]) -> Comparison:
        found = super().compare(question, answers)
        if self._unreadable in answers:
            raise self._error
        return found if "not" not in answers else replace(found, contradictions=((0, 1, "x: y"),))


def _compared(judge: StubJudge, *texts: str) -> AnswersCompared:
    async def script(models: ModelWork, events: Delivered) -> None:
        models.compare(effects.CompareAnswers(RequestId(bytes(32)), 0, D1, "q?", texts))
        await events.wait_for(1)

    (event,) = working(script, StubEngine(), judge)
    assert isinstance(event, AnswersCompared)
    return event


def test_an_answer_that_cannot_be_compared_leaves_the_others_alone() -> None:
    """Or a liar with a text that breaks the judge would keep honest answers from agreeing."""
    found = _compared(_PickyJudge("odd", RuntimeError("no")), "a", "odd", "b", "not", "odd")
    # a/odd a/b a/not a/odd, odd/b odd/not odd/odd, b/not b/odd, not/odd
    assert found.similarities_bp == (0, 9_900, 9_900, 0, 0, 0, 10_000, 9_900, 0, 0)
    assert found.contradictions == (Contradiction(0, 3, "x: y"), Contradiction(2, 3, "x: y"))


def test_without_a_model_nothing_is_tried_again() -> None:
    """Each pair would wait for the same model in vain."""
    judge = _PickyJudge("a", ModelUnavailable("none"))
    assert _compared(judge, "a", "b", "c", "b").similarities_bp == (0, 0, 0, 0, 10_000, 0)
    assert len(judge.asked) == 1


def ask(text: str = "Hello?") -> GenerationRequest:
    return GenerationRequest(text, None, 16, 300, 1)


def test_a_question_outside_consensus_is_answered() -> None:
    """And leaves no event for the core."""

    async def script(models: ModelWork, _: Delivered) -> None:
        with trio.fail_after(WAIT_S):
            said, _ = await models.ask(ask())
            assert said.text == "Paris"

    assert working(script, StubEngine()) == []


def test_a_failure_outside_consensus_is_the_askers_to_handle() -> None:
    """It is raised to who asked, and the queue goes on."""
    seen: list[str] = []

    def answer(_: GenerationRequest) -> object:
        raise GenerationFailed("out of memory")

    async def script(models: ModelWork, _: Delivered) -> None:
        for _ in range(2):
            try:
                await models.ask(ask())
            except InferenceError as error:
                seen.append(str(error))

    working(script, StubEngine(answer))  # type: ignore[arg-type]
    assert seen == ["The model gave no answer: model failed."] * 2


def test_an_asker_that_goes_away_stops_the_model() -> None:
    """Its answer would be work for nobody, and others wait."""
    engine = SlowEngine()

    async def script(models: ModelWork, _: Delivered) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(models.ask, ask())
            await trio.to_thread.run_sync(engine.began.wait, WAIT_S)
            nursery.cancel_scope.cancel()
        assert await trio.to_thread.run_sync(engine.stopped.wait, WAIT_S)

    working(script, engine)


@pytest.mark.parametrize(
    ("text", "finish", "note"),
    [("", "stop", "empty"), (" \n", "stop", "empty"), ("", "length", "no answer within the token")],
)
def test_no_text_is_an_abstention(text: str, finish: str, note: str) -> None:
    """Reasoning alone is no answer; the note says why there is none."""
    answer = to_answer(generation(text, finish), "", "m")
    assert (answer.finish, answer.text) == (Finish.ABSTAINED, "")
    assert answer.note.startswith(note)


def test_a_long_answer_is_cut_and_says_so() -> None:
    """It fits the protocol, ends between characters, and counts as cut."""
    answer = to_answer(generation("臺灣" * ANSWER_BYTES_MAX), "", "m" * 500)
    assert len(answer.text.encode()) == ANSWER_BYTES_MAX - ANSWER_BYTES_MAX % 3
    assert answer.finish is Finish.LENGTH
    assert len(answer.model) == NAME_BYTES_MAX


def test_text_that_is_no_unicode_still_fits_the_protocol() -> None:
    """A tokenizer may emit half a pair; what is committed to can be encoded."""
    answer = to_answer(replace(generation(), text="a\ud800b"), "", "m\udfff")
    assert answer.text.encode() == b"a?b"
    assert answer.model.encode() == b"m?"


@pytest.mark.parametrize(
    ("text", "bytes_max"), [("", 0), ("a", 0), ("臺灣", 5), ("𝟘", 3), ("é", 1)]
)
def test_fit_never_splits_a_character(text: str, bytes_max: int) -> None:
    """The longest beginning of whole characters."""
    kept = fit(text, bytes_max)
    assert text.startswith(kept)
    assert len(kept.encode()) <= bytes_max
    if kept != text:
        assert len(text[: len(kept) + 1].encode()) > bytes_max


# --- values ------------------------------------------------------------------------------------


class ChoosingEngine(StubEngine):
    """Finds the last of all choices the likeliest."""

    def log_likelihoods(
        self,
        request: GenerationRequest,
        said: str,
        choices: Sequence[str],
        cancelled: Callable[[], bool],
    ) -> tuple[float, ...]:
        assert said.startswith("Hard to say")
        return tuple(float(place) for place in range(len(choices)))


def typed_answer(text: str, engine: type[StubEngine] = StubEngine, **asked: Any) -> Answer:
    made = engine(lambda _request: generation(text))
    event = answered(made, run_inference(request(**asked)))
    assert made.requests[0].instruction != ""
    assert values_fault(request(**asked), event.answer) is None
    return event.answer


def test_values_come_with_the_words() -> None:
    """The model is told the form; its words stay the answer's text, the value stands beside."""
    said = typed_answer("Up, because demand rises.", **ASK_LABEL)
    assert (said.text, said.values, said.finish) == (
        "Up, because demand rises.",
        ("up",),
        Finish.STOP,
    )
    assert typed_answer("It costs $3.50.", **ASK_NUMBER).values == ("3.5",)


def test_a_text_without_a_value_is_an_abstention() -> None:
    """It says why, and what was asked for is not guessed."""
    said = typed_answer("Nobody knows.", **ASK_NUMBER)
    assert (said.finish, said.text, said.values, said.note) == (
        Finish.ABSTAINED,
        "",
        (),
        "no number",
    )
    assert typed_answer("Hard to say.", **ASK_LABEL).note == "no label named"


def test_a_model_that_names_no_label_is_made_to_choose() -> None:
    """The likeliest label after its own words stands for it, and the note says so."""
    said = typed_answer("Hard to say.", ChoosingEngine, **ASK_LABEL)
    assert (said.text, said.values) == ("Hard to say.", ("flat",))
    assert said.note == "label chosen by likelihood"


def test_some_fields_are_better_than_none() -> None:
    """A schema with one field missing is an answer, with a note about that field."""
    said = typed_answer('{"direction": "down", "price": 5}', **ASK_SCHEMA)
    assert (said.values, said.note) == (("down", "5", ""), "city: not given")


def test_a_question_for_text_gets_no_instruction() -> None:
    """And its answer no values."""
    engine = StubEngine()
    event = answered(engine, run_inference())
    assert engine.requests[0].instruction == ""
    assert event.answer.values == ()
