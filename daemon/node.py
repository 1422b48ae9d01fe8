"""One node: what is started in which order, and stopped in reverse.

Disk first, because a second process on the same data must not get further; then the ports, so
that a port in use is reported before a model is loaded; then the models, which take longest; and
last the replica. A node that cannot go on raises a `QnodeError` out of `run`.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio

from daemon.config import Config
from daemon.consensus import Consensus, StateMachine
from daemon.errors import AlreadyRunning, QnodeError, UsageError
from daemon.executor import Executor
from daemon.files import write_whole
from daemon.genesis import Genesis, read_genesis
from daemon.http.server import HttpServer
from daemon.identity import load_key
from daemon.keyring import Ed25519Keyring
from daemon.modelwork import ModelWork
from daemon.peers import keep_peers, read_peers
from daemon.queries import Queries
from daemon.requests import RequestBook
from daemon.storage import DataFolder, Ledger, RecordLog
from daemon.timers import Timers
from inference.catalog import default_cache_dir
from inference.embedding import EmbedderSettings
from inference.engine import Engine, EngineSettings, load_engine
from inference.equivalence import Judge
from inference.errors import ModelUnavailable
from inference.judging import load_judge
from p2p.errors import CallerFault, DuplicateKey
from p2p.network import Member, NetworkSettings, PeerNetwork, open_network
from pbft.context import Configuration
from pbft.events import TimerFired
from pbft.messages import Request
from pbft.records import Record, RequestAccepted
from pbft.replica import Replica
from pbft.types import ReplicaId

log = logging.getLogger("qnode")

PEERS_FILE = "peers"


@dataclass(frozen=True, slots=True)
class Parts:
    """What an experiment may replace. The daemon itself never does."""

    wrap_replica: Callable[[Replica, Configuration, Ed25519Keyring], StateMachine] = (
        lambda replica, _configuration, _keyring: replica
    )


async def run(config: Config, parts: Parts | None = None) -> None:
    """Run a node until cancelled."""
    async with open_node(config, parts or Parts()) as serve:
        await serve()


@asynccontextmanager
async def open_node(config: Config, parts: Parts) -> AsyncIterator[Callable[[], Any]]:
    genesis = read_genesis(config.genesis)
    key = load_key(config.key)
    me = find_member(genesis, key.public_key().public_bytes_raw(), config)
    async with AsyncExitStack() as stack:
        folder = DataFolder(config.data)
        stack.callback(folder.close)
        record_log = RecordLog(folder.path / "consensus.log", genesis.network)
        stack.callback(record_log.close)
        ledger = Ledger(folder.path / "ledger.sqlite")
        stack.callback(ledger.close)
        if record_log.recovered.torn_bytes:
            log.warning(
                "cut %d bytes of an unfinished record off the log; nothing sent depended on it",
                record_log.recovered.torn_bytes,
            )
        keyring = Ed25519Keyring(key)
        network = await stack.enter_async_context(_open_network(config, genesis, key))
        node = Node(config, genesis, me, keyring, record_log, ledger, network, parts)
        server = await stack.enter_async_context(HttpServer.open(config.http, node.queries))
        log.info(
            "%s is member %d of %d of %s; asks and answers at %s, peers at %s",
            config.name, me, genesis.membership.n, genesis.network_name, server.url,
            ", ".join(network.addresses),
        )  # fmt: skip
        write_addresses(config, server.url, network.addresses)
        yield node.serve


def find_member(genesis: Genesis, public_key: bytes, config: Config) -> ReplicaId:
    for replica, member in enumerate(genesis.members):
        if member.public_key == public_key:
            return ReplicaId(replica)
    raise UsageError(
        f"The key {config.key} is not one of the {len(genesis.members)} members in "
        f"{config.genesis}; add this node's member.json and make the genesis file again, or use "
        "the right key."
    )


@asynccontextmanager
async def _open_network(config: Config, genesis: Genesis, key: Any) -> AsyncIterator[PeerNetwork]:
    settings = NetworkSettings(
        network_id=genesis.network,
        listen=config.p2p.listen,
        announce=config.p2p.announce,
        bootstrap=(*config.p2p.bootstrap, *read_peers(config.data / PEERS_FILE)),
        mdns=config.p2p.mdns,
        duplicate_refusals_needed=genesis.membership.f + 1,
    )
    members = [Member(m.public_key, m.name, m.addresses) for m in genesis.members]
    try:
        async with open_network(settings, key, members) as network:
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
        me: ReplicaId,
        keyring: Ed25519Keyring,
        record_log: RecordLog,
        ledger: Ledger,
        network: PeerNetwork,
        parts: Parts,
    ) -> None:
        self._config = config
        self._genesis = genesis
        self._me = me
        self._record_log = record_log
        self._ledger = ledger
        self._network = network
        configuration = Configuration(genesis.network, me, genesis.membership, genesis.policy)
        records = record_log.recovered.records
        tip = ledger.tip()
        self._replica = parts.wrap_replica(
            Replica(configuration, keyring, records, tip), configuration, keyring
        )
        replicas = {m.public_key: ReplicaId(i) for i, m in enumerate(genesis.members)}
        self._consensus = Consensus(replicas)
        self._timers = Timers(lambda timer: self._consensus.put(TimerFired(timer)))
        self._requests = RequestBook()
        self.queries = Queries(
            config=config,
            genesis=genesis,
            me=me,
            replica=self._replica,
            consensus=self._consensus,
            requests=self._requests,
            ledger=ledger,
            network=network,
            last_number=_last_number(records, tip.requests, me),
        )

    async def serve(self) -> None:
        """Load the models, then take part, until cancelled."""
        engine, judge = await self._load_models()
        models = ModelWork(self._me, engine, judge, self._consensus.put)
        executor = Executor(
            self._genesis.membership,
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
                nursery.start_soon(self._consensus.run, self._me, self._replica, executor)
                nursery.start_soon(self._consensus.listen, self._network, executor)
                nursery.start_soon(keep_peers, self._config.data / PEERS_FILE, self._network)
                self.queries.ready(engine, models, executor)
                log.info("ready: %s on %s", engine.model, engine.device)
        except* DuplicateKey as group:
            raise AlreadyRunning(str(group.exceptions[0])) from None
        except* QnodeError as group:
            raise group.exceptions[0] from None

    async def _load_models(self) -> tuple[Engine, Judge]:
        began = time.monotonic()
        model = self._config.model
        settings = EngineSettings(
            model=None if model.name == "auto" else model.name,
            device=model.device,
            threads=model.threads or None,
            cache_dir=default_cache_dir(),
        )
        embedder_settings = EmbedderSettings(
            model=self._genesis.embedder, threads=model.threads or None
        )
        try:
            engine = await _in_thread(partial(load_engine, settings, log.info))
            judge = await _in_thread(partial(load_judge, embedder_settings, log.info))
        except ModelUnavailable as error:
            raise UsageError(str(error)) from None
        log.info("models loaded in %.1f s", time.monotonic() - began)
        return engine, judge


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


def _last_number(records: tuple[Record, ...], decided: tuple[Request, ...], me: ReplicaId) -> int:
    """Greatest number of our own requests so far: numbers must not repeat if the clock went
    back."""
    accepted = [r.request.message for r in records if isinstance(r, RequestAccepted)]
    return max((r.number for r in (*accepted, *decided) if r.replica == me), default=0)
