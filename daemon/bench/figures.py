"""From the nodes' reports to figures. Pure: moments in, figures out.

*Overhead* of a question: from the moment when the last of the answers in its seals was ready, on
the node that gave it, to the moment when the node that was asked had made the certificate of the
decided slot. *Decisions per second*: certificates after the warm-up and before the asking stops,
over the time that they took.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from daemon.bench.network import Report

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sums over all nodes, since their start."""

    frames: int
    sent_bytes: int
    slots: int
    views: int
    core_s: float


def traffic(reports: Iterable[Report]) -> Traffic:
    everyone = list(reports)
    return Traffic(
        frames=sum(report.frames_out for report in everyone),
        sent_bytes=sum(report.bytes_out for report in everyone),
        slots=max(report.slots for report in everyone),
        views=max(report.view for report in everyone),
        core_s=sum(report.core_s for report in everyone),
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """One question's end."""

    certified_ns: int
    overhead_ms: float


def decisions(reports: Sequence[Report]) -> list[Decision]:
    """All questions of the reports, in order of their certificates. `reports` are in order of
    replica."""
    ready_ns = [dict(report.ready_ns) for report in reports]
    found = []
    for report in reports:
        for number, certified_ns, sealed in report.certified:
            last_ns = max(ready_ns[replica][number] for replica in sealed)
            found.append(Decision(certified_ns, (certified_ns - last_ns) / _NS_PER_MS))
    return sorted(found, key=lambda decision: decision.certified_ns)


def percentile(values: Sequence[float], percent: int) -> float:
    """The least value that at least `percent` % of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(0, rank - 1)]


@dataclass(frozen=True, slots=True)
class Level:
    """What was measured at one size and one number of questions open at once."""

    nodes: int
    concurrency: int
    decisions: int
    seconds: float
    decisions_per_s: float
    overhead_ms_p50: float
    overhead_ms_p95: float
    messages_per_decision: float
    bytes_per_decision: float
    decisions_per_slot: float
    core_ms_per_decision: float
    """Of all nodes together."""
    view_changes: int
    floor_decisions_per_s: float = 0.0
    share_of_floor: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            name: round(value, 4 if name == "share_of_floor" else 2)
            if isinstance(value, float)
            else value
            for name, value in asdict(self).items()
        }


def measure(
    nodes: int,
    concurrency: int,
    found: Sequence[Decision],
    *,
    warm_up: int,
    asked_until_ns: int,
    before: Traffic,
    after: Traffic,
) -> Level:
    """The figures of one level. `found` are all its decisions, warm-up and tail included.

    Messages and bytes are those of the whole level, from silence to silence, so that no decision
    is counted in part.
    """
    counted = [d for d in found[warm_up:] if d.certified_ns <= asked_until_ns]
    if not counted:
        raise ValueError("no decision was certified within the measured time")
    seconds = (counted[-1].certified_ns - found[warm_up - 1].certified_ns) / _NS_PER_S
    overheads_ms = [decision.overhead_ms for decision in counted]
    return Level(
        nodes=nodes,
        concurrency=concurrency,
        decisions=len(counted),
        seconds=seconds,
        decisions_per_s=len(counted) / seconds,
        overhead_ms_p50=percentile(overheads_ms, 50),
        overhead_ms_p95=percentile(overheads_ms, 95),
        messages_per_decision=(after.frames - before.frames) / len(found),
        bytes_per_decision=(after.sent_bytes - before.sent_bytes) / len(found),
        decisions_per_slot=len(found) / max(1, after.slots - before.slots),
        core_ms_per_decision=1000 * (after.core_s - before.core_s) / len(found),
        view_changes=after.views - before.views,
    )


def summary(levels: Sequence[Level]) -> dict[str, Any]:
    """All levels, and at the top one figure each of the first network that was measured: the
    overhead with the fewest questions at once, the rest with the most."""
    first = [level for level in levels if level.nodes == levels[0].nodes]
    quiet = min(first, key=lambda level: level.concurrency).to_json()
    busy = max(first, key=lambda level: level.concurrency).to_json()
    of_quiet = ("overhead_ms_p50", "overhead_ms_p95")
    of_busy = (
        "decisions_per_s",
        "bytes_per_decision",
        "messages_per_decision",
        "floor_decisions_per_s",
        "share_of_floor",
    )
    return {
        "nodes": levels[0].nodes,
        "concurrency": {
            **dict.fromkeys(of_quiet, quiet["concurrency"]),
            **dict.fromkeys(of_busy, busy["concurrency"]),
        },
        **{name: quiet[name] for name in of_quiet},
        **{name: busy[name] for name in of_busy},
        "levels": [level.to_json() for level in levels],
    }
