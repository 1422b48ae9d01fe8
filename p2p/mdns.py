"""Find members on the local network by multicast DNS; off unless the settings say otherwise.

What is heard here is only a hint where to dial: who answers is proven by the handshake. The
service name carries eight hexadecimal digits of the network id, so networks do not mix.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from ipaddress import ip_address

import trio
from zeroconf import ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from p2p.addresses import Address

log = logging.getLogger("qnode.p2p")

_RESOLVE_TIMEOUT_MS = 1500
_ADDRESSES_MAX = 8
_CLOSE_TIMEOUT_S = 1.0
_PEER_ID = b"peer"

OnFound = Callable[[str, str], None]


def service_type(network_id: bytes) -> str:
    """Return the DNS-SD type of that network; its first label has 14 of 15 allowed characters."""
    return f"_qnode-{network_id[:4].hex()}._tcp.local."


async def advertise_and_browse(
    network_id: bytes,
    peer_id: str,
    announced: Iterable[Address],
    on_found: OnFound,
) -> None:
    """Say where we are and call ``on_found(peer id, multiaddr)`` for what others say, forever.

    zeroconf runs a thread of its own; `on_found` is called in trio's. A machine without multicast
    is logged and otherwise ignored.
    """
    addresses = [address for address in announced if address.protocol in ("ip4", "ip6")]
    token = trio.lowlevel.current_trio_token()
    try:
        zeroconf = await trio.to_thread.run_sync(Zeroconf)
    except OSError as error:
        log.warning("mDNS is not available here (%s): members are found by address only", error)
        return
    try:
        kind = service_type(network_id)
        infos = [
            info
            for port in {a.port for a in addresses}
            if (info := _info(kind, peer_id, port, addresses))
        ]
        for info in infos:
            await trio.to_thread.run_sync(zeroconf.register_service, info)
        ServiceBrowser(zeroconf, kind, listener=_Listener(token, on_found))
        await trio.sleep_forever()
    finally:
        # A thread of its own, because closing says goodbye on the network and may hang there.
        closing = threading.Thread(target=zeroconf.close, name="mdns-close", daemon=True)
        closing.start()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(closing.join, _CLOSE_TIMEOUT_S)


class _Listener(ServiceListener):
    """Runs in zeroconf's thread."""

    def __init__(self, token: trio.lowlevel.TrioToken, on_found: OnFound) -> None:
        self._token = token
        self._on_found = on_found

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        info = zc.get_service_info(type_, name, timeout=_RESOLVE_TIMEOUT_MS)
        if info is None or info.port is None:
            return
        peer_id = (info.properties.get(_PEER_ID) or b"").decode("ascii", "replace")
        for host in info.parsed_addresses()[:_ADDRESSES_MAX]:
            protocol = "ip6" if ":" in host else "ip4"
            try:
                self._token.run_sync_soon(
                    self._on_found, peer_id, f"/{protocol}/{host}/tcp/{info.port}"
                )
            except trio.RunFinishedError:
                return

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Nothing: the connection itself tells when a member is gone."""


def _info(kind: str, peer_id: str, port: int, addresses: list[Address]) -> ServiceInfo | None:
    hosts = [ip_address(address.host) for address in addresses if address.port == port]
    if not hosts:
        return None
    label = f"{peer_id[-24:]}-{port}"
    return ServiceInfo(
        kind,
        f"{label}.{kind}",
        addresses=[host.packed for host in hosts],
        port=port,
        properties={_PEER_ID: peer_id.encode()},
        server=f"{label}-{socket.gethostname().split('.')[0][:20]}.local.",
    )
