"""Make connections and keep them: accept, dial, dial again, and contain what goes wrong in each.

Each connection runs in the task that accepted or dialled it, from the handshake to its end, and
nothing that happens in it leaves that task but counters, events and one line in the log.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

import trio

from p2p import hello as hellos
from p2p import session as sessions
from p2p.addresses import Address
from p2p.backoff import Backoff
from p2p.discovery import Discovery
from p2p.errors import P2PError, PeerFault, Refused, TransportBroken
from p2p.gate import Gate, Slot
from p2p.host import Identity, Link, peer_id
from p2p.occasionally import Occasionally
from p2p.peer import Peer
from p2p.session import Session

log = logging.getLogger("qnode.p2p")

# The side with the greater key lets the other dial first: fewer connections made twice.
_STAGGER_S = 0.25
_OWN_KEY = "own-key"


class Owner(sessions.Owner, Protocol):
    """What connections ask of the network that they make up."""

    def retire(self, session: Session, reason: str) -> None:
        """Note that a session has ended."""


class Connections:
    """The tasks behind a `PeerNetwork`; `peers` and `refusals` are its own, seen from here."""

    def __init__(
        self,
        owner: Owner,
        identity: Identity,
        discovery: Discovery,
        peers: Mapping[bytes, Peer],
        refusals: Counter[str],
    ) -> None:
        self._owner = owner
        self._settings = owner.settings
        self._identity = identity
        self._our_key = identity.public_key
        self._discovery = discovery
        self._peers = peers
        self._refusals = refusals
        self._occasionally = Occasionally(log)
        self._gate = Gate(self._settings.pending_per_host_max, self._settings.pending_max)

    @property
    def pending(self) -> int:
        """Inbound connections that are not a member's yet."""
        return self._gate.pending

    async def accept(self, socket: trio.SocketStream) -> None:
        """Carry an inbound connection to its end, if there is a place for it."""
        try:
            host = str(socket.socket.getpeername()[0])
        except OSError:
            return
        slot = self._gate.enter(host)
        if slot is None:
            self._refusals["too-many-pending"] += 1
            await trio.aclose_forcefully(socket)
            return
        try:
            await self._carry(socket, host, dialled=False, expected=None, slot=slot)
        finally:
            slot.release()

    async def keep_connected(self, peer: Peer) -> None:
        """Dial a member whenever it has no connection, until it is removed."""
        backoff = Backoff(self._settings.redial_min_s, self._settings.redial_max_s)
        with peer.dialling:
            while not peer.removed:
                if peer.session is not None:
                    await peer.wait_disconnected()
                    backoff.reset()
                    continue
                if self._our_key > peer.public_key:
                    with trio.move_on_after(_STAGGER_S):
                        await peer.wait_connected()
                peer.dial_now = trio.Event()
                for address in self._discovery.candidates(peer.member):
                    if peer.session is None and not peer.removed:
                        await self._dial(
                            address, peer.public_key, backoff.reset, by_name=peer.member.name
                        )
                if peer.session is None:
                    with trio.move_on_after(backoff.next_s()):
                        await peer.dial_now.wait()

    async def bootstrap(self, address: Address) -> None:
        """Reach whoever is at `address` until that is a member to whom we are connected."""
        backoff = Backoff(self._settings.redial_min_s, self._settings.redial_max_s)
        while True:
            key = await self._dial(address, None, backoff.reset, by_name="bootstrap")
            if key == self._our_key:
                return
            peer = self._peers.get(key) if key is not None else None
            if peer is not None and peer.session is not None:
                await peer.wait_disconnected()
                backoff.reset()
            await trio.sleep(backoff.next_s())

    async def _dial(
        self,
        address: Address,
        expected: bytes | None,
        on_up: Callable[[], None],
        by_name: str,
    ) -> bytes | None:
        """Dial and carry the connection to its end; return the key that answered, if any."""
        where = f"{by_name} at {address}"
        try:
            with trio.fail_after(self._settings.dial_timeout_s):
                socket = await trio.open_tcp_stream(address.host, address.port)
        except (OSError, ValueError, trio.TooSlowError):
            # ValueError: names that cannot be encoded for the resolver.
            log.debug("cannot reach %s", where)
            return None
        session = await self._carry(socket, where, dialled=True, expected=expected, slot=None)
        if session is None:
            return None
        if session.is_up:
            on_up()
            self._discovery.worked(session.public_key, address)
        return session.public_key

    async def _carry(
        self,
        socket: trio.SocketStream,
        where: str,
        *,
        dialled: bool,
        expected: bytes | None,
        slot: Slot | None,
    ) -> Session | None:
        """Run one connection to its end. Whatever it raises ends here, in one line."""
        session: Session | None = None

        async def serve(link: Link) -> None:
            nonlocal session
            session = Session(self._owner, link, self._our_key)
            session.slot = slot
            if link.remote_key == self._our_key:
                raise Refused(_OWN_KEY, by_peer=False)
            await session.run()

        reason = "closed"
        try:
            await self._identity.run_link(
                socket,
                serve,
                dialled=dialled,
                expected=expected,
                timeout_s=self._settings.handshake_timeout_s,
            )
        except P2PError as error:
            why = error
            if session is not None and session.refusal:
                why = Refused(session.refusal, by_peer=False)
            reason = str(why)
            self._count(why, session)
            self._say_why(why, where, session)
        except Exception:  # the edge: nothing that one peer causes may end the node
            reason = "internal error"
            self._refusals["internal-error"] += 1
            log.exception("the connection with %s ended by a bug", where)
        if session is not None:
            self._owner.retire(session, reason)
        return session

    def _count(self, error: P2PError, session: Session | None) -> None:
        match error:
            case Refused():
                if not error.by_peer:  # what the peer refused is counted with its verdict
                    self._refusals[error.reason] += 1
            case PeerFault():
                self._refusals[_dashed(type(error).__name__)] += 1
            case TransportBroken() if session is None:
                self._refusals["handshake-failed"] += 1

    def _say_why(self, error: P2PError, where: str, session: Session | None) -> None:
        name = self._name(session.public_key) if session is not None else ""
        line = f"connection with {name or where} ended: {error}"
        quiet = isinstance(error, Refused) and error.reason in (hellos.ALREADY_CONNECTED, _OWN_KEY)
        if quiet or session is None:
            log.debug("%s", line)
        else:
            self._occasionally.say(line)

    def _name(self, public_key: bytes) -> str:
        peer = self._peers.get(public_key)
        return peer.member.name if peer is not None else peer_id(public_key)


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]
