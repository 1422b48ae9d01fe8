"""One node: what is started in which order, and stopped in reverse.

Disk first, because a second process on the same data must not get further; then the ports, so
that a port in use is reported before a model is loaded; then the models, which take longest; and
last the replica. A node that cannot go on raises a `QnodeError` out of `run`.
"""

import gc
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from daemon.config import Config
from daemon.consensus import Consensus, StateMachine
from daemon.datafolder import DataFolder
from daemon.errors import AlreadyRunning, Left, QnodeError, UsageError
from daemon.executor import Executor
from daemon.files import write_secret, write_whole
from daemon.genesis import Genesis, read_genesis
from daemon.http.server import HttpServer
from daemon.identity import load_key
from daemon.keyring import Ed25519Keyring
from daemon.ledger import Ledger
from daemon.modelwork import ModelWork
from daemon.peers import keep_peers, read_peers
from daemon.queries import Queries
from daemon.recordlog import RecordLog, Recovered
from daemon.requests import RequestBook
from daemon.roster import Roster
from daemon.timers import Timers
from inference.catalog import default_cache_dir
from inference.embedding import EmbedderSettings
from inference.engine import Engine, EngineSettings, load_engine
from inference.equivalence import AnswerJudge
from inference.errors import ModelUnavailable
from inference.judging import load_judge
from inference.nli import EntailmentSettings
from p2p.errors import CallerFault, DuplicateKey
from p2p.network import NetworkSettings, PeerNetwork, open_network
from pbft.context import Configuration
from pbft.events import TimerFired
from pbft.execution import Tip
from pbft.membership import Membership
from pbft.messages import Request
from pbft.records import Record, RequestAccepted
from pbft.replica import Replica
from pbft.types import ReplicaId

log = logging.getLogger("qnode")

PEERS_FILE = "peers"

DISOWNED_LOOK_S = 1.0

GARBAGE_COLLECTED_AFTER = 20_000
"""Objects made and kept; Python's own 700 are a few messages."""


@dataclass(frozen=True, slots=True)
class Models:
    """What answers and what compares answers."""

    engine: Engine
    judge: AnswerJudge


async def load_models(config: Config, genesis: Genesis, _me: ReplicaId | None) -> Models:
    """The models that the configuration and the genesis file name; `UsageError` if one of them
    can't be had."""
    began = time.monotonic()
    model = config.model
    settings = EngineSettings(
        model=None if model.name == "auto" else model.name,
        device=model.device,
        threads=model.threads or None,
        cache_dir=default_cache_dir(),
    )
    embedder_settings = EmbedderSettings(model=genesis.embedder, threads=model.threads or None)
    entailment = EntailmentSettings(genesis.entailment) if genesis.entailment else None
    try:
        engine = await _in_thread(partial(load_engine, settings, log.info))
        judge = await _in_thread(partial(load_judge, embedder_settings, log.info, entailment))
    except ModelUnavailable as error:
        raise UsageError(str(error)) from None
    log.info("models loaded in %.1f s", time.monotonic() - began)
    return Models(engine, judge)


async def _nothing(_: Queries) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Parts:
    """What an experiment may replace or add. The daemon itself never does."""

    wrap_replica: Callable[[Replica, Configuration, Ed25519Keyring], StateMachine] = (
        lambda replica, _configuration, _keyring: replica
    )
    load_models: Callable[[Config, Genesis, ReplicaId | None], Awaitable[Models]] = load_models
    beside: Callable[[Queries], Awaitable[None]] = _nothing
    """Runs in the node's nursery once the node answers questions."""


async def run(config: Config, parts: Parts | None = None, *, join: bool = False) -> None:
    """Run a node until cancelled. With `join` it need not be a member yet: it follows the ledger
    until the members let it in."""
    async with open_node(config, parts or Parts(), join=join) as serve:
        await serve()


@asynccontextmanager
async def open_node(
    config: Config, parts: Parts, *, join: bool = False
) -> AsyncIterator[Callable[[], Any]]:
    genesis = read_genesis(config.genesis)
    key = load_key(config.key)
    public_key = key.public_key().public_bytes_raw()
    async with AsyncExitStack() as stack:
        folder = DataFolder(config.data)
        stack.callback(folder.close)
        ledger = Ledger(folder.path / "ledger.sqlite")
        stack.callback(ledger.close)
        tip = ledger.tip()
        membership = tip.state.membership if tip.state else genesis.membership
        check_member(membership, public_key, config, join=join)
        record_log = RecordLog(
            folder.path / "consensus.log",
            genesis.network,
            height=ledger.height,
            may_forget=membership.n > membership.quorum,
        )
        stack.callback(record_log.close)
        _tell_what_was_recovered(record_log.recovered)
        roster = Roster(membership.members)
        for certificate in ledger.epochs():
            roster.learn(certificate.membership.members)
        roster.learn(genesis.membership.members)
        network = await stack.enter_async_context(_open_network(config, genesis, key, roster))
        node = Node(
            config, genesis, Ed25519Keyring(key), public_key, record_log, ledger, tip, roster,
            network, parts,
        )  # fmt: skip
        server = await stack.enter_async_context(
            HttpServer.open(config.http, node.queries, write_operator_token(config))
        )
        me = membership.replica_of(public_key)
        log.info(
            "%s is %s of %s; asks and answers at %s, peers at %s",
            config.name,
            "no member yet" if me is None else f"member {me} of {membership.n}",
            genesis.network_name, server.url, ", ".join(network.addresses),
        )  # fmt: skip
        write_addresses(config, server.url, network.addresses)
        yield node.serve


def check_member(membership: Membership, public_key: bytes, config: Config, *, join: bool) -> None:
    if join or membership.replica_of(public_key) is not None:
        return
    if membership.epoch:
        raise UsageError(
            f"The key {config.key} is not one of the {membership.n} members (epoch "
            f"{membership.epoch}): this node has left, or was replaced. Add --join if the members "
            "are about to let it in."
        )
    raise UsageError(
        f"The key {config.key} is not one of the {membership.n} members in {config.genesis}. Use "
        "the right key; or, if the network runs already, let a member run `qnode members propose "
        "join` with this node's member.json, and start this node with --join."
    )


def _tell_what_was_recovered(recovered: Recovered) -> None:
    if recovered.lost:
        log.warning(
            "%s. It was set aside; this node votes again when the others have begun a new epoch "
            "for it",
            recovered.lost,
        )
    if recovered.torn_bytes:
        log.warning(
            "cut %d bytes of an unfinished record off the log; nothing sent depended on it",
            recovered.torn_bytes,
        )


def write_operator_token(config: Config) -> str:
    """A secret in the data folder: who can read it may speak as this node's operator."""
    token = secrets.token_hex(32)
    write_secret(config.data / "operator.token", token + "\n")
    return token


@asynccontextmanager
async def _open_network(
    config: Config, genesis: Genesis, key: Any, roster: Roster
) -> AsyncIterator[PeerNetwork]:
    settings = NetworkSettings(
        network_id=genesis.network,
        listen=config.p2p.listen,
        announce=config.p2p.announce,
        bootstrap=(*config.p2p.bootstrap, *read_peers(config.data / PEERS_FILE)),
        mdns=config.p2p.mdns,
        duplicate_refusals_needed=genesis.membership.f + 1,
    )
    try:
        async with open_network(settings, key, roster.peers()) as network:
            yield network
    except CallerFault as error:
        raise UsageError(str(error)) from None
    except DuplicateKey as error:
        raise AlreadyRunning(str(error)) from None


def write_addresses(config: Config, url: str, peers: tuple[str, ...]) -> None:
    """Tells `qnode ask` and `qnode status` where the node is, also when the ports were chosen by
    the system."""
    write_whole(config.data / "http.url", url + "\n")
    write_whole(config.data / "p2p.addresses", "\n".join(peers) + "\n")


class Node:
    """The parts of a running node, and its tasks."""

    def __init__(
        self,
        config: Config,
        genesis: Genesis,
        keyring: Ed25519Keyring,
        public_key: bytes,
        record_log: RecordLog,
        ledger: Ledger,
        tip: Tip,
        roster: Roster,
        network: PeerNetwork,
        parts: Parts,
    ) -> None:
        self._config = config
        self._genesis = genesis
        self._public_key = public_key
        self._record_log = record_log
        self._ledger = ledger
        self._roster = roster
        self._network = network
        self._parts = parts
        configuration = Configuration(
            genesis.network, public_key, genesis.membership, genesis.policy
        )
        records = record_log.recovered.records
        self._replica = parts.wrap_replica(
            Replica(configuration, keyring, records, tip), configuration, keyring
        )
        self._consensus = Consensus(roster, network)
        self._timers = Timers(lambda timer: self._consensus.put(TimerFired(timer)))
        self._requests = RequestBook()
        self.queries = Queries(
            config=config,
            genesis=genesis,
            roster=roster,
            replica=self._replica,
            consensus=self._consensus,
            requests=self._requests,
            ledger=ledger,
            network=network,
            last_number=_last_number(records, tip.requests, self._replica.me),
        )

    async def serve(self) -> None:
        """Load the models, then take part, until cancelled."""
        loaded = await self._parts.load_models(self._config, self._genesis, self._replica.me)
        engine = loaded.engine
        spare_the_collector()
        models = ModelWork(self._public_key, engine, loaded.judge, self._consensus.put)
        executor = Executor(
            self._roster,
            self._network,
            self._record_log,
            self._ledger,
            self._timers,
            models,
            self._requests,
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._timers.run)
                nursery.start_soon(models.run)
                nursery.start_soon(self._consensus.run, self._replica, executor)
                nursery.start_soon(keep_peers, self._config.data / PEERS_FILE, self._network)
                nursery.start_soon(self._leave_if_disowned)
                self.queries.ready(engine, models, executor)
                log.info("ready: %s on %s", engine.model, engine.device)
                nursery.start_soon(self._parts.beside, self.queries)
                await executor.retired.wait()
                raise self._left(f"epoch {self._replica.state.membership.epoch}")
        except* DuplicateKey as group:
            raise AlreadyRunning(str(group.exceptions[0])) from None
        except* QnodeError as group:
            raise group.exceptions[0] from None
        finally:
            executor.close()

    async def _leave_if_disowned(self) -> None:
        """The others let go of a member that leaves as soon as they have the proof themselves. If
        it was behind or away then, it never gets it; but it can hear that nobody knows it."""
        while True:
            await trio.sleep(DISOWNED_LOOK_S)
            members = self._replica.state.membership
            if members.replica_of(self._public_key) is None:
                continue
            others = {member.public_key for member in members.members}
            witnesses = len(others & self._network.disowned_by)
            if witnesses >= members.disowning:
                raise self._left(f"{witnesses} of the others say so")

    def _left(self, how: str) -> Left:
        return Left(
            f"{self._config.name} is no member any more ({how}); what it has of the ledger is in "
            f"{self._config.data}."
        )


def spare_the_collector() -> None:
    """What is in memory by now stays: torch alone makes some hundred thousand objects, and to look
    through them again and again would stop the node for tenths of a second each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_COLLECTED_AFTER)


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


def _last_number(
    records: tuple[Record, ...], decided: tuple[Request, ...], me: ReplicaId | None
) -> int:
    """Greatest number of our own requests so far: numbers must not repeat if the clock went
    back."""
    accepted = [r.request.message for r in records if isinstance(r, RequestAccepted)]
    return max((r.number for r in (*accepted, *decided) if r.replica == me), default=0)
