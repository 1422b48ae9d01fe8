"""A node's end of the network: the members it is connected to, kept that way.

`open_network` listens, dials, and reconnects until it is left; `PeerNetwork` is what the daemon
holds. Delivery is best effort and in order per peer: a frame is lost when its peer is away, slow,
or restarts, and `PeerUp` and `PeerDown` tell when that may have happened.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from secrets import token_bytes
from types import MappingProxyType

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from p2p import hello as hellos
from p2p.addresses import Address, parse_dialable
from p2p.connections import Connections
from p2p.discovery import Discovery
from p2p.errors import (
    BadMessage,
    BadSignature,
    DuplicateKey,
    FrameTooLarge,
    P2PError,
    PeerFault,
)
from p2p.framing import Kind, encode_frame
from p2p.host import Identity, peer_id
from p2p.inbox import Event, Inbox, PeerDown, PeerUp, Received
from p2p.listening import listening_addresses, open_listeners
from p2p.mdns import advertise_and_browse
from p2p.occasionally import Occasionally
from p2p.peer import Peer, PeerStatus
from p2p.records import decode_record, encode_records
from p2p.session import Session
from p2p.settings import Member, NetworkSettings, check_members

__all__ = [
    "Event",
    "Member",
    "NetworkSettings",
    "PeerDown",
    "PeerNetwork",
    "PeerStatus",
    "PeerUp",
    "Received",
    "open_network",
]

log = logging.getLogger("qnode.p2p")

_BAD_RECORDS_MAX = 8
_FLUSH_S = 0.5
_LAST_WORDS_S = 5.0
"""A removed member may read what it was sent before, for so long: that it is one no more, too."""


@asynccontextmanager
async def open_network(
    settings: NetworkSettings, private_key: Ed25519PrivateKey, members: Iterable[Member]
) -> AsyncIterator["PeerNetwork"]:
    """Listen and keep connections to all members until the block is left.

    Leaving closes everything, whatever the peers do, in at most `close_timeout_s`. Raises
    `BadSettings`, `BadAddress` and `ListenAddressInUse` before anything is started.
    """
    settings.check()
    by_key = check_members(members)
    listeners = await open_listeners(settings.listen)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            network = PeerNetwork(settings, private_key, listeners, nursery)
            network.start(by_key)
            try:
                yield network
            except BaseException as error:  # noqa: BLE001 - raised again, outside of the nursery
                # A nursery would wrap it in a group, and the caller did not open one.
                failure = error
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _FLUSH_S):
                await network.flush()
            nursery.cancel_scope.cancel()
    finally:
        for listener in listeners:
            listener.socket.close()
    if failure is not None:
        raise failure


class PeerNetwork:
    """Send to members, receive from them, see how they are. Made by `open_network`."""

    def __init__(
        self,
        settings: NetworkSettings,
        private_key: Ed25519PrivateKey,
        listeners: list[trio.SocketListener],
        nursery: trio.Nursery,
    ) -> None:
        self.settings = settings
        self._identity = Identity(private_key)
        self._listeners = listeners
        self._nursery = nursery
        self._our_key = self._identity.public_key
        self._instance = token_bytes(hellos.INSTANCE_BYTES)
        listening = listening_addresses(listeners)
        announced = [parse_dialable(text) for text in settings.announce] or listening
        self._discovery = Discovery(private_key, settings.network_id, announced)
        self._announced = announced
        self._inbox = Inbox(settings.inbox_bytes_max)
        self._peers: dict[bytes, Peer] = {}
        self._keys_by_peer_id: dict[str, bytes] = {}
        self._duplicate_witnesses: set[bytes] = set()
        self._disowned_by: set[bytes] = set()
        self._refusals: Counter[str] = Counter()
        self._occasionally = Occasionally(log)
        self._connections = Connections(
            self, self._identity, self._discovery, self._peers, self._refusals
        )
        ours = peer_id(self._our_key)
        self.addresses = tuple(f"{address}/p2p/{ours}" for address in listening)

    # What the daemon calls.

    def send(self, public_key: bytes, frame: bytes) -> None:
        """Queue `frame` for a member; never blocks.

        Dropped and counted if the member is away or its outbox is full; counted under `refusals`
        as ``send-to-stranger`` if there is no such member. Raises `FrameTooLarge`.
        """
        peer = self._peers.get(public_key)
        encoded = self._encode(frame)
        if peer is None:
            self._refusals["send-to-stranger"] += 1
        else:
            self._queue(peer, encoded)

    def broadcast(self, frame: bytes) -> None:
        """Queue `frame` for all members but ourselves, as `send` does; one copy in memory."""
        encoded = self._encode(frame)
        for peer in self._peers.values():
            self._queue(peer, encoded)

    async def receive(self) -> Event:
        """Return the next event: in order per peer, peers in turns. For one task at a time.

        Raises `DuplicateKey` once enough members say that another process runs with our key.
        """
        return await self._inbox.get()

    def receive_now(self, most: int) -> list[Event]:
        """As `receive`, but all that has arrived, at most so many events, without waiting."""
        return self._inbox.take(most)

    @property
    def has_received(self) -> bool:
        """Whether `receive_now` would return or raise something."""
        return bool(self._inbox)

    def on_arrival(self, call: Callable[[], None]) -> None:
        """From now on, `call` is called whenever something arrives, and now if something has."""
        self._inbox.on_arrival(call)

    def peers(self) -> list[PeerStatus]:
        """Return a snapshot of each member but ourselves, sorted by name, then key."""
        statuses = [peer.status() for peer in self._peers.values()]
        return sorted(statuses, key=lambda status: (status.name, status.public_key))

    @property
    def refusals(self) -> Mapping[str, int]:
        """Why connections, frames and records were refused since the start, and how often.

        What a peer refused us is counted under ``by-peer:`` and its reason.
        """
        return MappingProxyType(self._refusals)

    @property
    def disowned_by(self) -> frozenset[bytes]:
        """Return the keys of the members whose last word to us was that we are none."""
        return frozenset(self._disowned_by)

    def known_addresses(self) -> tuple[str, ...]:
        """Return where the other members said they listen, as multiaddrs with their peer ids."""
        return tuple(
            f"{address}/p2p/{peer_id(record.public_key)}"
            for record in self._discovery.records()
            if record.public_key != self._our_key
            for address in record.addresses
        )

    def set_members(self, members: Iterable[Member]) -> None:
        """Replace the membership: new members are dialled, removed ones disconnected as soon as
        they have read what was sent to them, but not heard any more."""
        by_key = check_members(members)
        by_key.pop(self._our_key, None)
        for public_key in [key for key in self._peers if key not in by_key]:
            self._remove(self._peers.pop(public_key))
        for public_key, member in by_key.items():
            known = self._peers.get(public_key)
            if known is not None:
                known.member = member
                known.dial_now.set()
                continue
            peer = Peer(member)
            self._peers[public_key] = peer
            self._keys_by_peer_id[peer.peer_id] = public_key
            self._nursery.start_soon(self._connections.keep_connected, peer)

    # What `open_network` calls.

    def start(self, members: Mapping[bytes, Member]) -> None:
        """Start to listen and dial, in the nursery."""
        self.set_members(members.values())
        for address in map(parse_dialable, self.settings.bootstrap):
            if address.peer_id:
                self._on_hint(address.peer_id, address.without_peer_id)
            else:
                self._nursery.start_soon(self._connections.bootstrap, address)
        self._nursery.start_soon(trio.serve_listeners, self._connections.accept, self._listeners)
        if self.settings.mdns:
            self._nursery.start_soon(
                advertise_and_browse,
                self.settings.network_id,
                peer_id(self._our_key),
                self._announced,
                self._on_mdns,
            )

    async def flush(self) -> None:
        """Return when every peer has taken what was sent to it so far.

        A last heartbeat is echoed only after all frames before it were read. Merely to write them
        is not enough: yamux throws away what is unread when the connection ends.
        """
        async with trio.open_nursery() as nursery:
            for peer in self._peers.values():
                if peer.session is not None:
                    nursery.start_soon(peer.session.flush)

    # What connections and sessions call (`connections.Owner`).

    def retire(self, session: Session, reason: str) -> None:
        """Note that a session has ended."""
        peer = self._peers.get(session.public_key)
        if peer is not None and peer.session is session:
            peer.use(None)
            self._inbox.put_news(PeerDown(session.public_key, reason))

    def _remove(self, peer: Peer) -> None:
        session = peer.session
        peer.removed = True
        self._discovery.forget(peer.public_key)
        self._keys_by_peer_id.pop(peer.peer_id, None)
        self._duplicate_witnesses.discard(peer.public_key)
        self._disowned_by.discard(peer.public_key)
        if session is None:
            peer.dialling.cancel()
        else:
            peer.use(None)
            self._nursery.start_soon(self._let_go, peer, session)
            self._inbox.put_news(PeerDown(peer.public_key, "no longer a member"))

    async def _let_go(self, peer: Peer, session: Session) -> None:
        """What a session has not handed over is lost when it closes."""
        with trio.move_on_after(_LAST_WORDS_S):
            await session.flush()
        session.close("no longer a member")
        peer.dialling.cancel()

    def is_member(self, public_key: bytes) -> bool:
        """True for the keys of members, not for our own."""
        return public_key in self._peers

    def our_hello(self) -> bytes:
        """Return the body of our hello."""
        record = self._discovery.our_record().encode()
        return hellos.Hello(self.settings.network_id, self._instance, record).encode()

    def admission_lock(self, public_key: bytes) -> trio.Lock:
        """Return that member's lock."""
        peer = self._peers.get(public_key)
        return peer.admission if peer is not None else trio.Lock()

    async def judge(self, session: Session, body: bytes) -> str:
        """Return why the session is not wanted, empty if it is."""
        try:
            hello = hellos.decode_hello(body)
            if hello.version != hellos.PROTOCOL_VERSION:
                return hellos.PROTOCOL_VERSION_DIFFERS
            if hello.network_id != self.settings.network_id:
                return hellos.WRONG_NETWORK
            record = decode_record(hello.record)
            if record.public_key != session.public_key:
                return hellos.BAD_HELLO
            record.verify(self.settings.network_id)
        except PeerFault:
            return hellos.BAD_HELLO
        session.instance = hello.instance
        # Learnt only when the session is up: a duplicate's addresses must not replace the owner's.
        session.record = hello.record
        return await self._judge_against_existing(session)

    async def _judge_against_existing(self, session: Session) -> str:
        peer = self._peers.get(session.public_key)
        if peer is None:
            return hellos.UNKNOWN_MEMBER
        existing = peer.session
        if existing is None:
            return ""
        another_process = existing.instance != session.instance
        if not another_process and not session.we_choose:
            return ""
        if not await existing.answers(self.settings.probe_timeout_s):
            return ""
        return hellos.DUPLICATE_KEY if another_process else hellos.ALREADY_CONNECTED

    def on_verdict(self, session: Session, reason: str) -> None:
        """Note what a member refused us for; enough witnesses of a duplicate end this node."""
        witness = session.public_key
        if not reason:
            self._duplicate_witnesses.discard(witness)
            self._disowned_by.discard(witness)
            return
        self._refusals[f"by-peer:{reason}"] += 1
        if reason == hellos.UNKNOWN_MEMBER:
            self._disowned_by.add(witness)
        if reason == hellos.DUPLICATE_KEY:
            self._duplicate_witnesses.add(witness)
            if len(self._duplicate_witnesses) >= self.settings.duplicate_refusals_needed:
                self._inbox.fail(DuplicateKey(len(self._duplicate_witnesses)))

    def on_up(self, session: Session) -> None:
        """Take the session into use, in place of the one before it."""
        if session.slot is not None:
            session.slot.release()
        peer = self._peers.get(session.public_key)
        if peer is None:
            session.close("no longer a member")
            return
        previous = peer.session
        if previous is not None:
            previous.close("replaced by a new connection")
            self._inbox.put_news(PeerDown(peer.public_key, "replaced by a new connection"))
        peer.use(session)
        self._inbox.put_news(PeerUp(peer.public_key, session.address))
        log.info("connected with %s at %s", peer.member.name, session.address)
        self._learn(session.record, session)
        session.send_records(encode_records(self._discovery.records()))

    def on_frame(self, session: Session, body: bytes) -> None:
        """Queue a data frame for `receive`, or drop it if its peer's budget is used up."""
        peer = self._peers.get(session.public_key)
        if peer is None or peer.session is not session:
            return
        if self._inbox.put_frame(session.public_key, body):
            peer.frames_in += 1
        else:
            peer.frames_dropped_in += 1
            self._occasionally.say(f"dropping frames of {peer.member.name}: its inbox is full")

    def on_records(self, session: Session, records: list[bytes]) -> None:
        """Take records that a peer passes on; bad ones are counted, many end the session."""
        for encoded in records:
            try:
                self._learn(encoded, session)
            except (BadMessage, BadSignature):
                self._refusals["bad-record"] += 1
                session.bad_records += 1
                if session.bad_records >= _BAD_RECORDS_MAX:
                    raise

    # Addresses.

    def _learn(self, encoded: bytes, source: Session) -> None:
        record = decode_record(encoded)
        if record.public_key != self._our_key and not self.is_member(record.public_key):
            self._refusals["foreign-record"] += 1
            return
        news = self._discovery.learn(record)
        if news is None:
            return
        bodies = encode_records([news])
        for peer in self._peers.values():
            if peer.session is not None and (peer.session is not source or news is not record):
                peer.session.send_records(bodies)
        if news.public_key in self._peers and news.public_key != source.public_key:
            self._peers[news.public_key].dial_now.set()

    def _on_mdns(self, peer_id_text: str, address_text: str) -> None:
        try:
            self._on_hint(peer_id_text, parse_dialable(address_text))
        except P2PError:
            self._refusals["bad-mdns"] += 1

    def _on_hint(self, peer_id_text: str, address: Address) -> None:
        key = self._keys_by_peer_id.get(peer_id_text)
        if key is None:
            if peer_id_text != peer_id(self._our_key):
                self._refusals["foreign-address"] += 1
                self._occasionally.say(f"{address} belongs to {peer_id_text}, not a member")
        elif self._discovery.hint(key, address):
            self._peers[key].dial_now.set()

    # Small things.

    def _encode(self, frame: bytes) -> bytes:
        if len(frame) > self.settings.frame_bytes_max:
            raise FrameTooLarge(
                f"A frame of {len(frame)} bytes cannot be sent: at most "
                f"{self.settings.frame_bytes_max} (frame_bytes_max) are allowed."
            )
        return encode_frame(Kind.DATA, frame)

    def _queue(self, peer: Peer, encoded: bytes) -> None:
        if peer.session is not None and peer.session.send(encoded):
            peer.frames_out += 1
        else:
            peer.frames_dropped_out += 1
