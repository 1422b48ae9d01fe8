"""Fewer slots between checkpoints, so that a test reaches many."""

import pytest


def checkpoint_every(slots: int, patch: pytest.MonkeyPatch, renewal: int | None = None) -> None:
    """For all of the core; `renewal` sets `RENEWAL_SLOTS_MIN` too."""
    for module in ("checkpoint", "new_view", "policy", "replica", "state"):
        patch.setattr(f"pbft.{module}.CHECKPOINT_INTERVAL", slots)
    if renewal is not None:
        patch.setattr("pbft.state.RENEWAL_SLOTS_MIN", renewal)
