"""One HTML page about some runs: outcomes, faults, views, decisions, and every message in space and
time. It needs nothing but itself: no script, font or picture is fetched.
"""

import html
import json
from collections.abc import Sequence
from typing import Any

from simulator.plan import Incident
from simulator.report_page import SCRIPT, STYLE
from simulator.run import Result
from simulator.trace import Trace

LETTERS_MAX = 30_000
"""Messages drawn of one run."""


def page(runs: Sequence[tuple[Result, Trace]]) -> str:
    """The whole page."""
    failed = sum(not result.ok for result, _ in runs)
    counted = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    verdict = "all hold" if not failed else f"{failed} of {len(runs)} fail"
    rows = "".join(_row(place, result) for place, (result, _) in enumerate(runs))
    sections = "".join(_section(place, result, trace) for place, (result, trace) in enumerate(runs))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>qnode sim: {counted}, {verdict}</title><style>{STYLE}</style></head><body>
<header><h1>qnode sim</h1><p>{counted}, {verdict}.</p></header>
<main><table class="runs"><thead><tr><th>run</th><th>outcome</th><th>nodes</th><th>faults</th>
<th>decided</th><th>view</th><th>messages</th><th>simulated</th><th>proven faulty</th></tr></thead>
<tbody>{rows}</tbody></table>{sections}</main>
<script>{SCRIPT}</script></body></html>
"""


def _row(place: int, result: Result) -> str:
    figures = result.figures
    accused = ", ".join(f"R{replica}" for replica in figures["accused"]) or "nobody"
    cells = (
        f'<a href="#run{place}">{_text(result.plan.name or f"seed {result.plan.seed}")}</a>',
        f'<span class="{result.finding.value}">{_text(result.finding.value)}</span>',
        result.plan.nodes,
        len(result.plan.faults),
        figures["decided"],
        figures["view"],
        f"{figures['messages']:,}",
        f"{figures['simulated_s']:.1f} s",
        accused,
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _section(place: int, result: Result, trace: Trace) -> str:
    plan = result.plan
    title = _text(plan.name or f"seed {plan.seed}")
    data = json.dumps(_data(result, trace), separators=(",", ":")).replace("</", "<\\/")
    return f"""<section id="run{place}" class="run"><h2>{title}
<span class="{result.finding.value}">{_text(result.finding.value)}</span></h2>
<p class="sentence">{_text(result.sentence)}{_beyond(result)}</p>
<h3>Faults</h3><div class="faults"></div>
<h3>Views and decisions</h3><canvas class="curves" width="1100" height="190"></canvas>
<h3>Messages</h3><p class="hint">Time goes to the right, a line for each node; scroll to zoom, drag
to move. A dot is a message that was lost.</p><div class="kinds"></div>
<canvas class="space" width="1100" height="{30 + 70 * _processes(plan.nodes, trace)}"></canvas>
<h3>What happened</h3><details><summary>{len(trace.moments)} moments</summary>
<ol class="moments"></ol></details>
<script type="application/json" class="data">{data}</script></section>"""


def _beyond(result: Result) -> str:
    if not result.figures["outside_guarantee"]:
        return ""
    return " More nodes are faulty than the network can bear."


def _processes(nodes: int, trace: Trace) -> int:
    seen = [max(letter.source, letter.target) for letter in trace.letters]
    return max([nodes, *(number + 1 for number in seen)])


def _data(result: Result, trace: Trace) -> dict[str, Any]:
    plan = result.plan
    kinds = sorted({letter.kind for letter in trace.letters})
    number = {kind: place for place, kind in enumerate(kinds)}
    end_ms = max(1.0, 1_000 * result.figures["simulated_s"])
    return {
        "nodes": _processes(plan.nodes, trace),
        "end": end_ms,
        "calm": plan.calm_ms,
        "kinds": kinds,
        "faults": [_fault(incident) for incident in plan.faults],
        "letters": [
            [
                letter.sent_us / 1_000,
                None if letter.at_us is None else letter.at_us / 1_000,
                letter.source,
                letter.target,
                number[letter.kind],
                letter.view,
                letter.slot,
            ]
            for letter in trace.letters[:LETTERS_MAX]
        ],
        "moments": [[m.at_us / 1_000, m.process, m.what, m.detail] for m in trace.moments],
    }


def _fault(incident: Incident) -> list[Any]:
    node = incident.get("node")
    rest = {k: v for k, v in incident.settings.items() if k != "node" and v is not None}
    about = ", ".join(_setting(key, value) for key, value in rest.items())
    who = "" if node is None else f"R{node} "
    return [f"{who}{incident.kind}", about, incident.at_ms, incident.until_ms]


def _setting(name: str, value: Any) -> str:
    """For people: `share_bp = 500` is 5 %, a yes is the name alone, a list has no brackets."""
    if name == "share_bp":
        return f"{value / 100:g} %"
    if isinstance(value, bool):
        return name if value else f"not {name}"
    return f"{name.replace('_', ' ')} {_words(value)}"


def _words(value: Any) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    if any(isinstance(element, list | tuple) for element in value):
        return " | ".join(_words(element) for element in value)
    return " ".join(map(str, value))


def _text(value: object) -> str:
    return html.escape(str(value))
