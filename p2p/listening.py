"""Open the listening sockets, and say what is wrong when that fails."""

import errno
from collections.abc import Iterable
from dataclasses import replace

import trio

from p2p.addresses import Address, expand_unspecified, parse_listenable
from p2p.errors import ListenAddressInUse, ListenAddressUnavailable

_BACKLOG = 128


async def open_listeners(texts: Iterable[str]) -> list[trio.SocketListener]:
    """Return listening sockets for the multiaddrs, all or none.

    Plain sockets, not libp2p's: those set SO_REUSEPORT, and then a second process on the same
    port is not an error but gets every other connection.

    Raises `BadAddress`, `ListenAddressInUse` or `ListenAddressUnavailable`.
    """
    listeners: list[trio.SocketListener] = []
    try:
        for text in texts:
            listeners += await _open(text)
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


def listening_addresses(listeners: Iterable[trio.SocketListener]) -> list[Address]:
    """Return the addresses with their real ports, 0.0.0.0 and :: as the machine's own."""
    found: list[Address] = []
    for listener in listeners:
        host, port = listener.socket.getsockname()[:2]
        address = Address("ip6" if ":" in host else "ip4", host, port)
        found += [replace(one, port=port) for one in expand_unspecified(address)]
    return found


async def _open(text: str) -> list[trio.SocketListener]:
    address = parse_listenable(text)
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host, backlog=_BACKLOG)
    except OSError as error:
        cause = _innermost(error)
        if cause.errno == errno.EADDRINUSE:
            raise ListenAddressInUse(text) from error
        raise ListenAddressUnavailable(
            text,
            f"This node cannot listen on {text} ({cause.strerror}): give an address of this "
            "machine and a port that this user may open.",
        ) from error
    return list(listeners)


def _innermost(error: OSError) -> OSError:
    # trio may wrap the errors of several sockets into one without an errno.
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.errno is not None):
        cause = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause.__cause__
    return cause if isinstance(cause, OSError) else error
