"""Where the other members were last seen, kept for the next start.

The genesis file may be old and the node's own bootstrap addresses few; after a restart, perhaps
on another port, a node must find the others by itself.
"""

from pathlib import Path

import trio

from daemon.files import read_text, write_whole
from p2p.addresses import parse_dialable
from p2p.errors import BadAddress
from p2p.network import PeerNetwork

_INTERVAL_S = 1.0
_ADDRESSES_MAX = 1_024


def read_peers(path: Path) -> tuple[str, ...]:
    """Addresses written down by an earlier life; what can't be read is passed over."""
    if not path.exists():
        return ()
    lines = read_text(path, "list of peers").splitlines()[:_ADDRESSES_MAX]
    return tuple(line for line in lines if _is_dialable(line))


def _is_dialable(line: str) -> bool:
    try:
        parse_dialable(line)
    except BadAddress:
        return False
    return True


async def keep_peers(path: Path, network: PeerNetwork) -> None:
    """Writes the addresses down whenever they change, until cancelled."""
    written: tuple[str, ...] = ()
    while True:
        await trio.sleep(_INTERVAL_S)
        known = network.known_addresses()
        if known and known != written:
            written = known
            write_whole(path, "\n".join(known) + "\n")
