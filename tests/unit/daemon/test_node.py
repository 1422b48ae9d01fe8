"""A node's parts before they run: what an earlier life left open is known from the start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from daemon import node
from daemon.config import Config
from daemon.consensus import PEER_EVENTS_PER_TURN_MAX, Consensus
from daemon.node import _last_number, load_models
from daemon.requests import RequestBook
from daemon.roster import Roster
from inference.embedding import EmbedderSettings
from p2p.inbox import Inbox
from pbft import digest, effects, events
from pbft.codec import encode
from pbft.effects import Stage
from pbft.records import RequestAccepted
from pbft.types import BATCH_ITEMS_MAX, MESSAGE_BYTES_MAX, ReplicaId
from tests.support.cluster import Cluster
from tests.support.forge import D1, commit, request, sign
from tests.support.founding import founded
from tests.support.keyring import membership
from tests.support.solo import Solo


def test_the_last_number_is_the_nodes_own() -> None:
    """Of its own requests, wherever they stand in the log or in the ledger."""
    records = tuple(
        RequestAccepted(sign(request(replica=replica, number=number)), 0)
        for replica, number in ((0, 7), (1, 99), (0, 3))
    )
    decided = (request(replica=1, number=5), request(replica=2, number=8))
    assert _last_number(records, (), ReplicaId(0)) == 7
    assert _last_number(records, decided, ReplicaId(1)) == 99
    assert _last_number(records, decided, ReplicaId(2)) == 8
    assert _last_number(records, decided, ReplicaId(3)) == 0


def test_a_request_of_an_earlier_life_is_known_at_once() -> None:
    """Who was told 202 and asks again after a restart hears "deciding", not 404: the first step
    says of every open request that it is accepted."""
    asked = request(replica=1)
    first = Solo(1)
    first.step(events.Submitted(asked))
    second = Solo(1, records=first.log)
    book = RequestBook()
    for effect in second.step(events.Started()):
        if isinstance(effect, effects.Progress):
            book.on_progress(effect)
    state = book.get(digest.request_id(asked))
    assert state is not None
    assert state.stage is Stage.ACCEPTED


def test_whatever_is_sent_fits_into_a_frame() -> None:
    """A full batch of the longest answers: a proposal that no connection carries would end the
    primary, and again after each restart, because it is in its log."""
    cluster = Cluster(4, ["Paris" + "x" * 16_000] * 4)
    sizes: list[int] = []

    def watch(_: ReplicaId, effect: effects.Effect) -> None:
        if isinstance(effect, effects.Broadcast | effects.Send):
            sizes.append(len(encode(effect.message)))

    cluster.watch = watch
    cluster.drop = lambda _source, target, message: _is_prepare(message)
    for number in range(BATCH_ITEMS_MAX + 40):
        cluster.ask(node=number % 4, prompt=f"Question {number}?")
    cluster.run()
    cluster.drop = lambda _source, _target, message: len(encode(message)) > MESSAGE_BYTES_MAX  # type: ignore[arg-type]
    for target in range(4):
        for source in range(4):
            if source != target:
                cluster.put(target, events.PeerUp(ReplicaId(source)))
    cluster.run()
    assert max(sizes) <= MESSAGE_BYTES_MAX


def _is_prepare(message: object) -> bool:
    return type(getattr(message, "message", None)).__name__ == "Prepare"


def test_events_of_the_node_itself_pass_a_flood_of_the_peers() -> None:
    """Timers and answers are stepped first, and what one turn takes from peers is bounded: the rest
    stays in the peers' own queues."""
    stepped: list[events.Event] = []
    turns: list[int] = []
    key = membership(4).members[1].public_key
    frame = encode(commit(1, D1))
    timer = events.TimerFired(events.CatchUp())
    frames = 5 * PEER_EVENTS_PER_TURN_MAX
    all_stepped = trio.Event()

    class Replica:
        view = applied = primary = me = 0

        def step(self, event: events.Event) -> list[effects.Effect]:
            stepped.append(event)
            return []

    class Network:
        def __init__(self, inbox: Inbox) -> None:
            self._inbox = inbox
            self.receive_now = inbox.take
            self.on_arrival = inbox.on_arrival

        @property
        def has_received(self) -> bool:
            return bool(self._inbox)

    class Executor:
        async def perform(self, _turn: Any) -> None:
            turns.append(len(stepped))
            consensus.put(timer)
            if sum(isinstance(event, events.Received) for event in stepped) == frames:
                all_stepped.set()
            await trio.lowlevel.checkpoint()

        async def write_ledger(self) -> None:
            raise AssertionError("there was always more to do")

    inbox = Inbox(10_000_000)
    for _ in range(frames):
        assert inbox.put_frame(key, frame)
    consensus = Consensus(Roster(membership(4).members), Network(inbox))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consensus.run, Replica(), Executor())
            with trio.fail_after(30):
                await all_stepped.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)
    begins = [0, *turns]
    for begin, end in zip(begins, turns, strict=False):
        kinds = [isinstance(event, events.Received) for event in stepped[begin:end]]
        assert kinds == sorted(kinds), "an event of a peer came before one of our own"
        assert sum(kinds) <= PEER_EVENTS_PER_TURN_MAX
        assert not begin or stepped[begin] == timer


@pytest.mark.parametrize("name", ["", "owner/judge"])
def test_the_models_are_the_ones_that_the_genesis_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """The embedder, and the model that judges entailment if there is one."""
    asked: list[tuple[str, str]] = []

    def load_judge(embedder: EmbedderSettings, _tell: object, entailment: Any) -> str:
        asked.append((embedder.model, entailment.model if entailment else ""))
        return "judge"

    monkeypatch.setattr(node, "load_engine", lambda _settings, _tell: "engine")
    monkeypatch.setattr(node, "load_judge", load_judge)
    genesis = replace(founded(4), embedder="owner/embedder", entailment=name)
    models = trio.run(
        load_models, Config("node-1", *(tmp_path / part for part in "kgd")), genesis, None
    )
    assert asked == [("owner/embedder", name)]
    assert (models.engine, models.judge) == ("engine", "judge")  # type: ignore[comparison-overlap]
