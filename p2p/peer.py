"""What is known about one member, across its connections."""

import math
from dataclasses import dataclass

import trio

from p2p.host import peer_id
from p2p.session import Session
from p2p.settings import Member


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A snapshot for people and metrics; totals are since this node started.

    `rtt_ms` is NaN before the first echo, `last_seen_s` is the age of the last byte received and
    infinite before it. `frames_dropped_out` were to be sent while the peer was away or its outbox
    full; `frames_dropped_in` arrived while the consumer was behind.
    """

    name: str
    public_key: bytes
    peer_id: str
    connected: bool
    address: str
    rtt_ms: float
    last_seen_s: float
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    frames_dropped_in: int
    frames_dropped_out: int
    heartbeat_misses: int
    connections: int


class Peer:
    """One member: its session if it has one, and its counters."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.public_key = member.public_key
        self.peer_id = peer_id(member.public_key)
        self.session: Session | None = None
        self.admission = trio.Lock()
        # Set to make the dialler try at once: an address became known.
        self.dial_now = trio.Event()
        self.dialling = trio.CancelScope()
        """What we dial, and carry on it, runs in here."""
        self.removed = False
        self.frames_in = 0
        self.frames_out = 0
        self.frames_dropped_in = 0
        self.frames_dropped_out = 0
        self.connections = 0
        self._changed = trio.Event()
        self._last_heard = -math.inf
        self._past_bytes_in = 0
        self._past_bytes_out = 0
        self._last_address = ""

    def use(self, session: Session | None) -> None:
        """Make `session` the one in use, None for none."""
        if self.session is not None:
            self._past_bytes_in += self.session.bytes_in
            self._past_bytes_out += self.session.bytes_out
            self._last_heard = self.session.health.last_heard
            # What was not handed to the writer is lost with the connection.
            self.frames_dropped_out += self.session.outbox.frames_held
        if session is not None:
            self.connections += 1
            self._last_address = session.address
        self.session = session
        self._changed.set()
        self._changed = trio.Event()

    async def wait_connected(self) -> None:
        """Return once there is a session."""
        while self.session is None:
            await self._changed.wait()

    async def wait_disconnected(self) -> None:
        """Return once there is none."""
        while self.session is not None:
            await self._changed.wait()

    def status(self) -> PeerStatus:
        """Return the snapshot."""
        session = self.session
        heard = session.health.last_heard if session else self._last_heard
        return PeerStatus(
            name=self.member.name,
            public_key=self.public_key,
            peer_id=self.peer_id,
            connected=session is not None,
            address=session.address if session else self._last_address,
            rtt_ms=session.health.rtt_s * 1000 if session else math.nan,
            last_seen_s=trio.current_time() - heard,
            frames_in=self.frames_in,
            frames_out=self.frames_out,
            bytes_in=self._past_bytes_in + (session.bytes_in if session else 0),
            bytes_out=self._past_bytes_out + (session.bytes_out if session else 0),
            frames_dropped_in=self.frames_dropped_in,
            frames_dropped_out=self.frames_dropped_out,
            heartbeat_misses=session.health.misses if session else 0,
            connections=self.connections,
        )
