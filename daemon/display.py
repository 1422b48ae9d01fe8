"""Decisions, certificates and status, drawn on the terminal."""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from daemon import values
from daemon.labels import label

_STYLES = {
    "agreed": "bold green",
    "agreed_low_confidence": "bold yellow",
    "no_agreement": "bold red",
    "single": "bold yellow",
}
_STAGES = ("accepted", "committed", "sealed", "revealed", "proposed", "prepared", "decided")
_BAR_CELLS = 36
_BIDI_CONTROLS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")

console = Console(highlight=False, soft_wrap=False)
progress_console = Console(stderr=True, highlight=False)


@contextmanager
def thinking(*, quiet: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A progress line that follows a record through the protocol's stages."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=progress_console,
        transient=True,
        disable=quiet,
    ) as progress:
        task = progress.add_task(label("thinking"), total=len(_STAGES))

        def update(record: dict[str, Any]) -> None:
            entries = record.get("timeline", [])
            stages = [entry["stage"] for entry in entries]
            reached = max((_STAGES.index(s) for s in stages), default=0)
            voices = {e["by"] for e in entries if e["stage"] == _STAGES[reached]}
            description = f"{label(_STAGES[reached])} ({', '.join(sorted(voices))})"
            progress.update(task, completed=reached + 1, description=description)

        yield update


def plain(value: Any) -> Any:
    """The same document without characters that command a terminal or reorder its text.

    Answers are the words of other members; they are data.
    """
    if isinstance(value, str):
        return "".join("\ufffd" if _commands(character) else character for character in value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def _commands(character: str) -> bool:
    if unicodedata.category(character) in ("Cc", "Cs"):
        return character not in "\n\t"
    return unicodedata.bidirectional(character) in _BIDI_CONTROLS


def show_decision(record: dict[str, Any]) -> None:
    """Everything about one decision: the answer first, then why."""
    record = plain(record)
    if record.get("mode") == "single":
        title = f"{label('single')}: {record['name']}"
        body = Text(record["answer"])
        if record.get("values"):
            said = Text(values.said(record["values"], record["units"]), style="bold")
            body = Text("\n").join([said, body])
        console.print(Panel(body, title=title, border_style="yellow"))
        _show_checks(record)
        return
    console.print(_headline(record))
    _show_checks(record)
    if record["values"]:
        console.print(values.table(record["values"]))
    console.print(_answers(record))
    parts: list[RenderableType] = [Group(*_similarity(record)), _votes(record)]
    if record.get("timeline"):
        parts.append(_timeline(record))
    for part in parts:
        console.print(Padding(part, (0, 0, 1, 0)))
    for evidence in record.get("evidence", ()):
        console.print(
            f"[red]{label('Evidence')}:[/] {evidence['name']} {label('signed two different')} "
            f"{evidence['message']}"
        )


def _headline(record: dict[str, Any]) -> Panel:
    status = record["status"]
    style = _STYLES[status]
    body = Text()
    body.append(f"{label('Question')}: {record['question']}\n", style="dim")
    if record["values"]:
        body.append(values.headline(record["values"]))
    if record["answer"] is not None:
        heading, weight = ("Reason", "") if record["values"] else ("Answer", "bold")
        body.append(f"{label(heading)}: ", style=weight)
        body.append(record["answer"], style=weight)
    else:
        body.append(label("No agreement"), style=style)
        if record["fallback"]:
            body.append("\n" + label("Fallback, one node's answer, not agreed"), style="yellow")
            body.append(f": {record['fallback']['name']}: {record['fallback']['text']}")
    facts = [
        f"{label('agreement')} {record['agreement_rate']:.0%}",
        f"{label('confidence')} {record['confidence']:.2f}",
        f"{len(record['signatures'])}/{record['replicas']} {label('signatures')}",
    ]
    if record.get("elapsed_s") is not None:
        facts.append(f"{label('elapsed')} {record['elapsed_s']:.2f} s")
        facts.append(f"{label('slowest model')} {record['inference_s']:.2f} s")
    return Panel(
        body,
        title=Text(label(status), style=style),
        subtitle=" · ".join(facts),
        border_style=style.split()[-1],
        padding=(1, 2),
    )


def _show_checks(record: dict[str, Any]) -> None:
    """The validator's scores with its advice, and what is suspicious about the question."""
    if found := record.get("validation"):
        scores = " · ".join(
            f"{label(name)} {found[name]:.2f}" for name in ("quality", "relevance", "consistency")
        )
        verdict = label("valid answer" if found["valid"] else "doubtful answer")
        style = "dim" if found["valid"] else "yellow"
        console.print(Text(f"{verdict} {found['overall']:.2f}: {scores}", style=style))
        for flaw, advice in zip(found["flaws"], found["advice"], strict=True):
            console.print(Text(f"  {flaw}: {advice}", style="yellow"))
    report = record.get("inspection")
    if report and report["suspicious"]:
        parts = ", ".join((*report["injections"], *report["markers"]))
        console.print(Text(f"{label('The question speaks to the model')}: {parts}", style="red"))


def _answers(record: dict[str, Any]) -> Table:
    table = Table(title=label("Who said what"), title_justify="left", expand=True)
    table.add_column(label("Node"), no_wrap=True)
    if record["values"]:
        table.add_column(label("Value"), overflow="fold")
    table.add_column(label("Reason" if record["values"] else "Answer"), ratio=1, overflow="fold")
    table.add_column(label("Time"), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    winner = record["clusters"][0] if record["answer"] is not None else []
    for answer in record["answers"]:
        won = answer["name"] in winner
        remark = Text()
        if answer["cluster"] is None:
            remark.append(label(answer["finish"]), style="yellow")
        else:
            remark.append(label("won" if won else "outvoted"), style="green" if won else "red")
        if answer["late"]:
            remark.append(f", {label('late')}", style="yellow")
        said = Text(answer["text"] or answer["note"], style="" if answer["text"] else "dim")
        if answer["finish"] == "length":
            said.append(f"… [{label('cut at the token limit')}]", style="dim")
        if answer["text"] and answer["note"]:
            said.append(f" [{answer['note']}]", style="dim")
        cells = [said, Text(f"{answer['elapsed_s']:.2f} s"), remark]
        if record["values"]:
            cells.insert(0, Text(values.said(answer["values"], values.units(record["values"]))))
        table.add_row(answer["name"], *cells)
    return table


def _similarity(record: dict[str, Any]) -> list[RenderableType]:
    names = record["similarity"]["names"]
    if len(names) < 2:
        return []
    table = Table(title=label("Similarity"), title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="center")
    against = {frozenset(c["between"]) for c in record["contradictions"]}
    for name, row in zip(names, record["similarity"]["matrix"], strict=True):
        cells = [
            _cell(value, contradicted=frozenset((name, other)) in against)
            for other, value in zip(names, row, strict=True)
        ]
        table.add_row(name, *cells)
    lines: list[RenderableType] = [table]
    lines += [
        Text(f"  {' ≠ '.join(c['between'])}: {c['reason']}", style="red")
        for c in record["contradictions"]
    ]
    return lines


def _cell(value: float, *, contradicted: bool) -> Text:
    if contradicted:
        return Text(f"{value:.2f} ≠", style="red")
    return Text(f"{value:.2f}", style="green" if value >= 0.85 else "yellow")


def _votes(record: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    clusters = "  ".join("{" + ", ".join(cluster) + "}" for cluster in record["clusters"])
    table.add_row(label("clusters"), clusters or "–")
    signers = ", ".join(signature["name"] for signature in record["signatures"])
    quorum = f"{label('quorum')} {record['quorum']} / {record['replicas']}"
    table.add_row(label("signatures"), f"{signers}  ({quorum})")
    table.add_row("", f"view {record['view']}, sequence number {record['sequence_number']}")
    return table


def _timeline(record: dict[str, Any]) -> Table:
    """When each stage was reached, as bars on one scale."""
    entries = record["timeline"]
    end = max(entry["at_s"] for entry in entries) or 1e-3
    table = Table.grid(padding=(0, 1))
    table.add_row(Text(label("Timeline"), style="italic"))
    for stage in _STAGES:
        reached = [entry for entry in entries if entry["stage"] == stage]
        if not reached:
            continue
        bar = ["·"] * (_BAR_CELLS + 1)
        for entry in reached:
            bar[round(entry["at_s"] / end * _BAR_CELLS)] = "●"
        first, last = reached[0]["at_s"], reached[-1]["at_s"]
        span = f"{first:.2f} s" if first == last else f"{first:.2f}–{last:.2f} s"
        table.add_row(label(stage), Text("".join(bar), style="cyan"), span)
    return table


def show_verified(record: dict[str, Any]) -> None:
    """A certificate that holds."""
    console.print(
        f"[bold green]{label('Valid')}[/] ({label('checked offline')}): "
        f"{len(record['signatures'])} / {record['replicas']} {label('members')}, "
        f"{label('quorum')} {record['quorum']}"
    )
    show_decision(record)


def show_status(status: dict[str, Any]) -> None:
    """The node and its peers."""
    status = plain(status)
    agree = "[green]yes[/]" if status["can_agree"] else "[red]no[/]"
    console.print(
        f"[bold]{status['name']}[/] is {status['state']} in network "
        f"[bold]{status['network']}[/]: {status['reachable']} of {len(status['members'])} members "
        f"reachable, {status['quorum']} needed to agree: {agree}"
    )
    console.print(
        f"model {status['model'] or '–'} on {status['device'] or '–'}; primary "
        f"{status['primary']}; {status['decided']} slots decided, {status['open_requests']} "
        "questions open"
    )
    table = Table(title=label("members"), title_justify="left")
    for column in (label("Node"), label("Status"), label("address"), "rtt", "in", "out"):
        table.add_column(column)
    for peer in status["peers"]:
        state = "[green]" + label("connected") if peer["connected"] else "[red]" + label("away")
        rtt = "–" if peer["rtt_ms"] is None else f"{peer['rtt_ms']:.1f} ms"
        table.add_row(
            peer["name"], state, peer["address"] or "–", rtt,
            f"{peer['bytes_in'] / 1024:.0f} KiB", f"{peer['bytes_out'] / 1024:.0f} KiB",
        )  # fmt: skip
    console.print(table)
    for evidence in status["evidence"]:
        console.print(
            f"[red]{label('Evidence')}:[/] {evidence['name']} {label('signed two different')} "
            f"{evidence['message']}"
        )
