"""What a machine could decide at best: the counts by hand, and what was measured."""

import os
from pathlib import Path

import pytest

from daemon.bench.floor import (
    MessageCost,
    UnitCosts,
    batch_of,
    checks,
    commits_needed,
    decisions_per_s,
    parts_s,
    prepares_needed,
    signatures,
    writes,
)
from daemon.bench.unit_costs import measure_unit_costs
from pbft import certificate as certificates
from tests.support.founding import certificate_text, founded


def costs(batch: int = 1, **changes: float) -> UnitCosts:
    """Everything is free but what a test names."""
    free = MessageCost(0.0, 0.0, 100)
    fields: dict[str, object] = {
        "sign_s": 0.0,
        "check_s": 0.0,
        **dict.fromkeys(
            ("request", "commitment", "seal", "reveal", "proposal", "prepare", "commit"), free
        ),
        "write_s": 0.0,
        "write_byte_s": 0.0,
        "write_bytes_max": 1_000,
        "flush_s": 0.0,
        "flush_disk_s": 0.0,
        "batch": batch,
    }
    return UnitCosts(**{**fields, **changes})  # type: ignore[arg-type]  # checked by the tests


def test_the_counts_at_four_nodes() -> None:
    """n = 4, q = 3, counted by hand: 1 request, 4 commitments, 1 seal, 4 reveals, 1 pre-prepare,
    3 prepares and 4 commits are signed; each backup needs one prepare beside the proposal and its
    own, the primary two; each node needs two commits of others."""
    assert signatures(4, 1) == 1 + 4 + 1 + 4 + 1 + 3 + 4
    assert prepares_needed(4) == 3 * 1 + 2
    assert commits_needed(4) == 4 * 2
    assert checks(4, 1) == 3 + 12 + 3 + 12 + (3 + 5 + 8)
    assert checks(4, 8) == 30 + 16 / 8
    assert signatures(4, 8) == 10 + 8 / 8


def test_writes_are_shared_by_phase() -> None:
    """One write for each phase, sender and receiver carries all that is open at once."""
    alone = writes(4, 1, costs())
    assert [times for times, _ in alone] == [3, 12, 3, 12, 3, 9, 12]
    together = writes(4, 8, costs(batch=8))
    assert [times for times, _ in together] == [12, 12, 3, 12, 3, 9, 12]
    assert [size for _, size in together] == [200, 800, 800, 800, 100, 100, 100]


def test_a_long_write_is_several_messages() -> None:
    """Beyond what fits into one encrypted message, the fixed cost is paid again."""
    short = parts_s(4, costs(batch=8, write_s=1.0))["writes"]
    long = parts_s(4, costs(batch=8, write_s=1.0, write_bytes_max=500))["writes"]
    assert short == (12 + 12 + 3 + 12 + 3 + 9 + 12) / 8
    assert long == (12 + 24 + 6 + 24 + 3 + 9 + 12) / 8


def test_the_floor_is_what_cores_and_disk_allow() -> None:
    """Cores share the work, n of them at most; the disk does one phase after the other."""
    assert decisions_per_s(4, costs(check_s=0.001), 1) == pytest.approx(1000 / 46)
    assert decisions_per_s(4, costs(check_s=0.001), 2) == pytest.approx(2000 / 46)
    assert decisions_per_s(4, costs(check_s=0.001), 64) == pytest.approx(4000 / 46)
    slow_disk = costs(check_s=0.001, flush_disk_s=0.1)
    assert decisions_per_s(4, slow_disk, 2) == pytest.approx(1 / (4 * 0.1))


@pytest.mark.parametrize("n", [4, 7, 10, 16])
def test_sharing_never_costs_more(n: int) -> None:
    """The floor rises with the questions that share a slot, up to a slot's 64 items."""
    named = {"sign_s": 1e-5, "check_s": 1e-4, "write_s": 1e-4, "flush_s": 1e-4}
    floors = [decisions_per_s(n, costs(batch=b, **named), 2) for b in (1, 2, 8, 32, 64)]
    assert floors == sorted(floors)
    assert [batch_of(c) for c in (1, 63, 64, 500)] == [1, 63, 64, 64]


@pytest.mark.trio
async def test_unit_costs_of_a_real_decision(tmp_path: Path) -> None:
    """Everything is measured and takes time; more bytes cost more; a file is flushed and gone."""
    genesis = founded(4)
    certificate = certificates.from_text(certificate_text(genesis, ["Paris"] * 4))
    measured = await measure_unit_costs(certificate, 4, tmp_path)
    for name in ("sign_s", "check_s", "write_s", "write_byte_s", "flush_s", "flush_disk_s"):
        assert getattr(measured, name) > 0
    for kind in ("request", "commitment", "seal", "reveal", "proposal", "prepare", "commit"):
        cost: MessageCost = getattr(measured, kind)
        assert cost.encode_s > 0
        assert cost.decode_s > 0
        assert cost.frame_bytes > 100
    assert measured.proposal.frame_bytes > 4 * measured.reveal.frame_bytes
    assert measured.batch == 4
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - nothing else runs that could be held up
    assert decisions_per_s(4, measured, 2) > 0
