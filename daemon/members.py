"""`qnode members`: the operator's view of who the members are, and the operator's wishes."""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from daemon.client import Client
from daemon.config import read_config
from daemon.errors import UsageError
from daemon.files import read_json, read_text
from daemon.genesis import parse_policy
from daemon.http import OPERATOR_HEADER
from daemon.identity import read_member_record


def run(client: Client, options: argparse.Namespace) -> None:
    """Performs one of the actions; raises `QnodeError`."""
    match options.action:
        case "list":
            _show(options, client.get("/api/cluster/members"), _show_members)
        case "history":
            _show(options, client.get("/api/cluster/history"), _show_history)
        case "propose":
            document = {"change": _change(client, options)}
            _show(options, _post(client, options, document), _show_noted)
        case "endorse":
            _show(options, _post(client, options, {"id": options.id}), _show_noted)


def _show(options: argparse.Namespace, document: dict[str, Any], draw: Any) -> None:
    if options.json:
        print(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        draw(document)


def _post(client: Client, options: argparse.Namespace, document: dict[str, Any]) -> dict[str, Any]:
    """Shows the node that this is its operator, who can read its data folder."""
    if not options.config.exists():
        raise UsageError(
            f"There is no {options.config}: name this node's configuration with --config, as only "
            "its operator may sign in its name."
        )
    token = read_text(read_config(options.config).data / "operator.token", "operator's token")
    return client.post("/api/cluster/changes", document, **{OPERATOR_HEADER: token.strip()})


# --- from options to a change ------------------------------------------------------------------


def _change(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    match options.change:
        case "join":
            record = read_member_record(options.record)
            return {
                "Join": {
                    "name": record.name,
                    "public_key": record.public_key.hex(),
                    "addresses": list(record.addresses),
                }
            }
        case "leave":
            return {"Leave": {"replica": _number_of(client, options.name)}}
        case "replace":
            record = read_member_record(options.record)
            replica = _number_of(client, options.name)
            return {"ReplaceKey": {"replica": replica, "public_key": record.public_key.hex()}}
        case _:
            return {"SetPolicy": {"policy": _policy(client, options.file)}}


def _number_of(client: Client, name: str) -> int:
    members = client.get("/api/cluster/members")["members"]
    for member in members:
        if member["name"] == name:
            return int(member["replica"])
    raise UsageError(
        f"Nobody is called {name}; the members are {', '.join(m['name'] for m in members)}."
    )


def _policy(client: Client, path: Path) -> dict[str, Any]:
    """The policy in force, with the file's fields in place of its own."""
    wanted = read_json(path, "policy")
    parse_policy(wanted)
    return {**client.get("/api/cluster/members")["policy"], **wanted}


# --- drawing -----------------------------------------------------------------------------------


def _show_members(document: dict[str, Any]) -> None:
    console = Console()
    table = Table(
        title=f"{document['network']}, epoch {document['epoch']} (since slot "
        f"{document['since_slot']}): {document['quorum']} of {len(document['members'])} decide, "
        f"{document['faults_tolerated']} may lie",
        title_justify="left",
    )
    for heading in ("", "member", "weight", "key", ""):
        table.add_column(heading)
    for member in document["members"]:
        notes = [
            "this node" if member["this_node"] else "",
            "" if member["connected"] else "not connected",
            "proven faulty" if member["proven_faulty"] else "",
        ]
        table.add_row(
            str(member["replica"]),
            member["name"],
            f"{member['weight']:.2f}",
            member["public_key"][:16] + "…",
            ", ".join(note for note in notes if note),
        )
    console.print(table)
    if document["pending"]:
        console.print(f"At the next checkpoint: {document['pending']}.", highlight=False)
    for wanted in document["wanted"]:
        _show_wanted(console, wanted)


def _show_wanted(console: Console, wanted: dict[str, Any]) -> None:
    signed = ", ".join(wanted["endorsed_by"])
    console.print(
        f"Wanted [bold]{wanted['id']}[/bold]: {wanted['sentence']}; signed by {signed} "
        f"({len(wanted['endorsed_by'])} of {wanted['needed']} needed).",
        highlight=False,
    )


def _show_noted(document: dict[str, Any]) -> None:
    console = Console()
    if "endorsed_by" not in document:
        console.print(f"{document['sentence']}: enough members have signed.", highlight=False)
        return
    _show_wanted(console, document)
    if len(document["endorsed_by"]) < document["needed"]:
        console.print(
            f"Next: on other members, `qnode members endorse {document['id']}`.", highlight=False
        )
    else:
        console.print("It takes effect at the next checkpoint, in a moment.", highlight=False)


def _show_history(document: dict[str, Any]) -> None:
    console = Console()
    table = Table(title="Epochs", title_justify="left")
    for heading in ("epoch", "since slot", "members", "proven"):
        table.add_column(heading)
    for epoch in document["epochs"]:
        table.add_row(
            str(epoch["epoch"]),
            str(epoch["since_slot"]),
            ", ".join(epoch["members"]),
            "yes" if epoch["proven"] else "not yet",
        )
    console.print(table)
    for change in document["changes"]:
        console.print(
            f"Slot {change['slot']}: {change['sentence']}, signed by "
            f"{', '.join(change['endorsed_by'])}.",
            highlight=False,
        )
    for fault in document["faults"]:
        console.print(
            f"Slot {fault['slot']}: {fault['name']} is proven faulty ({fault['kind']}).",
            highlight=False,
        )
