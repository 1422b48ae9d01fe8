"""Real nodes over 127.0.0.1, and a proxy that can stop a connection without closing it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2p.envelope import public_bytes
from p2p.network import (
    Event,
    Member,
    NetworkSettings,
    PeerDown,
    PeerNetwork,
    PeerUp,
    Received,
    open_network,
)

NETWORK_ID = bytes(range(32))
LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
# For whole tests; a healthy one takes a second or two, a loaded machine may need longer.
PATIENCE_S = 30.0

SETTINGS = NetworkSettings(network_id=NETWORK_ID, listen=LOOPBACK, redial_max_s=1.0)


@dataclass(frozen=True)
class Key:
    private: Ed25519PrivateKey
    public: bytes
    name: str

    def member(self, *addresses: str) -> Member:
        return Member(self.public, self.name, addresses)


def keys(count: int) -> list[Key]:
    """Return fresh keys, sorted: the first is the one that dials without waiting."""
    privates = sorted((Ed25519PrivateKey.generate() for _ in range(count)), key=public_bytes)
    return [Key(key, public_bytes(key), f"n{index}") for index, key in enumerate(privates)]


async def until(
    network: PeerNetwork, wanted: Callable[[Event], bool], seen: list[Event] | None = None
) -> Event:
    """Receive until an event is as wanted; the ones before it go to `seen`."""
    while True:
        event = await network.receive()
        if wanted(event):
            return event
        if seen is not None:
            seen.append(event)


async def until_up(network: PeerNetwork, *public_keys: bytes) -> None:
    """Receive until all these are up; nothing else may arrive meanwhile but downs."""
    missing = set(public_keys)
    while missing:
        event = await network.receive()
        if isinstance(event, PeerUp):
            missing.discard(event.public_key)
        elif isinstance(event, PeerDown) and event.public_key in public_keys:
            missing.add(event.public_key)


async def until_down(network: PeerNetwork, public_key: bytes) -> PeerDown:
    event = await until(network, lambda e: isinstance(e, PeerDown) and e.public_key == public_key)
    assert isinstance(event, PeerDown)
    return event


async def until_frame(network: PeerNetwork, frame: bytes) -> Received:
    event = await until(network, lambda e: isinstance(e, Received) and e.frame == frame)
    assert isinstance(event, Received)
    return event


async def until_true(condition: Callable[[], bool]) -> None:
    """Poll a counter that has no event; bounded by the test's own deadline."""
    while not condition():  # noqa: ASYNC110 - counters have no events
        await trio.sleep(0.01)


@asynccontextmanager
async def two_nodes(
    settings: NetworkSettings = SETTINGS, second: NetworkSettings | None = None
) -> AsyncIterator[tuple[PeerNetwork, PeerNetwork, Key, Key]]:
    """Two connected nodes; the second knows the first by one bootstrap address."""
    first_key, second_key = keys(2)
    members = [first_key.member(), second_key.member()]
    async with open_network(settings, first_key.private, members) as first:
        bootstrap = (without_peer_id(first.addresses[0]),)
        second_settings = replace(second or settings, bootstrap=bootstrap)
        async with open_network(second_settings, second_key.private, members) as other:
            with trio.fail_after(PATIENCE_S):
                await until_up(first, second_key.public)
                await until_up(other, first_key.public)
            yield first, other, first_key, second_key


def without_peer_id(address: str) -> str:
    return address.split("/p2p/")[0]


def port_of(address: str) -> int:
    return int(address.split("/tcp/")[1].split("/")[0])


class Proxy:
    """Forwards TCP to `port`; `pause` holds the bytes back and keeps the sockets open."""

    def __init__(self, port: int) -> None:
        self.target_port = port
        self.port = 0
        self._open = trio.Event()
        self._open.set()

    @property
    def address(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    def pause(self) -> None:
        self._open = trio.Event()

    def resume(self) -> None:
        self._open.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._forward, [listener])

    async def _forward(self, client: trio.SocketStream) -> None:
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.target_port)
        except OSError:
            return
        async with client, server, trio.open_nursery() as nursery:

            async def pump(source: trio.SocketStream, sink: trio.SocketStream) -> None:
                try:
                    async for chunk in source:
                        await self._open.wait()
                        await sink.send_all(chunk)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass
                nursery.cancel_scope.cancel()

            nursery.start_soon(pump, client, server)
            nursery.start_soon(pump, server, client)


Serve = Callable[[trio.SocketStream], Awaitable[None]]
