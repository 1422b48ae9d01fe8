"""One class for each misbehaviour. A fault wraps a correct replica and changes what goes in or
comes out, so that everything it does not touch is the production code's behaviour."""

from simulator.faults.base import Fault
from simulator.faults.crash import Crash
from simulator.faults.equivocate import Equivocate
from simulator.faults.lie import Lie
from simulator.faults.slow import Slow

FAULTS: dict[str, type[Fault]] = {
    "lie": Lie,
    "slow": Slow,
    "crash": Crash,
    "equivocate": Equivocate,
}

__all__ = ["FAULTS", "Crash", "Equivocate", "Fault", "Lie", "Slow"]
