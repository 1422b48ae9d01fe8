"""How many inbound connections may be on their way to being a member's, per host and in all.

The network outside can open connections without a key, so this is what bounds the sockets and
handshakes it can hold. Members keep no slot once they are up.
"""

from collections import Counter


class Gate:
    """Counts the connections that are still pending."""

    def __init__(self, per_host_max: int, total_max: int) -> None:
        self._per_host_max = per_host_max
        self._total_max = total_max
        self._pending: Counter[str] = Counter()

    @property
    def pending(self) -> int:
        """Connections that hold a slot."""
        return self._pending.total()

    def enter(self, host: str) -> "Slot | None":
        """Return a slot to be released, or None if there is none for that host."""
        if self._pending[host] >= self._per_host_max or self.pending >= self._total_max:
            return None
        self._pending[host] += 1
        return Slot(self._pending, host)


class Slot:
    """One pending connection's place; releasing it twice is the same as once."""

    def __init__(self, pending: Counter[str], host: str) -> None:
        self._pending = pending
        self._host = host
        self._held = True

    def release(self) -> None:
        """Give the place back."""
        if not self._held:
            return
        self._held = False
        self._pending[self._host] -= 1
        if not self._pending[self._host]:
            del self._pending[self._host]
