"""What strangers and misbehaving members can do to the libp2p side of a node: very little."""

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from p2p import hello as hellos
from p2p.addresses import Address
from p2p.errors import P2PError, TransportBroken, WrongPeer
from p2p.framing import Kind, encode_frame
from p2p.health import NONCE_BYTES
from p2p.host import (
    HANDSHAKE_BYTES_MAX,
    UNREAD_BYTES_MAX,
    Identity,
    Link,
    Stream,
    _TcpStream,
    describe,
    peer_id,
)
from p2p.network import PeerNetwork, open_network
from p2p.records import encode_records, make_record
from tests.support.p2p_harness import (
    NETWORK_ID,
    PATIENCE_S,
    SETTINGS,
    Key,
    keys,
    port_of,
    until_down,
    until_true,
    until_up,
)

pytestmark = pytest.mark.trio


@asynccontextmanager
async def lone_node(**changes: object) -> AsyncIterator[tuple[PeerNetwork, Key, Key]]:
    """A node, its key, and the key of its one other member, which the test plays."""
    ours, theirs = keys(2)
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]  # names checked by replace
    async with open_network(settings, ours.private, [ours.member(), theirs.member()]) as network:
        yield network, ours, theirs


async def socket_to(network: PeerNetwork) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", port_of(network.addresses[0]))


async def play(network: PeerNetwork, key: Key, script: Callable[[Link], Awaitable[None]]) -> None:
    """Dial `network` as `key` and do as the script says; how it ends does not matter."""
    socket = await socket_to(network)
    with suppress(P2PError):
        await Identity(key.private).run_link(
            socket, script, dialled=True, expected=None, timeout_s=PATIENCE_S
        )


async def shake_hands(link: Link, key: Key) -> tuple[Stream, Stream]:
    """Say hello and welcome like an honest member; return the streams out and in."""
    record = make_record(key.private, NETWORK_ID, 1, []).encode()
    ours = await link.open_stream()
    await ours.write(encode_frame(Kind.HELLO, hellos.Hello(NETWORK_ID, bytes(16), record).encode()))
    theirs = await link.accept_stream()
    await theirs.read()
    await theirs.write(encode_frame(Kind.VERDICT, hellos.encode_verdict("")))
    await ours.read()
    return ours, theirs


@pytest.mark.parametrize(
    "protocol", ["/plaintext/2.0.0", "/plaintext/1.0.0", "/secio/1.0.0", "/tls/1.0.0"]
)
async def test_no_other_security_than_noise_can_be_negotiated(protocol: str) -> None:
    """A dialler that offers only plaintext, secio or TLS is told "na" for each."""
    async with lone_node() as (network, _, _):
        async with await socket_to(network) as socket:
            communicator = MultiselectCommunicator(_TcpStream(socket))
            with trio.fail_after(PATIENCE_S), pytest.raises(MultiselectClientError, match="na"):
                await MultiselectClient().select_one_of((protocol,), communicator)  # type: ignore[arg-type]  # TProtocol
        assert not network.peers()[0].connected


async def test_a_dialled_node_cannot_talk_us_out_of_noise() -> None:
    """A listener that knows plaintext alone gets no connection."""
    ours, theirs = keys(2)
    seen: list[bytes] = []

    async def plaintext_only(socket: trio.SocketStream) -> None:
        stream: ReadWriteCloser = _TcpStream(socket)
        communicator = MultiselectCommunicator(stream)
        try:
            await communicator.write("/multistream/1.0.0")
            while True:
                wanted = await communicator.read()
                seen.append(wanted.encode())
                if not wanted.startswith("/multistream"):
                    await communicator.write("na")
        except Exception:  # noqa: BLE001 - the other side hung up
            await socket.aclose()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, plaintext_only, [listener])
        members = [ours.member(), theirs.member(f"/ip4/127.0.0.1/tcp/{port}")]
        async with open_network(SETTINGS, ours.private, members) as network:
            with trio.fail_after(PATIENCE_S):
                await until_true(lambda: network.refusals["handshake-failed"] > 0)
        nursery.cancel_scope.cancel()
    assert set(seen) == {b"/multistream/1.0.0", b"/noise"}


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x80\x80\x80\x80\x04" + b"/" * 2 * HANDSHAKE_BYTES_MAX,  # a message of a gigabyte
        b"\xff" * 64,
        b"\x13/multistream/1.0.0\n" + b"\x03no\n" * HANDSHAKE_BYTES_MAX,
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff" + bytes(70_000),
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
    ],
)
async def test_a_stranger_is_read_only_so_far(greeting: bytes) -> None:
    """Before a key is proven, long messages and endless proposals end the connection."""
    async with lone_node() as (network, _, _), await socket_to(network) as socket:
        with trio.fail_after(PATIENCE_S):
            try:
                await socket.send_all(greeting)
                await socket.send_eof()
                while await socket.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass  # reset in the middle of our writing: that is what we want to see
            await until_true(lambda: network.refusals["handshake-failed"] == 1)


@pytest.mark.parametrize(
    "greeting",
    [
        b"\x80\x80\x80\x80\x04" + b"/" * 2 * HANDSHAKE_BYTES_MAX,
        b"\x13/multistream/1.0.0\n" + b"\x03no\n" * HANDSHAKE_BYTES_MAX,
        b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff" + bytes(70_000),
    ],
)
async def test_a_stranger_that_says_too_much_is_cut_off_at_once(greeting: bytes) -> None:
    """Not when it stops, and not when its time is up: when its bytes are used up."""
    async with (
        lone_node(handshake_timeout_s=2 * PATIENCE_S) as (network, _, _),
        await socket_to(network) as socket,
        trio.open_nursery() as nursery,
    ):

        async def talk() -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                while True:
                    await socket.send_all(greeting)
                    await trio.lowlevel.checkpoint()

        nursery.start_soon(talk)
        with trio.fail_after(PATIENCE_S):
            with contextlib.suppress(trio.BrokenResourceError):
                while await socket.receive_some():
                    pass
            await until_true(lambda: network.refusals["handshake-failed"] == 1)
        nursery.cancel_scope.cancel()


async def test_silent_connections_are_closed_and_cannot_pile_up() -> None:
    """Sockets that say nothing are limited per host and live no longer than the handshake may."""
    async with lone_node(pending_per_host_max=3, handshake_timeout_s=0.5) as (network, _, _):
        sockets = [await socket_to(network) for _ in range(5)]
        with trio.fail_after(PATIENCE_S):
            await until_true(lambda: network.refusals["too-many-pending"] == 2)
            assert network._connections.pending == 3
            for socket in sockets:
                try:
                    while await socket.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass
            await until_true(lambda: network._connections.pending == 0)
        for socket in sockets:
            await socket.aclose()


async def test_a_connected_member_holds_no_slot() -> None:
    """Slots are for the pending, so many members behind one address all fit."""
    async with (
        lone_node(pending_per_host_max=1) as (network, _, theirs),
        trio.open_nursery() as nursery,
    ):

        async def script(link: Link) -> None:
            await shake_hands(link, theirs)
            await trio.sleep_forever()

        nursery.start_soon(play, network, theirs, script)
        with trio.fail_after(PATIENCE_S):
            await until_up(network, theirs.public)
        assert network._connections.pending == 0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "garbage",
    [
        bytes(8),  # length 0
        b"\xff" * 8,  # four gigabytes
        encode_frame(Kind.HELLO, b""),
        encode_frame(Kind.PING, bytes(NONCE_BYTES + 1)),
        encode_frame(Kind.RECORDS, b"\x80" * 3),
        b"\x00\x00\x00\x01\x63",  # kind 99
    ],
)
async def test_a_member_that_breaks_the_protocol_is_disconnected(garbage: bytes) -> None:
    """Its connection ends and is counted; the node goes on."""
    async with lone_node() as (network, _, theirs):

        async def script(link: Link) -> None:
            out, back = await shake_hands(link, theirs)
            await out.write(garbage)
            while True:
                await back.read()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, network, theirs, script)
            with trio.fail_after(PATIENCE_S):
                await until_up(network, theirs.public)
                await until_down(network, theirs.public)
        assert network.refusals["bad-frame"] + network.refusals["bad-message"] == 1


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        b"\xa0",
        hellos.Hello(NETWORK_ID, bytes(16), b"no record").encode(),
        hellos.Hello(NETWORK_ID, bytes(15), b"short instance").encode(),
    ],
)
async def test_a_bad_hello_is_refused_with_a_reason(hello: bytes) -> None:
    """The answer is a verdict that says so."""
    answers: list[bytes] = []
    async with lone_node() as (network, _, theirs):

        async def script(link: Link) -> None:
            stream = await link.open_stream()
            await stream.write(encode_frame(Kind.HELLO, hello))
            answers.append(await stream.read())

        with trio.fail_after(PATIENCE_S):
            await play(network, theirs, script)
            await until_true(lambda: network.refusals["bad-hello"] == 1)
    assert answers == [encode_frame(Kind.VERDICT, hellos.encode_verdict("bad-hello"))]


async def test_anothers_record_does_not_pass_as_ones_own() -> None:
    """A hello whose record is signed by, and about, another member is refused."""
    async with lone_node() as (network, ours, theirs):
        record = make_record(ours.private, NETWORK_ID, 1, []).encode()

        async def script(link: Link) -> None:
            stream = await link.open_stream()
            hello = hellos.Hello(NETWORK_ID, bytes(16), record)
            await stream.write(encode_frame(Kind.HELLO, hello.encode()))
            await stream.read()

        with trio.fail_after(PATIENCE_S):
            await play(network, theirs, script)
            await until_true(lambda: network.refusals["bad-hello"] == 1)


async def test_a_second_stream_ends_the_connection() -> None:
    """One stream per direction is all a member may open."""
    async with lone_node() as (network, _, theirs):

        async def script(link: Link) -> None:
            await shake_hands(link, theirs)
            await link.open_stream()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, network, theirs, script)
            with trio.fail_after(PATIENCE_S):
                await until_up(network, theirs.public)
                await until_down(network, theirs.public)
        assert network.refusals["bad-frame"] == 1


async def test_bad_and_foreign_records_are_ignored_and_counted() -> None:
    """A broken signature or a non-member's record changes nothing; a true one is taken."""
    async with lone_node() as (network, ours, theirs):
        (stranger,) = keys(1)
        place = [Address("ip4", "127.0.0.1", 9)]
        forged = replace(make_record(theirs.private, NETWORK_ID, 7, place), counter=8)
        foreign = make_record(stranger.private, NETWORK_ID, 7, place)
        other_network = make_record(theirs.private, bytes(32), 9, place)
        ahead = make_record(ours.private, NETWORK_ID, 2**60, place)

        async def script(link: Link) -> None:
            out, back = await shake_hands(link, theirs)
            for record in (forged, foreign, other_network, ahead):
                await out.write(encode_frame(Kind.RECORDS, encode_records([record])[0]))
            while True:
                await back.read()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, network, theirs, script)
            with trio.fail_after(PATIENCE_S):
                await until_up(network, theirs.public)
                await until_true(lambda: network.refusals["bad-record"] == 2)
                await until_true(lambda: network.refusals["foreign-record"] == 1)
                # A record of ours from the future (the clock was set back) is outbid.
                await until_true(lambda: network._discovery.our_record().counter == 2**60 + 1)
            assert network.peers()[0].connected
            held = {record.public_key: record for record in network._discovery.records()}
            assert set(held) == {ours.public, theirs.public}
            assert held[theirs.public].counter == 1
            nursery.cancel_scope.cancel()


async def test_a_flood_on_a_stream_nobody_reads_ends_the_connection() -> None:
    """yamux logs a peer that ignores its window; here the connection ends at a known size.

    The stream is the node's own, on which it expects nothing after the verdict.
    """
    async with lone_node() as (network, _, theirs):
        sent = 0

        async def script(link: Link) -> None:
            nonlocal sent
            _, back = await shake_hands(link, theirs)
            while True:
                back._stream._stream.send_window = 1 << 30  # type: ignore[attr-defined]  # yamux's
                await back.write(bytes(60_000))
                sent += 60_000

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, network, theirs, script)
            with trio.fail_after(PATIENCE_S):
                await until_up(network, theirs.public)
                await until_down(network, theirs.public)
        # What the kernel's socket buffers hold comes on top of what yamux kept.
        assert UNREAD_BYTES_MAX - 60_000 < sent < UNREAD_BYTES_MAX + 16 * 1024 * 1024


async def test_small_reads_give_no_credit_one_by_one() -> None:
    """The reader tells the sender of what it has read when half a window is used up, not after
    every frame: that would make a second message of each."""
    async with lone_node() as (network, _, theirs):
        windows: list[int] = []

        async def script(link: Link) -> None:
            out, back = await shake_hands(link, theirs)
            stream = out._stream._stream  # type: ignore[attr-defined]  # of yamux
            for _ in range(40):
                before = stream.send_window
                await out.write(encode_frame(Kind.DATA, bytes(1_000)))
                await until_true(lambda: network.peers()[0].frames_in == len(windows) + 1)
                windows.append(before - stream.send_window)
            while True:
                await back.read()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, network, theirs, script)
            with trio.fail_after(PATIENCE_S):
                await until_up(network, theirs.public)
                await until_true(lambda: len(windows) == 40)
            nursery.cancel_scope.cancel()
    assert windows == [1_005] * 40


async def test_windows_stay_small_between_honest_nodes() -> None:
    """yamux's windows do not grow to 16 MiB: what an honest peer has under way is bounded."""
    async with lone_node() as (network, _, theirs):
        grown: list[int] = []

        async def script(link: Link) -> None:
            out, back = await shake_hands(link, theirs)
            frame = encode_frame(Kind.DATA, bytes(1024 * 1024))
            for _ in range(20):
                await out.write(frame)
            grown.append(out._stream._stream.send_window)  # type: ignore[attr-defined]  # of yamux
            while True:
                await back.read()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(play, network, theirs, script)
            with trio.fail_after(PATIENCE_S):
                await until_up(network, theirs.public)
                await until_true(lambda: network.peers()[0].frames_in >= 12)
                await until_true(lambda: bool(grown))
            nursery.cancel_scope.cancel()
        assert grown[0] <= 2 * 1024 * 1024


async def test_the_expected_key_must_answer() -> None:
    """A link to another key than the one dialled is `WrongPeer`, before anything is said."""
    async with lone_node() as (network, _, theirs):
        (stranger,) = keys(1)

        async def script(_: Link) -> None:
            raise AssertionError

        with trio.fail_after(PATIENCE_S), pytest.raises(WrongPeer):
            await Identity(theirs.private).run_link(
                await socket_to(network),
                script,
                dialled=True,
                expected=stranger.public,
                timeout_s=PATIENCE_S,
            )


async def test_a_handshake_with_a_silent_listener_times_out() -> None:
    """And its socket is closed."""
    (ours,) = keys(1)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        socket = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])

        async def script(_: Link) -> None:
            raise AssertionError

        with trio.fail_after(PATIENCE_S), pytest.raises(TransportBroken, match="too long"):
            await Identity(ours.private).run_link(
                socket, script, dialled=True, expected=None, timeout_s=0.1
            )
        assert socket.socket.fileno() == -1


async def test_peer_ids_are_libp2ps() -> None:
    """The identity multihash of the protobuf of the key, in base 58."""
    assert peer_id(bytes(32)) == "12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw"


async def test_libp2p_does_not_write_to_the_terminal() -> None:
    """Its warnings have no handler, so Python would print them as a last resort."""
    script = (
        "import p2p.host, logging;"
        "logging.getLogger('libp2p.stream_muxer.yamux').warning('noise');"
        "logging.getLogger('libp2p').error('noise')"
    )
    result = await trio.run_process(
        [sys.executable, "-c", script], capture_stdout=True, capture_stderr=True
    )
    assert (result.stdout, result.stderr) == (b"", b"")
    assert logging.getLogger("libp2p").handlers


async def test_what_strangers_send_cannot_reach_the_terminal() -> None:
    """Escape sequences and line breaks in libp2p's errors are taken out; the cause is kept."""
    error = ValueError("outer")
    error.__cause__ = ExceptionGroup("group", [OSError("a\nb\x1b[2J")])
    assert describe(error) == "a b?[2J"
    assert describe(KeyError()) == "KeyError"
