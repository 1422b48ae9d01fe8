"""A primary that keeps changes and evidence out of the ledger."""

from typing import Any

from simulator.faults.base import Fault


class Censor(Fault):
    """Proposes answers only, and everything else as it should."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Not in what it sends: a proposal without them would not be the one that it keeps.
        self._replica._motions.ready = list  # type: ignore[method-assign]  # noqa: SLF001
