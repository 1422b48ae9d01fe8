"""TCP multiaddrs: ``/ip4/192.0.2.7/tcp/4001``, with or without ``/p2p/<peer id>`` at the end.

Only what this node can dial is accepted: ip4, ip6, dns, dns4 and dns6, then tcp. Parsed by hand,
because addresses also arrive in records that peers wrote.
"""

import ipaddress
import re
from dataclasses import dataclass, replace

import ifaddr

from p2p.errors import BadAddress

ADDRESS_CHARACTERS_MAX = 256
_DNS_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PEER_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{40,64}")
_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_EXAMPLE = "/ip4/192.0.2.7/tcp/4001"


@dataclass(frozen=True, slots=True)
class Address:
    """One place to listen or dial; `peer_id` is empty where the address does not say who."""

    protocol: str
    host: str
    port: int
    peer_id: str = ""

    def __str__(self) -> str:
        """Return the multiaddr."""
        suffix = f"/p2p/{self.peer_id}" if self.peer_id else ""
        return f"/{self.protocol}/{self.host}/tcp/{self.port}{suffix}"

    @property
    def unspecified(self) -> bool:
        """True for 0.0.0.0 and ::, which can be listened on and not dialled."""
        return self.protocol in ("ip4", "ip6") and ipaddress.ip_address(self.host).is_unspecified

    @property
    def without_peer_id(self) -> "Address":
        """The same place, whoever is there."""
        return replace(self, peer_id="")


def parse_address(text: str) -> Address:
    """Return the parsed multiaddr; raise `BadAddress` with an example otherwise."""
    parts = text.split("/") if len(text) <= ADDRESS_CHARACTERS_MAX else []
    peer_id = ""
    if len(parts) == 7 and parts[5] == "p2p" and _PEER_ID.fullmatch(parts[6]):
        peer_id = parts[6]
    elif len(parts) != 5:
        raise _bad(text)
    _, protocol, host, tcp, port = parts[:5]
    if parts[0] or tcp != "tcp" or not _PORT.fullmatch(port) or int(port) > 65535:
        raise _bad(text)
    return Address(protocol, _parse_host(text, protocol, host), int(port), peer_id)


def parse_dialable(text: str) -> Address:
    """Like `parse_address`, and refuse what nobody can dial: port 0, 0.0.0.0 and ::."""
    address = parse_address(text)
    if address.port == 0 or address.unspecified:
        raise BadAddress(f"{text[:80]!r} cannot be dialled: give a host and a port, as {_EXAMPLE}.")
    return address


def parse_listenable(text: str) -> Address:
    """Like `parse_address`, and refuse what nobody can listen on: names and peer ids."""
    address = parse_address(text)
    if address.protocol not in ("ip4", "ip6") or address.peer_id:
        raise BadAddress(
            f"{text[:80]!r} is no address to listen on: give an IP address and a port, such as "
            "/ip4/0.0.0.0/tcp/4001."
        )
    return address


def expand_unspecified(address: Address) -> list[Address]:
    """Return `address`, or for 0.0.0.0 and :: one address for each of this machine's own.

    Loopback and link-local addresses are left out, unless nothing else is there.
    """
    if not address.unspecified:
        return [address]
    wants = ipaddress.IPv4Address if address.protocol == "ip4" else ipaddress.IPv6Address
    own = {
        ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    usable = sorted(
        str(ip)
        for ip in own
        if isinstance(ip, wants) and not ip.is_loopback and not ip.is_link_local
    )
    if not usable:
        usable = ["127.0.0.1" if address.protocol == "ip4" else "::1"]
    return [replace(address, host=host) for host in usable]


def _parse_host(text: str, protocol: str, host: str) -> str:
    try:
        match protocol:
            case "ip4":
                return str(ipaddress.IPv4Address(host))
            case "ip6":
                return str(ipaddress.IPv6Address(host))
            case "dns" | "dns4" | "dns6" if _DNS_NAME.fullmatch(host):
                return host
    except ValueError:
        pass
    raise _bad(text)


def _bad(text: str) -> BadAddress:
    return BadAddress(
        f"{text[:80]!r} is not a TCP multiaddr: write it as {_EXAMPLE}, if known with "
        "/p2p/<peer id> at the end."
    )
