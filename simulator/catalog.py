"""The catalogue: every recipe of a known attack or accident, as a scenario with its outcome.

The files are in `simulator/scenarios`; a name begins with the recipe's id. P: normal case, V: view
changes, S: state and disks, C: clients, O: what is special to answers; B and N: our behaviours and
networks. In `found` are the plans that broke the core once, shrunk; their names begin with F.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from simulator.plan import Plan, from_text
from simulator.scenario import parse

FOLDER = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Recipe:
    id: str
    name: str
    says: str
    plan: Plan


def recipes() -> list[Recipe]:
    """All of them, by name."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        says = str(tomllib.loads(text).get("says", ""))
        plan = parse(text, None, path.stem)
        name = path.stem
        short = name if name[0] in "BN" or "-" not in name else name.split("-")[0]
        found.append(Recipe(short, name, says, plan))
    for path in sorted((FOLDER / "found").glob("*.json")):
        plan = from_text(path.read_text(encoding="utf-8"))
        found.append(Recipe(plan.name, plan.name, "Broke the core once.", plan))
    return found
