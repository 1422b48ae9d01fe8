"""The links between processes: how long a message takes, and whether it arrives.

A link is one direction between two processes. Messages on it stay in order unless a fault reorders
them. Each link has its own stream of random numbers, drawn from the seed and the link's name, so
that a fault taken out of a plan changes as little as possible elsewhere.
"""

from dataclasses import dataclass, field
from random import Random

from pbft.messages import WireMessage
from pbft.types import FULL_BP
from simulator.wording import kind_of, slot_of, view_of

# Quantiles of the exponential distribution, in thousandths of its mean, 1/32 apart: integers, so
# that no two machines differ in the last bit of a logarithm.
_EXPONENTIAL = (
    16, 48, 81, 116, 152, 189, 228, 268, 309, 353, 398, 446, 496, 549, 604, 663, 726, 792, 863,
    940, 1023, 1113, 1212, 1321, 1444, 1584, 1747, 1941, 2181, 2498, 2965, 4159,
)  # fmt: skip


@dataclass(slots=True)
class Weather:
    """Something wrong with some links, for some messages, for a time. Shares are in basis points.

    `sources`, `targets`, `messages`, `slots`, `views`: which; None for all.
    """

    sources: frozenset[int] | None = None
    targets: frozenset[int] | None = None
    messages: frozenset[str] | None = None
    slots: frozenset[int] | None = None
    views: frozenset[int] | None = None
    lose_bp: int = 0
    repeat_bp: int = 0
    repeats: int = 1
    reorder_bp: int = 0
    extra_ms: tuple[int, int] = (0, 0)
    place: int = 0
    """The fault's number in the plan."""

    def meets(self, source: int, target: int, message: WireMessage) -> bool:
        return (
            (self.sources is None or source in self.sources)
            and (self.targets is None or target in self.targets)
            and (self.messages is None or kind_of(message) in self.messages)
            and (self.slots is None or slot_of(message) in self.slots)
            and (self.views is None or view_of(message) in self.views)
        )


@dataclass(slots=True)
class _Link:
    draw: Random
    last_us: int = 0
    """When the last message in order arrives."""


@dataclass(slots=True)
class Network:
    """All links of one world. Times are in whole microseconds."""

    seed: int
    delay_ms: tuple[int, int]
    exponential: bool = False
    """A long tail: the upper bound of `delay_ms` is the mean beyond the lower."""
    weather: list[Weather] = field(default_factory=list)
    cuts: dict[tuple[int, int], int] = field(default_factory=dict)
    """Links on which nothing passes, with the number of faults that cut each."""
    _links: dict[tuple[int, int], _Link] = field(default_factory=dict)

    def arrivals(self, now_us: int, source: int, target: int, message: WireMessage) -> list[int]:
        """When the message arrives: once as a rule; never, or several times."""
        key = (source, target)
        if key in self.cuts:
            return []
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = _Link(Random(f"{self.seed} link {source} {target}"))  # noqa: S311  # a seed must replay
        low_us = 1_000 * self.delay_ms[0]
        span_us = 1_000 * (self.delay_ms[1] - self.delay_ms[0])
        if self.exponential:
            span_us = span_us * _EXPONENTIAL[int(link.draw.random() * 32)] // 1_000
            at_us = now_us + low_us + span_us
        else:
            at_us = now_us + low_us + int(link.draw.random() * span_us)
        if self.weather:
            return self._in_weather(now_us, at_us, link, key, message)
        if at_us <= link.last_us:
            at_us = link.last_us + 1
        link.last_us = at_us
        return [at_us]

    def _in_weather(
        self, now_us: int, at_us: int, link: _Link, key: tuple[int, int], message: WireMessage
    ) -> list[int]:
        copies = 1
        in_order = True
        for weather in self.weather:
            if not weather.meets(*key, message):
                continue
            if weather.lose_bp and link.draw.randrange(FULL_BP) < weather.lose_bp:
                return []
            if weather.repeat_bp and link.draw.randrange(FULL_BP) < weather.repeat_bp:
                copies += weather.repeats
            if weather.reorder_bp and link.draw.randrange(FULL_BP) < weather.reorder_bp:
                in_order = False
            low_ms, high_ms = weather.extra_ms
            if high_ms:
                at_us += 1_000 * link.draw.randint(low_ms, high_ms)
        if in_order:
            at_us = max(at_us, link.last_us + 1)
            link.last_us = at_us
        # Copies come later, as from a peer that sends again.
        return [at_us + place * (at_us - now_us) for place in range(copies)]

    def cut(self, source: int, target: int) -> None:
        self.cuts[source, target] = self.cuts.get((source, target), 0) + 1

    def mend(self, source: int, target: int) -> None:
        left = self.cuts.pop((source, target), 1) - 1
        if left:
            self.cuts[source, target] = left
