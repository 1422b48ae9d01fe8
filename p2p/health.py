"""Is the peer still there? One heartbeat per interval, echoed by the other side.

A beat is missed when nothing at all came in since the one before: the echo may stand in line
behind a large frame, and whoever sends a large frame is alive.
"""

import math

import trio

NONCE_BYTES = 8


class Health:
    """The heartbeats of one session; times are seconds of `trio.current_time`."""

    def __init__(self, misses_max: int) -> None:
        self._misses_max = misses_max
        self._sent: tuple[bytes, float] | None = None
        self._nonce = 0
        self._heard_since_beat = True
        self._echo = trio.Event()
        self.rtt_s = math.nan
        self.misses = 0
        self.ended = False
        self.last_heard = trio.current_time()

    @property
    def lost(self) -> bool:
        """True once as many beats in a row as allowed were missed."""
        return self.misses >= self._misses_max

    def beat(self) -> bytes:
        """Judge the interval that ends now; return the nonce to send for the next."""
        self.misses = 0 if self._heard_since_beat else self.misses + 1
        self._heard_since_beat = False
        return self.probe()

    def probe(self) -> bytes:
        """Return a nonce to send out of turn; an older unanswered one no longer counts."""
        self._nonce += 1
        nonce = self._nonce.to_bytes(NONCE_BYTES)
        self._sent = (nonce, trio.current_time())
        return nonce

    def on_bytes(self) -> None:
        """Note that something came in."""
        self.last_heard = trio.current_time()
        self._heard_since_beat = True

    def on_echo(self, nonce: bytes) -> None:
        """Note an echo; one that was not asked for changes nothing."""
        if self._sent is None or self._sent[0] != nonce:
            return
        self.rtt_s = trio.current_time() - self._sent[1]
        self._sent = None
        self._echo.set()
        self._echo = trio.Event()

    async def next_echo(self) -> None:
        """Return at the next valid echo, or once `ended`."""
        if not self.ended:
            await self._echo.wait()

    def end(self) -> None:
        """Note that no echo will come any more."""
        self.ended = True
        self._echo.set()
