"""`qnode bench sim`: how fast the simulator is, with its own signatures and with real ones."""

import argparse
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.table import Table

from daemon import display
from daemon.keyring import CONTEXT, Ed25519Keyring
from p2p import envelope
from p2p.errors import BadSignature
from pbft.membership import Member, Membership
from pbft.types import ReplicaId
from simulator.bench import bench
from simulator.plan import Plan
from simulator.trace import Trace
from simulator.world import World


def run(options: argparse.Namespace) -> int:
    with display.progress_console.status("measuring") as status:
        found = bench(options, lambda what: status.update(f"measuring {what}"), real_world)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    table = Table(title="The simulator, per core", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), json.dumps(value) if name == "large" else str(value))
    display.console.print(table)
    return 0


def real_world(plan: Plan, trace: Trace | None = None) -> World:
    """Ed25519 under every message, and every message encoded and decoded on its way."""
    keys = [
        Ed25519PrivateKey.from_private_bytes((i + 1).to_bytes(32, "big")) for i in range(plan.nodes)
    ]
    members = Membership.first(
        tuple(
            Member(ReplicaId(i), f"node{i}", envelope.public_bytes(key))
            for i, key in enumerate(keys)
        )
    )
    world = World(plan, trace, lambda i: Ed25519Keyring(keys[i]), members, wire=True)
    world.checkers.check = _is_right
    return world


def _is_right(public_key: bytes, data: bytes, signature: bytes) -> bool:
    try:
        envelope.verify(public_key, CONTEXT, data, signature)
    except BadSignature:
        return False
    return True
