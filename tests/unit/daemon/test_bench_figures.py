"""From the reports of a benchmark's nodes to its figures."""

import pytest

from daemon.bench.figures import (
    Decision,
    Level,
    Traffic,
    decisions,
    measure,
    percentile,
    summary,
    traffic,
)
from daemon.bench.network import Report

MS = 1_000_000
S = 1_000_000_000
NOTHING = Traffic(frames=0, sent_bytes=0, slots=0, views=0, core_s=0.0)


def report(replica: int, **changes: object) -> Report:
    fields: dict[str, object] = {
        "replica": replica,
        "certified": [],
        "ready_ns": [],
        "certificate": "",
        "slots": 0,
        "view": 0,
        "frames_out": 0,
        "bytes_out": 0,
        "core_s": 0.0,
    }
    return Report(**{**fields, **changes})  # type: ignore[arg-type]  # checked by the tests


def level(nodes: int, concurrency: int, per_s: float, p50: float) -> Level:
    return Level(
        nodes=nodes,
        concurrency=concurrency,
        decisions=10,
        seconds=1.0,
        decisions_per_s=per_s,
        overhead_ms_p50=p50,
        overhead_ms_p95=2 * p50,
        messages_per_decision=50.0,
        bytes_per_decision=20_000.0,
        decisions_per_slot=1.0,
        core_ms_per_decision=1.0,
        view_changes=0,
        floor_decisions_per_s=400.0,
        share_of_floor=per_s / 400,
    )


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 5), (51, 6), (95, 10), (90, 9), (100, 10)]
)
def test_percentiles_by_nearest_rank(percent: int, expected: int) -> None:
    """The least value that so many per cent do not exceed, whatever the order."""
    assert percentile([7, 1, 10, 3, 2, 9, 4, 5, 8, 6], percent) == expected


def test_a_percentile_of_one_value_and_of_none() -> None:
    """One value is every percentile of itself; none has none."""
    assert percentile([3.5], 50) == percentile([3.5], 95) == 3.5
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_overhead_runs_from_the_last_sealed_answer() -> None:
    """An answer that was not sealed does not count, however late it was; who asked does not
    matter."""
    found = decisions(
        [
            report(0, ready_ns=[(1, 10 * MS), (2, 20 * MS)], certified=[(2, 52 * MS, [0, 1])]),
            report(1, ready_ns=[(1, 12 * MS), (2, 22 * MS)], certified=[(1, 40 * MS, [0, 1])]),
            report(2, ready_ns=[(1, 39 * MS), (2, 51 * MS)]),
        ]
    )
    assert found == [Decision(40 * MS, 28.0), Decision(52 * MS, 30.0)]


def test_only_what_falls_between_warm_up_and_end_is_counted() -> None:
    """Overheads and the rate are those of the measured time; traffic is that of all decisions."""
    found = [Decision(second * S, float(second)) for second in range(1, 11)]
    measured = measure(
        4,
        2,
        found,
        warm_up=3,
        asked_until_ns=8 * S,
        before=NOTHING,
        after=Traffic(frames=500, sent_bytes=20_000, slots=5, views=1, core_s=0.2),
    )
    assert (measured.decisions, measured.seconds, measured.decisions_per_s) == (5, 5.0, 1.0)
    assert (measured.overhead_ms_p50, measured.overhead_ms_p95) == (6.0, 8.0)
    assert (measured.messages_per_decision, measured.bytes_per_decision) == (50.0, 2_000.0)
    assert (measured.decisions_per_slot, measured.view_changes) == (2.0, 1)
    assert measured.core_ms_per_decision == pytest.approx(20.0)


def test_nothing_measured_is_no_figure() -> None:
    """A level without a decision in its measured time has no rate."""
    with pytest.raises(ValueError, match="no decision"):
        measure(4, 1, [Decision(S, 1.0)], warm_up=1, asked_until_ns=9 * S, before=NOTHING,
                after=NOTHING)  # fmt: skip


def test_traffic_is_the_sum_of_all_nodes() -> None:
    """Frames, bytes and core time add up; slots and views are those of whoever is furthest."""
    total = traffic(
        [
            report(0, frames_out=3, bytes_out=30, slots=7, view=1, core_s=0.5),
            report(1, frames_out=4, bytes_out=40, slots=6, view=2, core_s=0.25),
        ]
    )
    assert total == Traffic(frames=7, sent_bytes=70, slots=7, views=2, core_s=0.75)


def test_the_summary_takes_overhead_from_the_quietest_and_speed_from_the_busiest_level() -> None:
    """Of the first network; and it says which levels these were."""
    document = summary([level(4, 32, 90.0, 80.0), level(4, 1, 20.0, 30.0), level(7, 64, 9.0, 1.0)])
    assert document["nodes"] == 4
    assert (document["overhead_ms_p50"], document["overhead_ms_p95"]) == (30.0, 60.0)
    assert (document["decisions_per_s"], document["share_of_floor"]) == (90.0, 0.225)
    assert document["concurrency"]["overhead_ms_p95"] == 1
    assert document["concurrency"]["decisions_per_s"] == 32
    assert [entry["nodes"] for entry in document["levels"]] == [4, 4, 7]
