"""Waiting longer after each failure, never quite the same time twice."""

from random import SystemRandom

_random = SystemRandom()


class Backoff:
    """Doubles from `minimum_s` to `maximum_s`; each wait is half to all of the step."""

    def __init__(self, minimum_s: float, maximum_s: float) -> None:
        self._minimum_s = minimum_s
        self._maximum_s = maximum_s
        self._step_s = minimum_s

    def next_s(self) -> float:
        """Return how long to wait now."""
        step_s = self._step_s
        self._step_s = min(2 * step_s, self._maximum_s)
        return step_s * _random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start over: it worked."""
        self._step_s = self._minimum_s
