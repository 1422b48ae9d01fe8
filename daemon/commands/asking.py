"""`qnode ask`, `status`, `verify` and `members`: what a user or an operator wants of a node."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.errors import NodeUnreachable, UsageError

EXIT_INVALID = 1
DEFAULT_URL = "http://127.0.0.1:8080"


def add_commands(commands: Any) -> None:
    """The subcommands `ask`, `status`, `verify` and `members`."""
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

    _add_members(commands)


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
