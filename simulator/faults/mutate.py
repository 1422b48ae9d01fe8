"""Messages with one part changed, signed again."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, ClassVar

from pbft.codec import decode, encode
from pbft.effects import Broadcast, Effect, Send
from pbft.errors import Malformed
from pbft.messages import Signed, WireMessage
from simulator.faults.base import Fault


class Mutate(Fault):
    """Changes one part of a share of its messages, for each recipient by itself; own signatures
    around it are mostly made again. Some of the unchanged messages follow."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"share_bp": 3_000}

    def sent(self, effect: Broadcast | Send) -> list[Effect]:
        chosen: list[Effect] = []
        targets = self._others() if isinstance(effect, Broadcast) else [effect.replica]
        for replica in targets:
            if self._draw.randrange(10_000) < self._options["share_bp"]:
                chosen.append(Send(replica, self._mutated(effect.message)))
                if self._draw.random() < 0.5:
                    continue
            chosen.append(Send(replica, effect.message))
        return chosen

    def _mutated(self, message: WireMessage) -> WireMessage:
        return self._readable(lambda: self._mutant(message)) or message

    @staticmethod
    def _readable(make: Callable[[], WireMessage]) -> WireMessage | None:
        """As it would arrive; None if nobody could read it."""
        try:
            return decode(encode(make()))
        except (Malformed, ValueError, TypeError, AttributeError, OverflowError, KeyError):
            return None

    def _mutant(self, value: Any) -> Any:
        draw = self._draw
        if isinstance(value, Signed):
            inner = self._mutant(value.message)
            if inner.replica == self.me and draw.random() < 0.9:
                return self._resigned(inner)
            return Signed(inner, value.signature)
        if is_dataclass(value):
            name = draw.choice([f.name for f in fields(value)])
            return replace(value, **{name: self._mutant(getattr(value, name))})  # type: ignore[type-var]
        if isinstance(value, Enum):
            return draw.choice(list(type(value)))
        if isinstance(value, int):
            near = max(0, value + draw.choice([-1, 1, 2, 64]))
            return near if draw.random() < 0.8 else draw.choice([0, 2**63, 2**64 - 1])
        if isinstance(value, bytes):
            place = draw.randrange(len(value))
            return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        if isinstance(value, str):
            return value + "x"
        return self._mutant_tuple(value) if isinstance(value, tuple) and value else value

    def _mutant_tuple(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        place = self._draw.randrange(len(value))
        changed = (*value[:place], self._mutant(value[place]), *value[place + 1 :])
        without = value[:place] + value[place + 1 :]
        return self._draw.choice([without, (*value, value[place]), value[::-1], changed, changed])
