"""`qnode init`, `genesis` and `prepare`: what is made before a node can run."""

import argparse
from pathlib import Path
from typing import Any

from daemon.errors import UsageError


def add_founding(commands: Any) -> None:
    """The subcommands `init` and `genesis`."""
    init = commands.add_parser("init", help="make this node's identity and configuration")
    init.add_argument("folder", type=Path, nargs="?", default=Path(), help="default: here")
    init.add_argument("--name", required=True, help="what the other members call this node")
    init.add_argument(
        "--address", action="append", default=[], metavar="MULTIADDR",
        help="where others reach this node, such as /ip4/192.0.2.1/tcp/4001 (repeatable)",
    )  # fmt: skip
    init.add_argument(
        "--listen", default="/ip4/0.0.0.0/tcp/4001", metavar="MULTIADDR",
        help="where to listen for the other members (default: %(default)s)",
    )  # fmt: skip
    init.add_argument("--http-port", type=int, default=8080, help="default: %(default)s")
    init.set_defaults(command=_init)

    genesis = commands.add_parser("genesis", help="combine the members' records into a network")
    genesis.add_argument("records", type=Path, nargs="+", help="each member's member.json")
    genesis.add_argument("--network", required=True, help="name of the network")
    genesis.add_argument("--policy", type=Path, help="JSON file with policy fields to change")
    genesis.add_argument("--embedder", help="model that measures similarity, on all members")
    genesis.add_argument(
        "--entailment", default="", metavar="MODEL",
        help="model that judges entailment besides, on all members; wants a GPU on each",
    )  # fmt: skip
    genesis.add_argument("--out", type=Path, default=Path("genesis.json"))
    genesis.set_defaults(command=_genesis)


def add_prepare(commands: Any) -> None:
    """The subcommand `prepare`."""
    prepare = commands.add_parser("prepare", help="convert the packaged model into the cache")
    prepare.set_defaults(command=_prepare)


def _init(options: argparse.Namespace) -> int:
    from daemon.setup import init

    init(
        options.folder,
        name=options.name,
        addresses=options.address,
        listen=options.listen,
        http_port=options.http_port,
    )
    folder = options.folder
    print(f"Made {folder / 'identity.key'} (secret), {folder / 'member.json'} (for the others)")
    print(f"and {folder / 'qnode.toml'} (edit it as you like).")
    print("Next: send member.json to whoever runs `qnode genesis`, and put the genesis.json that")
    print(f"comes back into {folder.resolve()}.")
    return 0


def _genesis(options: argparse.Namespace) -> int:
    from daemon.files import read_json, write_new
    from daemon.genesis import combine, parse_policy
    from daemon.identity import read_member_record
    from inference.catalog import DEFAULT_EMBEDDER

    policy = parse_policy(read_json(options.policy, "policy") if options.policy else {})
    records = [read_member_record(path) for path in options.records]
    embedder = options.embedder or DEFAULT_EMBEDDER
    genesis = combine(options.network, records, policy, embedder, options.entailment)
    write_new(options.out, genesis.to_text())
    members = genesis.membership
    print(f"Made {options.out}: network {genesis.network_name}, id {genesis.network.hex()[:16]}…")
    print(
        f"{members.n} members, {members.quorum} must agree; tolerates {members.f} liars and "
        f"{members.n - members.quorum} silent nodes."
    )
    print("Give this same file to every member.")
    return 0


def _prepare(_: argparse.Namespace) -> int:
    from inference.catalog import default_cache_dir
    from inference.errors import ModelUnavailable
    from inference.packaged import prepare

    try:
        prepare(default_cache_dir(), print)
    except ModelUnavailable as error:
        raise UsageError(str(error)) from None
    return 0
