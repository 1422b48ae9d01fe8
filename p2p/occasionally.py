"""Say a thing once a minute, not a thousand times: strangers must not fill the log."""

import logging

import trio

_REMEMBERED_MAX = 256


class Occasionally:
    """Logs a line at INFO, and at DEBUG if the same was said less than `every_s` ago."""

    def __init__(self, log: logging.Logger, every_s: float = 60.0) -> None:
        self._log = log
        self._every_s = every_s
        self._said: dict[str, float] = {}

    def say(self, line: str) -> None:
        """Log `line`, which is whole: it is also what is remembered."""
        now = trio.current_time()
        if now - self._said.get(line, -self._every_s) < self._every_s:
            self._log.debug("%s", line)
            return
        if len(self._said) >= _REMEMBERED_MAX:
            self._said.clear()
        self._said[line] = now
        self._log.info("%s", line)
