"""What the HTTP port can ask of the node: what is accepted is kept, what is not is said."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from daemon.config import Config
from daemon.executor import Observations
from daemon.queries import Queries, Query
from daemon.queryerror import QueryError
from daemon.requests import RequestBook
from daemon.roster import Roster
from pbft import digest, effects
from pbft.effects import Stage
from pbft.events import Event, Submitted
from pbft.messages import DecidedSlot, EndorsedChange, EpochCertificate, Kind
from pbft.state import State, first_state
from pbft.types import ReplicaId, RequestId
from tests.support.founding import decide, founded
from tests.support.keyring import public_key
from tests.support.typed import ASK_SCHEMA, label_field

GENESIS = founded(4)


@dataclass
class Peer:
    name: str
    public_key: bytes
    connected: bool = True
    address: str = ""
    rtt_ms: float = float("nan")
    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass
class World:
    """Everything around `Queries`; `submitted` is what reached the core."""

    submitted: list[Event] = field(default_factory=list)
    arrived: trio.Event = field(default_factory=trio.Event)
    book: RequestBook = field(default_factory=RequestBook)
    slots: dict[RequestId, tuple[DecidedSlot, int]] = field(default_factory=dict)
    connected: int = 3
    view: int = 0
    applied: int = 5
    primary: int = 0
    addresses: tuple[str, ...] = ()
    refusals: dict[str, int] = field(default_factory=dict)

    def put(self, event: Event) -> None:
        self.submitted.append(event)
        self.arrived.set()

    me: int = 0
    takes_part: bool = True
    state: State = field(default_factory=lambda: first_state(GENESIS.membership, GENESIS.policy))
    changes: tuple[EndorsedChange, ...] = ()

    def attempts(self, request_id: RequestId) -> tuple[list[tuple[DecidedSlot, int]], bool]:
        found = self.slots.get(request_id)
        return ([found], True) if found else ([], False)

    def epochs(self, after: int = 0) -> list[EpochCertificate]:
        return []

    def timeline(self, _: RequestId) -> str | None:
        return None

    def peers(self) -> list[Peer]:
        return [Peer(f"node-00{i}", public_key(i), i <= self.connected) for i in range(1, 4)]


def queries(world: World, last_number: int = 0, *, ready: bool = True) -> Queries:
    place = Path("/nowhere")
    parts: dict[str, Any] = dict.fromkeys(("replica", "consensus", "ledger", "network"), world)
    made = Queries(
        config=Config("node-000", place, place, place),
        genesis=GENESIS,
        roster=Roster(GENESIS.membership.members),
        requests=world.book,
        last_number=last_number,
        **parts,
    )
    if ready:
        engine: Any = type("Engine", (), {"model": "stub", "device": "cpu"})()
        executor: Any = type("Executor", (), {"seen": Observations(Counter(), [])})()
        made.ready(engine, engine, executor)
    return made


def run(script: Callable[[], Awaitable[Any]]) -> Any:
    """On a clock that jumps when everybody waits."""
    return trio.run(script, clock=trio.testing.MockClock(autojump_threshold=0))


def refusal(made: Queries, query: Query | None = None) -> QueryError:
    async def script() -> QueryError:
        with pytest.raises(QueryError) as caught:
            await made.begin(query or Query("Capital of France?"))
        return caught.value

    error: QueryError = run(script)
    assert str(error).endswith(".")
    return error


def test_nothing_is_accepted_before_it_is_on_disk() -> None:
    """`begin` returns when the request is in the log (its first progress), not before: a 202 that
    a crash can undo promises what the node does not hold."""
    world = World()
    made = queries(world)
    order: list[str] = []

    async def script() -> None:
        async def core() -> None:
            await world.arrived.wait()
            await trio.sleep(5)  # the disk takes its time
            (event,) = world.submitted
            assert isinstance(event, Submitted)
            order.append("on disk")
            request_id = digest.request_id(event.request)
            world.book.on_progress(effects.Progress(request_id, Stage.ACCEPTED, ReplicaId(0)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(core)
            accepted = await made.begin(Query("Capital of France?"))
            order.append(accepted["status"])

    run(script)
    assert order == ["on disk", "accepted"]


def test_what_the_core_rejects_is_not_accepted() -> None:
    """Too many open questions: 429 at once, not a 202 that turns out to be nothing."""
    world = World()
    made = queries(world)

    async def script() -> QueryError:
        async def core() -> None:
            await world.arrived.wait()
            (event,) = world.submitted
            assert isinstance(event, Submitted)
            world.book.on_rejected(digest.request_id(event.request), "Too many questions.")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(core)
            try:
                await made.begin(Query("Capital of France?"))
            except QueryError as error:
                return error
        raise AssertionError("accepted")

    error: QueryError = run(script)
    assert (error.status, str(error)) == (429, "Too many questions.")


def test_no_question_before_the_model_is_loaded() -> None:
    """503, and nothing reaches the core."""
    world = World()
    assert refusal(queries(world, ready=False)).code == "loading"
    assert world.submitted == []


def test_no_question_without_a_quorum() -> None:
    """503 with the numbers; exactly a quorum is enough."""
    world = World(connected=1)
    error = refusal(queries(world))
    assert (error.status, error.code) == (503, "no_quorum")
    assert "2 of 4 members are reachable and 3 are needed" in str(error)
    assert world.submitted == []
    world.connected = 2
    submit(queries(world), world)
    assert len(world.submitted) == 1


def submit(made: Queries, world: World, query: Query | None = None) -> Any:
    """The request as it went to the core."""

    async def script() -> None:
        with trio.move_on_after(1):
            await made.begin(query or Query("Capital of France?"))

    run(script)
    event = world.submitted[-1]
    assert isinstance(event, Submitted)
    return event.request


def test_numbers_only_grow() -> None:
    """Also when the clock went back, and over restarts: a number that repeats is refused by all."""
    world = World()
    far = 2**62
    made = queries(world, last_number=far)
    numbers = [submit(made, world).number for _ in range(3)]
    assert numbers == [far + 1, far + 2, far + 3]


def test_limits_of_the_network_bound_the_users() -> None:
    """Tokens and time are cut to the policy's, not refused."""
    world = World()
    policy = GENESIS.policy
    request = submit(queries(world), world, Query("q", max_tokens=32_768, timeout_s=600.0))
    assert (request.max_tokens, request.timeout_ms) == (
        policy.tokens_max,
        policy.inference_timeout_ms,
    )
    request = submit(queries(world), world, Query("q", max_tokens=1, timeout_s=0.1))
    assert (request.max_tokens, request.timeout_ms) == (1, 100)


def test_asking_ends_with_the_decision_or_with_patience() -> None:
    """504 with the id under which it goes on."""
    world = World()
    made = queries(world)

    async def script() -> tuple[QueryError, float]:
        began = trio.current_time()
        with pytest.raises(QueryError) as caught:
            await made.ask(Query("Capital of France?", timeout_s=1.0))
        return caught.value, trio.current_time() - began

    error, waited_s = run(script)
    assert (error.status, error.code) == (504, "still_deciding")
    assert error.details["request_id"] in str(error)
    assert 10 < waited_s < 30


def test_an_answer_wakes_who_waits() -> None:
    """With the whole record."""
    world = World()
    made = queries(world)
    slot = decide(GENESIS)

    async def script() -> Any:
        async def core() -> None:
            await world.arrived.wait()
            (event,) = world.submitted
            assert isinstance(event, Submitted)
            request_id = digest.request_id(event.request)
            world.book.on_progress(effects.Progress(request_id, Stage.ACCEPTED, ReplicaId(0)))
            await trio.sleep(1)
            world.book.on_reply(effects.Reply(request_id, slot, 0, final=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(core)
            return await made.ask(Query("Capital of France?"))

    record = run(script)
    assert (record["mode"], record["answer"]) == ("consensus", "Paris")


def test_a_decision_of_an_earlier_life_is_found() -> None:
    """From the ledger alone, with its certificate."""
    world = World()
    slot = decide(GENESIS)
    request_id = digest.request_id(slot.batch[0].request.message)
    world.slots[request_id] = (slot, 0)
    made = queries(world, ready=False)
    record = made.consensus_record(request_id)
    assert (record["answer"], record["timeline"], record["elapsed_s"]) == ("Paris", [], None)
    assert made.certificate_text(request_id).startswith("{")


def test_an_unknown_request_is_404() -> None:
    """In both places."""
    made = queries(World())
    for look_up in (made.consensus_record, made.certificate_text):
        with pytest.raises(QueryError) as caught:
            look_up(RequestId(bytes(32)))
        assert caught.value.status == 404


def test_a_request_that_is_not_decided_has_no_certificate_yet() -> None:
    """Its record says how far it is."""
    world = World()
    request_id = RequestId(b"\x01" * 32)
    world.book.on_progress(effects.Progress(request_id, Stage.ACCEPTED, ReplicaId(2)))
    world.book.on_progress(effects.Progress(request_id, Stage.COMMITTED, ReplicaId(1)))
    made = queries(world)
    record = made.consensus_record(request_id)
    assert (record["status"], record["stage"]) == ("deciding", "committed")
    assert record["timeline"][0]["by"] == "node-002"
    with pytest.raises(QueryError) as caught:
        made.certificate_text(request_id)
    assert caught.value.status == 404


def test_a_status_is_whole_at_any_time() -> None:
    """While the model is loaded, too."""
    for ready in (False, True):
        status = queries(World(connected=1), ready=ready).status()
        assert status["state"] == ("ready" if ready else "loading")
        assert (status["reachable"], status["can_agree"]) == (2, False)
        assert (status["decided"], status["primary"]) == (5, "node-000")
        assert status["peers"][0]["rtt_ms"] is None
        assert queries(World(), ready=ready).models()["state"] == status["state"]


def test_fields_go_to_the_core_as_they_are() -> None:
    """Kind and fields of the query are those of the request."""
    world = World()
    request = submit(queries(world), world, Query("Which way?", **ASK_SCHEMA))
    assert {"kind": request.kind, "fields": request.fields} == ASK_SCHEMA


def test_fields_that_make_no_sense_are_the_users_to_mend() -> None:
    """400 with the core's sentence, before anything is logged."""
    twice = {"kind": Kind.LABEL, "fields": (label_field(labels=("up", "UP")),)}
    error = refusal(queries(World()), Query("Which way?", **twice))  # type: ignore[arg-type]
    assert (error.status, error.code) == (400, "bad_question")
    assert "the same but for case" in str(error)
