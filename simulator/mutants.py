"""Mutants: the core with one bug planted, to see that the simulator notices.

A mutant replaces a few words in the source of one function of `pbft/`. The function is compiled
anew in its own module and put everywhere where the old one was, in a process of its own. Then
scenarios run, those first that should notice, until one fails: the mutant is dead. One that lives
through all of them is a hole in the checkers or the catalogue.
"""

import importlib
import inspect
import multiprocessing
import os
import pkgutil
import signal
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pbft
from simulator.catalog import recipes
from simulator.errors import SimulatorError
from simulator.generate import plan_of
from simulator.mutant_list import MUTANTS, Mutant
from simulator.plan import Plan
from simulator.run import run
from simulator.swarm import ignore_interrupts

SEEDS = 150
"""Swarm seeds tried after the catalogue."""

RUN_CORE_S = 60.0
"""Processor time of one run; the longest of the unchanged core takes a few seconds."""

__all__ = ["MUTANTS", "Death", "kill", "kill_all", "plant"]


@dataclass(frozen=True, slots=True)
class Death:
    name: str
    by: str
    """The scenario that failed; empty if none did."""
    rule: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mutant goes: the function, held by its owner under a name."""

    module: Any
    owner: Any
    name: str
    held: Any
    source: str
    """With the bug."""


def place_of(mutant: Mutant) -> Place:
    """Raises `SimulatorError` if the mutant does not fit the source."""
    for found in pkgutil.iter_modules(pbft.__path__):
        importlib.import_module(f"pbft.{found.name}")
    module = importlib.import_module(f"pbft.{mutant.module}")
    owner: Any = module
    *path, name = mutant.function.split(".")
    try:
        for part in path:
            owner = getattr(owner, part)
        held = inspect.getattr_static(owner, name)
    except AttributeError:
        raise SimulatorError(
            f"The mutant {mutant.name} has no place: there is no {mutant.function} any more."
        ) from None
    old = held
    while not isinstance(old, FunctionType):
        old = old.fget if isinstance(old, property) else old.__func__
    remembered = getattr(old, "__wrapped__", None)
    source = textwrap.dedent(inspect.getsource(remembered or old))
    if source.count(mutant.old) != 1:
        raise SimulatorError(
            f"The mutant {mutant.name} does not fit the source of {mutant.function} any more: "
            f"{mutant.old!r} is there {source.count(mutant.old)} times."
        )
    return Place(module, owner, name, held, source.replace(mutant.old, mutant.new))


def plant(mutant: Mutant) -> None:
    """Changes the core of this process, for good."""
    place = place_of(mutant)
    code = compile(place.source, f"<mutant {mutant.name}>", "exec")
    space: dict[str, Any] = {}
    exec(code, place.module.__dict__, space)  # noqa: S102  # our own source with one bug
    new = space[place.name]
    if place.owner is not place.module:
        setattr(place.owner, place.name, new)
        return
    for other in [m for key, m in sorted(sys.modules.items()) if key.startswith("pbft")]:
        for key, value in list(vars(other).items()):
            if value is place.held:
                setattr(other, key, new)


def kill(mutant: Mutant) -> Death:
    """Plants the mutant in this process, and runs scenarios until one fails."""
    began_s = time.monotonic()
    plant(mutant)
    signal.signal(signal.SIGVTALRM, _hang)
    for plan in _plans(mutant):
        signal.setitimer(signal.ITIMER_VIRTUAL, RUN_CORE_S)
        try:
            result = run(plan)
            rule = "" if result.ok else result.rule
        except Hang:
            rule = "hang"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if rule:
            return Death(mutant.name, plan.name, rule, time.monotonic() - began_s)
    return Death(mutant.name, "", "", time.monotonic() - began_s)


class Hang(BaseException):
    """A run takes far longer than any does; not an `Exception`, which the world would take for one
    of the core."""


def _hang(_signal: int, _frame: object) -> None:
    raise Hang


def _plans(mutant: Mutant) -> Iterator[Plan]:
    known = recipes()
    first = [recipe for recipe in known if recipe.name in mutant.noticed_by]
    for recipe in first + [recipe for recipe in known if recipe not in first]:
        yield recipe.plan
    for seed in range(SEEDS):
        yield plan_of(seed)


def kill_all(mutants: Sequence[Mutant], workers: int) -> Iterator[Death]:
    """Each in a fresh process."""
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    with context.Pool(max(1, workers), ignore_interrupts, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(kill, mutants, chunksize=1)
