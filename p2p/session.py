"""One connection to one member, from the first hello to the end.

Upon a link, each side opens a stream and sends its hello on it; each side answers the other's
hello with a verdict. When both are welcome, the session is up: a reader, a writer and a heartbeat
run until one of them fails.

Both sides may dial at the same time. Of the two, the one with the greater key chooses: it admits
one connection at a time, and refuses another with ``already-connected`` as long as the one it has
answers. The other side follows its choice, so the two cannot pick differently:

1. L dials c1 while H dials c2;
2. L welcomes both, H welcomes the first whose hello it reads, say c1, and holds c2 back;
3. c1 is up on both sides; H probes it, gets its echo, and refuses c2.
"""

import math
from collections.abc import Iterable
from typing import Protocol

import trio

from p2p import hello as hellos
from p2p.errors import BadFrame, BadMessage, Refused, TransportBroken
from p2p.framing import Frame, FrameDecoder, Kind, encode_frame
from p2p.gate import Slot
from p2p.health import NONCE_BYTES, Health
from p2p.host import Link, Stream
from p2p.outbox import Outbox
from p2p.records import RECORDS_FRAME_BYTES_MAX, split_records
from p2p.settings import NetworkSettings
from p2p.tasks import run_together

_LINGER_S = 1.0


class Owner(Protocol):
    """What a session asks of the network that runs it."""

    settings: NetworkSettings

    def is_member(self, public_key: bytes) -> bool:
        """True if a connection from that key is wanted."""

    def our_hello(self) -> bytes:
        """Return the body of our hello."""

    def admission_lock(self, public_key: bytes) -> trio.Lock:
        """Return the lock under which one connection of that member at a time is admitted."""

    async def judge(self, session: "Session", body: bytes) -> str:
        """Return the verdict on a hello: empty, or the reason to refuse it."""

    def on_verdict(self, session: "Session", reason: str) -> None:
        """Note what the other side made of our hello."""

    def on_up(self, session: "Session") -> None:
        """Take the session into use, in place of the one before it."""

    def on_frame(self, session: "Session", body: bytes) -> None:
        """Take a data frame."""

    def on_records(self, session: "Session", records: list[bytes]) -> None:
        """Take encoded address records."""


class Session:
    """The state of one connection; `network` decides, this carries out."""

    def __init__(self, owner: Owner, link: Link, our_key: bytes) -> None:
        self._owner = owner
        self._link = link
        self._settings = owner.settings
        # Asked once: the membership may change while hellos are exchanged.
        self._stranger = not owner.is_member(link.remote_key)
        self._welcomed = trio.Event()
        self._up = trio.Event()
        self._scope = trio.CancelScope()
        self._ending = ""
        self.public_key = link.remote_key
        self.address = link.remote_address
        self.we_choose = our_key > link.remote_key
        self.instance = b""
        self.record = b""
        self.slot: Slot | None = None
        self.bad_records = 0
        # Why we turn this connection away, kept because its end may be noticed in another way.
        self.refusal = ""
        self.outbox = Outbox(self._settings.outbox_bytes_max)
        self.health = Health(self._settings.heartbeat_misses_max)
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def is_up(self) -> bool:
        """True once both sides welcomed each other."""
        return self._up.is_set()

    async def run(self) -> None:
        """Carry the connection until it ends; always raises the reason, a `P2PError`."""
        try:
            with self._scope:
                await self._carry()
        finally:
            self.health.end()
            self.outbox.end()
        raise TransportBroken(self._ending or "closed")

    def close(self, reason: str) -> None:
        """End the session soon, for a reason of ours."""
        self._ending = self._ending or reason
        self._scope.cancel()

    def send(self, encoded_frame: bytes) -> bool:
        """Queue an encoded data frame; False if the outbox is full."""
        return self.outbox.put(encoded_frame)

    def send_records(self, bodies: Iterable[bytes]) -> None:
        """Queue frames of address records."""
        for body in bodies:
            self.outbox.put_control(encode_frame(Kind.RECORDS, body))

    async def answers(self, within_s: float) -> bool:
        """True if the other side echoes a heartbeat within that many seconds.

        False as soon as the session has ended.
        """
        self.outbox.put_control(encode_frame(Kind.PING, self.health.probe()))
        with trio.move_on_after(within_s):
            await self.health.next_echo()
            return not self.health.ended
        return False

    async def flush(self) -> None:
        """Return when the other side has read all frames sent so far, or the session ended."""
        # Heartbeats overtake what waits, so ask only when nothing does.
        await self.outbox.wait_written()
        await self.answers(math.inf)

    async def _carry(self) -> None:
        with trio.move_on_after(self._settings.handshake_timeout_s) as patience:
            ours, theirs = await self._shake_hands()
        if patience.cancelled_caught:
            raise TransportBroken("the exchange of hellos took too long")
        await run_together(
            lambda: self._read(theirs),
            lambda: self._write(ours),
            self._beat,
            self._link.forbid_streams,
        )

    async def _shake_hands(self) -> tuple[Stream, "_FrameReader"]:
        streams: list[Stream] = []
        readers: list[_FrameReader] = []

        async def greet() -> None:
            streams.append(await self._greet())

        async def receive() -> None:
            readers.append(await self._receive_greeting())

        if not self._stranger:
            await run_together(greet, receive)
        elif self._link.dialled:
            raise Refused(hellos.UNKNOWN_MEMBER, by_peer=False)
        else:
            # Our addresses are not for strangers: hear the hello only to answer it.
            await receive()
        return streams[0], readers[0]

    async def _greet(self) -> Stream:
        stream = await self._link.open_stream()
        await stream.write(encode_frame(Kind.HELLO, self._owner.our_hello()))
        reader = _FrameReader(self, stream, hellos.HELLO_BYTES_MAX)
        reason = hellos.decode_verdict((await reader.next_frame(Kind.VERDICT)).body)
        self._owner.on_verdict(self, reason)
        if reason:
            raise Refused(reason, by_peer=True)
        self._welcomed.set()
        return stream

    async def _receive_greeting(self) -> "_FrameReader":
        stream = await self._link.accept_stream()
        reader = _FrameReader(self, stream, hellos.HELLO_BYTES_MAX)
        body = (await reader.next_frame(Kind.HELLO)).body
        if self._stranger:
            await self._refuse(stream, hellos.UNKNOWN_MEMBER)
        if self.we_choose:
            async with self._owner.admission_lock(self.public_key):
                reason = await self._admit(stream, body)
        else:
            # No lock on this side: each could otherwise hold the one the other waits for.
            reason = await self._admit(stream, body)
        if reason:
            await self._refuse(stream, reason)
        reader.body_bytes_max = max(self._settings.frame_bytes_max, RECORDS_FRAME_BYTES_MAX)
        return reader

    async def _admit(self, stream: Stream, body: bytes) -> str:
        reason = await self._owner.judge(self, body)
        if not reason:
            await stream.write(encode_frame(Kind.VERDICT, hellos.encode_verdict("")))
            await self._welcomed.wait()
            self._up.set()
            self._owner.on_up(self)
        return reason

    async def _refuse(self, stream: Stream, reason: str) -> None:
        """Tell why, and stay long enough to be heard: closing at once could discard it."""
        self.refusal = reason
        await stream.write(encode_frame(Kind.VERDICT, hellos.encode_verdict(reason)))
        with trio.move_on_after(_LINGER_S):
            try:
                while True:
                    await stream.read()
            except TransportBroken:
                pass
        raise Refused(reason, by_peer=False)

    async def _read(self, reader: "_FrameReader") -> None:
        while True:
            frame = await reader.next_frame()
            match frame.kind:
                case Kind.DATA:
                    if len(frame.body) > self._settings.frame_bytes_max:
                        raise BadFrame(f"a data frame of {len(frame.body)} bytes")
                    self._owner.on_frame(self, frame.body)
                case Kind.PING:
                    self._echo(frame.body)
                case Kind.PONG:
                    self.health.on_echo(frame.body)
                case Kind.RECORDS:
                    self._owner.on_records(self, split_records(frame.body))
                case _:
                    raise BadFrame("a hello or verdict in the middle of a stream")

    async def _write(self, stream: Stream) -> None:
        while True:
            batch = await self.outbox.take()
            await stream.write(batch)
            self.bytes_out += len(batch)

    async def _beat(self) -> None:
        while True:
            nonce = self.health.beat()
            if self.health.lost:
                raise TransportBroken(f"silent for {self.health.misses} heartbeats")
            self.outbox.put_control(encode_frame(Kind.PING, nonce))
            await trio.sleep(self._settings.heartbeat_s)

    def _echo(self, nonce: bytes) -> None:
        if len(nonce) != NONCE_BYTES:
            raise BadFrame("a heartbeat of a wrong length")
        self.outbox.put_control(encode_frame(Kind.PONG, nonce))

    def on_bytes(self, count: int) -> None:
        """Note that `count` bytes of the stream came in."""
        self.bytes_in += count
        self.health.on_bytes()


class _FrameReader:
    """Frames off a stream, one by one."""

    def __init__(self, session: Session, stream: Stream, body_bytes_max: int) -> None:
        self._session = session
        self._stream = stream
        self._decoder = FrameDecoder(body_bytes_max)

    @property
    def body_bytes_max(self) -> int:
        return self._decoder.body_bytes_max

    @body_bytes_max.setter
    def body_bytes_max(self, value: int) -> None:
        self._decoder.body_bytes_max = value

    async def next_frame(self, expected: Kind | None = None) -> Frame:
        """Return the next frame; raise `BadFrame`, `BadMessage` or `TransportBroken`."""
        while (frame := self._decoder.next_frame()) is None:
            data = await self._stream.read()
            self._session.on_bytes(len(data))
            self._decoder.feed(data)
        if expected is not None and frame.kind is not expected:
            raise BadMessage(f"a {frame.kind.name} where a {expected.name} must come")
        return frame
