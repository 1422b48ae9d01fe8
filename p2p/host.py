"""The only file that touches libp2p: TCP in, one authenticated multiplexed `Link` out.

Built from libp2p's parts (multistream-select, Noise XX, yamux), so any libp2p node can talk to
us, and without its `Host` and `Swarm`, because these (0.8.1)

- offer TLS, secio and plaintext as fallbacks, where here nothing but Noise exists;
- listen with SO_REUSEPORT, so a second daemon on the same port would not fail but share it;
- need a peer id for each dial, where a bootstrap address may lack one;
- serve identify and ping, and dial, prune and probe connections on their own schedule.

What libp2p's parts leave open is closed here: no more than `HANDSHAKE_BYTES_MAX` are read from a
connection before its key is proven (multistream would accept lengths up to 2**63), and a peer
that writes past yamux's receive window (which yamux only logs) loses the connection.
"""

import logging
import struct
from collections.abc import Awaitable, Callable
from typing import cast

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from libp2p.abc import ISecureConn
from libp2p.crypto.ed25519 import Ed25519PrivateKey as Libp2pPrivateKey
from libp2p.crypto.ed25519 import Ed25519PublicKey as Libp2pPublicKey
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.utils import read_exactly
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_PROTOCOL
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import (
    DEFAULT_WINDOW_SIZE,
    TYPE_DATA,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_PROTOCOL

from p2p.errors import BadFrame, P2PError, TransportBroken, WrongPeer

FRAMES_PROTOCOL = TProtocol("/qnode/frames/1")

HANDSHAKE_BYTES_MAX = 16 * 1024
NEGOTIATION_BYTES_MAX = 4 * 1024
# Our yamux never grants more than a window of 256 KiB (see `_LinkStream`), so an honest peer can't
# have more than that on its way while our reader waits for its turn.
UNREAD_BYTES_MAX = 4 * 1024 * 1024
READ_BYTES = 64 * 1024
# A yamux frame that fits, with its 12-byte header, into one Noise message of 65,519 bytes. Larger
# writes make yamux cut at 65,536, and each piece then costs a second Noise message of 17 bytes.
WRITE_BYTES = 65_519 - 12
# yamux has no event for a window that opens; this is how often it looks itself.
_WINDOW_POLL_S = 0.01
# The sender is told of what was read when this much of its window is used up. libp2p would tell it
# after every read, which makes a second message of nearly every message.
_CREDIT_BYTES = DEFAULT_WINDOW_SIZE // 2

# Without a handler of its own, libp2p's logger would fall through to logging's last resort and
# write warnings to the terminal. Whoever wants them attaches a handler or sets LIBP2P_DEBUG.
logging.getLogger("libp2p").addHandler(logging.NullHandler())

# An Ed25519 peer id is the identity multihash of the protobuf (type 1, 32 bytes) of the key.
_PEER_ID_PREFIX = bytes.fromhex("002408011220")


def peer_id(public_key: bytes) -> str:
    """Return the libp2p peer id, such as ``12D3KooW…``, of a 32-byte Ed25519 key."""
    return _id(public_key).to_base58()


class Identity:
    """Our key, in the forms that the handshake needs."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        key = Libp2pPrivateKey.from_bytes(private_key.private_bytes_raw())
        self.public_key = private_key.public_key().public_bytes_raw()
        # The Noise key is drawn per process and vouched for by the Ed25519 key in the handshake.
        self._noise = NoiseTransport(
            KeyPair(key, key.get_public_key()), create_noise_key_pair().private_key
        )

    async def run_link(
        self,
        socket: trio.SocketStream,
        serve: Callable[["Link"], Awaitable[None]],
        *,
        dialled: bool,
        expected: bytes | None,
        timeout_s: float,
    ) -> None:
        """Secure `socket`, run `serve` on the link, close the socket in the end.

        `expected` is the key that must answer (dialled links; None accepts any). Raises
        `TransportBroken` if the handshake takes longer than `timeout_s` or anything in libp2p
        fails, `WrongPeer`, and the `P2PError`s of `serve`.
        """
        try:
            with trio.fail_after(timeout_s):
                muxer, remote_key = await self._upgrade(socket, dialled, expected)
            await _serve(muxer, Link(muxer, remote_key, _endpoint(socket), dialled), serve)
        except trio.TooSlowError:
            raise TransportBroken("the handshake took too long") from None
        finally:
            await trio.aclose_forcefully(socket)

    async def _upgrade(
        self, socket: trio.SocketStream, dialled: bool, expected: bytes | None
    ) -> tuple["_BoundedYamux", bytes]:
        tcp = _TcpStream(socket)
        raw = RawConnection(tcp, dialled)
        try:
            await _negotiate(raw, NOISE_PROTOCOL, dialled)
            pattern = self._noise.get_pattern()
            secured: ISecureConn
            if dialled:
                expected_id = None if expected is None else _id(expected)
                secured = await pattern.handshake_outbound(raw, expected_id)
            else:
                secured = await pattern.handshake_inbound(raw)
            remote = secured.get_remote_peer()
            await _negotiate(secured, TProtocol(YAMUX_PROTOCOL), dialled)
        except PeerIDMismatchesPubkey as error:
            raise WrongPeer("another node answers at this address") from error
        except Exception as error:
            raise TransportBroken(f"the handshake failed: {describe(error)}") from error
        remote_key = remote.to_bytes().removeprefix(_PEER_ID_PREFIX)
        if len(remote_key) != 32:
            raise WrongPeer("the node that answers has no Ed25519 key")
        tcp.allowance = None
        return _BoundedYamux(secured, remote, is_initiator=dialled), remote_key


class Link:
    """An authenticated connection; each side opens one stream, on which it alone sends frames."""

    def __init__(
        self, muxer: "_BoundedYamux", remote_key: bytes, remote_address: str, dialled: bool
    ) -> None:
        self._muxer = muxer
        self.remote_key = remote_key
        self.remote_address = remote_address
        self.dialled = dialled

    async def open_stream(self) -> "Stream":
        """Return our stream to the other side, the frame protocol agreed on."""
        try:
            stream = _LinkStream(self._muxer, await self._muxer.open_stream())
            await _negotiate(stream, FRAMES_PROTOCOL, initiator=True)
        except Exception as error:
            raise TransportBroken(f"no stream to the peer: {describe(error)}") from error
        return Stream(stream)

    async def accept_stream(self) -> "Stream":
        """Return the other side's stream to us, the frame protocol agreed on."""
        try:
            accepted = cast(YamuxStream, await self._muxer.accept_stream())
            stream = _LinkStream(self._muxer, accepted)
            await _negotiate(stream, FRAMES_PROTOCOL, initiator=False)
        except Exception as error:
            raise TransportBroken(f"no stream from the peer: {describe(error)}") from error
        return Stream(stream)

    async def forbid_streams(self) -> None:
        """Wait for the other side to open one stream more than it may; raise `BadFrame` then."""
        try:
            await self._muxer.accept_stream()
        except Exception as error:
            raise TransportBroken(f"the connection ended: {describe(error)}") from error
        raise BadFrame("a second stream on one connection")


class Stream:
    """Bytes to and from the other side; whatever libp2p raises becomes `TransportBroken`."""

    def __init__(self, stream: "_LinkStream") -> None:
        self._stream = stream

    async def read(self) -> bytes:
        """Return the next bytes, 1 to about `READ_BYTES`."""
        try:
            return await self._stream.read_some()
        except Exception as error:
            raise TransportBroken(f"the peer went away: {describe(error)}") from error

    async def write(self, data: bytes) -> None:
        """Return when the operating system or yamux has taken all of `data`."""
        try:
            await self._stream.write(data)
        except Exception as error:
            raise TransportBroken(f"the peer does not take data: {describe(error)}") from error


class _TcpStream(ReadWriteCloser):
    """What libp2p reads and writes: exact reads, few system calls, a bound before trust.

    libp2p's `read_exactly` gives up after 100 partial reads, so a Noise message that arrives in
    small pieces would break the connection; here each read returns all that was asked for.
    """

    def __init__(self, socket: trio.SocketStream) -> None:
        self._socket = socket
        self._buffer = bytearray()
        self.allowance: int | None = HANDSHAKE_BYTES_MAX

    async def read(self, n: int | None = None) -> bytes:
        wanted = 1 if n is None else n
        if self.allowance is not None:
            if wanted > self.allowance:
                raise ConnectionClosedError("too many bytes before the handshake was done")
            self.allowance -= wanted
        while len(self._buffer) < wanted:
            chunk = await self._socket.receive_some(READ_BYTES)
            if not chunk:
                raise ConnectionClosedError("connection closed by the other side")
            self._buffer += chunk
        data = bytes(self._buffer[:wanted])
        del self._buffer[:wanted]
        return data

    async def write(self, data: bytes) -> None:
        await self._socket.send_all(data)

    async def close(self) -> None:
        await trio.aclose_forcefully(self._socket)

    def get_remote_address(self) -> tuple[str, int] | None:
        return None


class _LinkStream(ReadWriteCloser):
    """A yamux stream with exact, bounded reads for the negotiation and free ones after it.

    One task reads and one task writes, so that the locks of `YamuxStream` are not needed.
    """

    def __init__(self, muxer: "_BoundedYamux", stream: YamuxStream) -> None:
        self._muxer = muxer
        self._stream = stream
        self._buffer = bytearray()
        self._uncredited_bytes = 0

    async def read(self, n: int | None = None) -> bytes:
        wanted = 1 if n is None else n
        if wanted > NEGOTIATION_BYTES_MAX:
            raise ConnectionClosedError("a message of the negotiation is too long")
        while len(self._buffer) < wanted:
            self._buffer += await self._receive()
        data = bytes(self._buffer[:wanted])
        del self._buffer[:wanted]
        return data

    async def read_some(self) -> bytes:
        if self._buffer:
            data, self._buffer = bytes(self._buffer), bytearray()
            return data
        return await self._receive()

    async def _receive(self) -> bytes:
        data = await self._muxer.receive(self._stream)
        self._uncredited_bytes += len(data)
        if self._uncredited_bytes >= _CREDIT_BYTES:
            credit, self._uncredited_bytes = self._uncredited_bytes, 0
            self._stream.recv_window += credit
            await self._stream.send_window_update(credit)
        return data

    async def write(self, data: bytes) -> None:
        # Within the window only: without one, yamux gives up after five seconds, which is sooner
        # than the heartbeats do, and would end the connection of a peer that merely paused.
        view = memoryview(data)
        while view:
            while self._stream.send_window <= 0 and not self._stream.send_closed:  # noqa: ASYNC110
                await trio.sleep(_WINDOW_POLL_S)
            size = max(1, min(len(view), WRITE_BYTES, self._stream.send_window))
            await self._muxer.send(self._stream, bytes(view[:size]))
            view = view[size:]

    async def close(self) -> None:
        await self._stream.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        return None


class _BoundedYamux(Yamux):
    """yamux that holds its peer to a window, and never writes unasked."""

    async def receive(self, stream: YamuxStream) -> bytes:
        """What has arrived on the stream, at most `READ_BYTES`, waiting for it.

        Unlike `YamuxStream.read` it gives no credit and neither locks nor grows anything.
        """
        key = stream.stream_id
        while not self.event_shutting_down.is_set() and key in self.stream_events:
            if buffer := self.stream_buffers.get(key):
                data = bytes(buffer[:READ_BYTES])
                del buffer[:READ_BYTES]
                return data
            if stream.closed or stream.recv_closed or stream.reset_received:
                break
            event = self.stream_events[key]
            await event.wait()
            if self.stream_events.get(key) is event:
                self.stream_events[key] = trio.Event()
        return await self.read_stream(key, READ_BYTES)  # raises what became of the stream

    async def send(self, stream: YamuxStream, chunk: bytes) -> None:
        """One frame, no longer than the peer's window."""
        if stream.closed or stream.send_closed:
            raise MuxedStreamError("the stream is closed")
        stream.send_window -= len(chunk)
        header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, stream.stream_id, len(chunk))
        await self._write_frame(header + chunk)

    async def _measure_rtt_loop(self) -> None:
        # The answer to a ping is written by the task that reads. With both sides in the middle of
        # large writes, both readers could wait for their writer, and nobody would read. Our own
        # heartbeats go through the outbox instead.
        return

    async def _write_frame(self, data: bytes) -> None:
        # As libp2p's, without the description of each frame for a log that nobody reads.
        try:
            self._write_lock.acquire_nowait()
        except trio.WouldBlock:
            await self._write_lock.acquire()
        try:
            await self.secured_conn.write(data)
        finally:
            self._write_lock.release()

    async def _read_data_body(self, length: int) -> bytes:
        # Without libp2p's own timeout for each frame: heartbeats notice a peer that stops.
        unread = sum(len(buffer) for buffer in self.stream_buffers.values())
        if unread + length > UNREAD_BYTES_MAX:
            # The one error on which yamux's reader closes the connection rather than go on.
            raise trio.TooSlowError
        return await read_exactly(self.secured_conn, length)


async def _negotiate(stream: ReadWriteCloser, protocol: TProtocol, initiator: bool) -> None:
    communicator = MultiselectCommunicator(stream)
    if initiator:
        await MultiselectClient().select_one_of((protocol,), communicator)
    else:
        await Multiselect({protocol: None}).negotiate(communicator)


async def _serve(
    muxer: _BoundedYamux, link: Link, serve: Callable[[Link], Awaitable[None]]
) -> None:
    failure: P2PError | None = None
    async with trio.open_nursery() as nursery:

        async def run_muxer() -> None:
            nonlocal failure
            ending = "the connection ended"
            try:
                await muxer.start()
            except Exception as error:  # noqa: BLE001 - libp2p's tasks may raise anything
                ending = describe(error)
            failure = failure or TransportBroken(ending)
            nursery.cancel_scope.cancel()

        nursery.start_soon(run_muxer)
        await muxer.event_started.wait()
        try:
            await serve(link)
        except P2PError as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def describe(error: BaseException) -> str:
    """Return the innermost cause of `error` in one line, safe for a terminal."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
        else:
            break
    # Some of libp2p's errors quote what a stranger sent.
    text = " ".join(str(error).split())[:200]
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable or type(error).__name__


def _id(public_key: bytes) -> ID:
    return ID.from_pubkey(Libp2pPublicKey.from_bytes(public_key))


def _endpoint(socket: trio.SocketStream) -> str:
    try:
        host, port = socket.socket.getpeername()[:2]
    except OSError:
        return "unknown"
    return f"{host}:{port}"
