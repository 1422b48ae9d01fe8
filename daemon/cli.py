"""The command line. Heavy imports are inside the commands, so that `qnode --help` is quick."""

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from daemon import judging
from daemon.errors import NodeUnreachable, QnodeError, UsageError
from simulator.errors import SimulatorError

EXIT_INVALID = 1
EXIT_INTERRUPTED = 130
DEFAULT_URL = "http://127.0.0.1:8080"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Errors are one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may lack characters of an answer
    try:
        options = _parser().parse_args(arguments)
        code: int = options.command(options)
    except BaseException as error:  # noqa: BLE001 - raised again unless it is for people
        return report(error)
    return code


def report(error: BaseException) -> int:
    """Says what ended a command, in one sentence; a bug of ours keeps its traceback.

    Errors that left a nursery come in groups, with the operator's or the disk's fault inside.
    """
    causes = list(_leaves(error))
    for cause in causes:
        if isinstance(cause, QnodeError):
            print(f"qnode: {cause}", file=sys.stderr)
            return cause.exit_code
        if isinstance(cause, SimulatorError):
            print(f"qnode: {cause}", file=sys.stderr)
            return UsageError.exit_code
    if any(isinstance(cause, BrokenPipeError) for cause in causes):
        # Whoever read our output went away; nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        print("qnode: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    raise error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="qnode",
        description="A node of a network whose language models agree on answers by vote.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_setup_commands(commands)
    _add_user_commands(commands)
    _add_members(commands)
    _add_demo(commands)
    _add_bench(commands)
    _add_sim(commands)
    return parser


def _add_setup_commands(commands: Any) -> None:
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

    run = commands.add_parser("run", help="run this node until interrupted")
    run.add_argument("--config", type=Path, default=Path("qnode.toml"))
    run.add_argument("--verbose", action="store_true", help="log every refused message")
    run.add_argument(
        "--join", action="store_true",
        help="start before this node is a member, and follow until the members let it in",
    )  # fmt: skip
    run.set_defaults(command=_run)

    prepare = commands.add_parser("prepare", help="convert the packaged model into the cache")
    prepare.set_defaults(command=_prepare)


def _add_user_commands(commands: Any) -> None:
    ask = commands.add_parser("ask", help="ask the network a question")
    ask.add_argument("question")
    ask.add_argument("--mode", choices=("consensus", "single"), default="consensus")
    ask.add_argument("--language", choices=("en", "zh-TW"))
    form = ask.add_mutually_exclusive_group()
    form.add_argument("--labels", metavar="A,B,…", help="answer with one of these labels")
    form.add_argument("--number", action="store_true", help="answer with a number, see --unit")
    form.add_argument(
        "--fields", type=Path, metavar="FILE",
        help='answer with several values: JSON {"fields": [{"name", "kind", "labels" or "unit"}]}',
    )  # fmt: skip
    ask.add_argument("--unit", help="of the number, such as USD")
    ask.add_argument("--max-tokens", type=int, default=512)
    ask.add_argument("--timeout", type=float, metavar="SECONDS", help="for each node to answer")
    ask.add_argument("--certificate", type=Path, metavar="FILE", help="save the certificate")
    _add_node_options(ask)
    ask.set_defaults(command=_ask)

    status = commands.add_parser("status", help="show how the node and its network are")
    _add_node_options(status)
    status.set_defaults(command=_status)

    verify = commands.add_parser("verify", help="check a certificate offline")
    verify.add_argument("certificate", type=Path)
    verify.add_argument("--genesis", type=Path, required=True)
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(command=_verify)


def _add_node_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", metavar="URL", help=f"default: of --config, or {DEFAULT_URL}")
    parser.add_argument("--config", type=Path, default=Path("qnode.toml"))
    parser.add_argument("--json", action="store_true")


def _add_members(commands: Any) -> None:
    members = commands.add_parser("members", help="show and change who the members are")
    actions = members.add_subparsers(required=True, metavar="ACTION", dest="action")

    listed = actions.add_parser("list", help="the members now, and the changes somebody wants")
    history = actions.add_parser("history", help="all epochs, changes and proven faults")
    propose = actions.add_parser("propose", help="want a change, and sign it for this node")
    endorse = actions.add_parser("endorse", help="sign a change that somebody wants")
    endorse.add_argument("id", help="of the change, as `qnode members list` shows it")

    kinds = propose.add_subparsers(required=True, metavar="CHANGE", dest="change")
    join = kinds.add_parser("join", help="a further member")
    join.add_argument("record", type=Path, help="the new node's member.json")
    leave = kinds.add_parser("leave", help="a member less")
    leave.add_argument("name")
    replace = kinds.add_parser("replace", help="another key for a member")
    replace.add_argument("name")
    replace.add_argument("record", type=Path, help="the member.json with the new key")
    policy = kinds.add_parser("policy", help="other values for some fields of the policy")
    policy.add_argument("file", type=Path, help="JSON file with the fields to change")
    for parser in (listed, history, endorse, join, leave, replace, policy):
        _add_node_options(parser)
        parser.set_defaults(command=_members)


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser("demo", help="run a whole network on this machine and ask it")
    demo.add_argument("--nodes", type=int, default=4, metavar="N")
    demo.add_argument("--ask", action="append", metavar="TEXT", help="repeatable")
    demo.add_argument(
        "--fault", choices=("lie", "slow", "crash", "equivocate"), help="one node misbehaves"
    )
    demo.add_argument("--keep", action="store_true", help="leave the network running")
    demo.add_argument("--folder", type=Path, default=Path("qnode-demo"))
    demo.add_argument("--json", action="store_true")
    demo.set_defaults(command=_demo)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="measure speed, and what liars achieve")
    kinds = bench.add_subparsers(required=True, metavar="WHAT")
    judging.add_commands(commands, kinds)
    consensus = kinds.add_parser(
        "consensus", help="consensus alone: real nodes, instant answers, and the machine's floor"
    )
    size = consensus.add_mutually_exclusive_group()
    # The default is not given here: argparse does not see two options that exclude each other if
    # one is given its default.
    size.add_argument("--nodes", type=int, metavar="N", help="default: 4")
    size.add_argument(
        "--sizes", type=_whole_numbers, metavar="N,N…", help="one network after the other"
    )
    consensus.add_argument(
        "--concurrency", type=_whole_numbers, default="1,32,64", metavar="C,C…",
        help="questions open at once, one level after the other (default: %(default)s)",
    )  # fmt: skip
    consensus.add_argument(
        "--seconds", type=float, default=10.0, help="measured per level (default: %(default)g)"
    )
    consensus.add_argument("--decisions", type=int, metavar="N", help="stop a level after so many")
    consensus.add_argument(
        "--folder", type=Path, help="where the nodes' files go for the time (default: the system's)"
    )
    consensus.add_argument("--json", action="store_true")
    consensus.set_defaults(command=_bench_consensus)
    agreement = kinds.add_parser(
        "agreement", help="comparing 16 answers of 100 words with one another, part by part"
    )
    agreement.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    agreement.add_argument(
        "--threads", type=int, default=2, help="of the embedder (default: %(default)s)"
    )
    agreement.add_argument("--json", action="store_true")
    agreement.set_defaults(command=_bench_agreement)
    sim = kinds.add_parser("sim", help="the simulator: decisions, seeds and twins per core")
    sim.add_argument("--scale", type=float, default=1.0, help="longer or shorter (default: 1)")
    sim.add_argument(
        "--large", type=int, default=100, metavar="N", help="one decision of N nodes; 0: none"
    )
    sim.add_argument("--json", action="store_true")
    sim.set_defaults(command=_bench_sim)


def _add_sim(commands: Any) -> None:
    from simulator.cli import add_commands

    sim = commands.add_parser("sim", help="faulty and lying nodes in virtual time")
    actions = sim.add_subparsers(required=True, metavar="ACTION")
    add_commands(actions)
    live = actions.add_parser("live", help="run scenarios against real nodes on this machine")
    live.add_argument("scenario", type=Path, nargs="+")
    live.add_argument("--folder", type=Path, help="where the nodes' files go")
    live.add_argument("--models", action="store_true", help="real models, not instant answers")
    live.add_argument("--json", action="store_true")
    live.set_defaults(command=_sim_live)


def _whole_numbers(text: str) -> list[int]:
    """For argparse, which says which option is wrong."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("must be whole numbers with commas between") from None


# --- setting up --------------------------------------------------------------------------------


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


def _run(options: argparse.Namespace) -> int:
    import trio

    from daemon import logs
    from daemon.config import read_config
    from daemon.node import run

    config = read_config(options.config)
    logs.set_up(config.data, verbose=options.verbose)
    return trio.run(run_until_signalled, partial(run, join=options.join), config)


async def run_until_signalled(run: Any, config: Any, *args: Any) -> int:
    """Runs the node until SIGINT or SIGTERM, then lets it close within its deadlines."""
    import trio

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                async for _ in signals:
                    print("qnode: stopping.", file=sys.stderr)
                    nursery.cancel_scope.cancel()
                    return

            nursery.start_soon(watch)
            await run(config, *args)
            nursery.cancel_scope.cancel()
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


# --- using -------------------------------------------------------------------------------------


def _url(options: argparse.Namespace) -> str:
    """The node's address: as given, or as the node of this folder wrote it down."""
    if options.node:
        return str(options.node)
    from daemon.config import read_config

    if not options.config.exists():
        return DEFAULT_URL
    config = read_config(options.config)
    try:
        return (config.data / "http.url").read_text().strip()
    except OSError:
        raise NodeUnreachable(
            f"The node of {options.config} has not been started yet; start it with `qnode run`."
        ) from None


def _ask(options: argparse.Namespace) -> int:
    from daemon import display
    from daemon.client import Client
    from daemon.files import write_whole

    client = Client(_url(options))
    query = {"question": options.question, "mode": options.mode, "max_tokens": options.max_tokens}
    query |= _form(options)
    if options.language:
        query["language"] = options.language
    if options.timeout is not None:
        query["timeout_s"] = options.timeout
    with display.thinking(quiet=options.json) as progress:
        record = client.ask(query, progress)
    if options.certificate and "certificate" in record:
        write_whole(options.certificate, client.get_text(record["certificate"]))
    if options.json:
        print(json.dumps(record, ensure_ascii=False, indent=1))
    else:
        with _expecting_a_node(client.url):
            display.show_decision(record)
    return 0


def _form(options: argparse.Namespace) -> dict[str, Any]:
    """The kind of answer that was asked for."""
    from daemon.files import read_json

    if options.unit is not None and not options.number:
        raise UsageError("--unit is for numbers; give --number too.")
    if options.labels is not None:
        labels = [label.strip() for label in options.labels.split(",")]
        return {"kind": "label", "labels": labels}
    if options.number:
        return {"kind": "number", "unit": options.unit or ""}
    if options.fields is not None:
        return {"kind": "schema", "fields": read_json(options.fields, "fields file").get("fields")}
    return {}


@contextmanager
def _expecting_a_node(url: str) -> Iterator[None]:
    """What is shown came over HTTP, from whatever listens there."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, IndexError):
        raise NodeUnreachable(
            f"What answers at {url} is no qnode of this version; name the node with --node."
        ) from None


def _status(options: argparse.Namespace) -> int:
    from daemon import display
    from daemon.client import Client

    client = Client(_url(options))
    status = client.get("/api/ai/status")
    if options.json:
        print(json.dumps(status, ensure_ascii=False, indent=1))
    else:
        with _expecting_a_node(client.url):
            display.show_status(status)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from daemon import display
    from daemon.genesis import read_genesis
    from daemon.verification import verify_file
    from pbft.errors import InvalidCertificate

    genesis = read_genesis(options.genesis)
    try:
        record = verify_file(options.certificate, genesis)
    except InvalidCertificate as error:
        if options.json:
            print(json.dumps({"valid": False, "reason": str(error)}))
        else:
            print(f"INVALID: {options.certificate} proves nothing. {error}")
        return EXIT_INVALID
    if options.json:
        print(json.dumps({"valid": True, **record}, ensure_ascii=False, indent=1))
    else:
        display.show_verified(record)
    return 0


def _members(options: argparse.Namespace) -> int:
    from daemon import members
    from daemon.client import Client

    client = Client(_url(options))
    with _expecting_a_node(client.url):
        members.run(client, options)
    return 0


def _demo(options: argparse.Namespace) -> int:
    import trio

    from daemon.demo import Demo

    return trio.run(Demo(options).run)


def _bench_consensus(options: argparse.Namespace) -> int:
    import trio

    from daemon.bench.consensus import ConsensusBench

    return trio.run(ConsensusBench(options).run)


def _bench_agreement(options: argparse.Namespace) -> int:
    from daemon.bench.agreement import run

    return run(options)


def _bench_sim(options: argparse.Namespace) -> int:
    from daemon.bench.sim import run

    return run(options)


def _sim_live(options: argparse.Namespace) -> int:
    import runpy

    # It stands above the daemon, which it starts: the daemon does not import it.
    live = runpy.run_module("simulator.live.scenario")
    code: int = live["run"](options)
    return code


if __name__ == "__main__":
    sys.exit(main())
