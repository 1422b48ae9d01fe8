"""Draws from a seed of which one at most goes wrong, and the ways in which things do."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Twist:
    """Draws everything from one seed. One step at most, chosen by its number, goes wrong."""

    seed: int
    at: int | None = None
    """Which of the steps that can go wrong does."""
    draw: random.Random = field(init=False)
    steps: list[str] = field(default_factory=list)
    """The names of those gone by."""
    done: str = ""

    def __post_init__(self) -> None:
        self.draw = random.Random(f"certificate {self.seed}")  # noqa: S311  # a seed must replay

    def __call__(self, name: str, right: T, *wrong: Callable[[T], Any]) -> T:
        """`right`, or one of the wrong ones if it is this step's turn. A way to go wrong that
        changes nothing here, like the first of no elements twice, is no choice."""
        turn = len(self.steps) == self.at
        self.steps.append(name)
        changed = [other for way in wrong if (other := way(right)) != right] if turn else []
        if not changed:
            return right
        self.done = name
        own = random.Random(f"twist {self.seed} {self.at}")  # noqa: S311
        return own.choice(changed)  # type: ignore[no-any-return]


def shuffled(values: Any) -> Any:
    return tuple(reversed(values))


def first_twice(values: Any) -> Any:
    return (*values[:1], *values)


def without_first(values: Any) -> Any:
    return values[1:]


def same(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def only(count: int) -> Callable[[Any], Any]:
    return lambda values: values[:count]


def more(value: Any) -> Any:
    return value + 1


def less(value: Any) -> Any:
    return max(value - 1, 0)


def flipped(value: Any) -> Any:
    return bytes([value[0] ^ 1]) + value[1:]
