"""What happened in a run: a digest of all of it, and on request every event, to be read by people.

The digest covers each event that a process took, with its time and contents (a signed message by
its signature, which binds every field), and each slot that was applied. Two runs with the same
digest did the same in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from pbft import events
from pbft.codec import encode
from pbft.messages import DecidedSlot, Proposal, Signed, WireMessage
from simulator.wording import kind_of, slot_of, view_of


def mark(message: WireMessage) -> bytes:
    """Names a message by its contents."""
    if isinstance(message, Signed):
        return message.signature
    if isinstance(message, Proposal):
        return message.pre_prepare.signature
    if isinstance(message, DecidedSlot) and message.commits:
        return b"".join(commit.signature for commit in message.commits)
    return blake2b(encode(message)).digest()


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way; `at_us` is its arrival, None if it was lost."""

    sent_us: int
    at_us: int | None
    source: int
    target: int
    kind: str
    view: int | None
    slot: int | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something else worth telling: a decision, a crash, a fault that begins or ends."""

    at_us: int
    process: int
    """-1: the network."""
    what: str
    detail: str


@dataclass(slots=True)
class Trace:
    """`keep`: remember letters and moments, up to a bound, and not only their digest."""

    keep: bool = False
    letters_max: int = 200_000
    letters: list[Letter] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    _hash: Any = field(default_factory=lambda: blake2b(digest_size=16))

    def event(self, now_us: int, process: int, event: events.Event) -> None:
        """A process is about to take an event."""
        kind = type(event)
        if kind is events.Received:
            self._hash.update(b"%d %d<%d " % (now_us, process, event.source))  # type: ignore[union-attr]
            self._hash.update(mark(event.message))  # type: ignore[union-attr]
        elif kind is events.TimerFired:
            self._hash.update(b"%d %d " % (now_us, process))
            self._hash.update(type(event.timer).__name__.encode())  # type: ignore[union-attr]
        else:
            self._hash.update(b"%d %d " % (now_us, process))
            self._hash.update(kind.__name__.encode())

    def applied(self, process: int, chain: bytes) -> None:
        self._hash.update(b"%d!" % process)
        self._hash.update(chain)

    def letter(
        self, sent_us: int, at_us: int | None, source: int, target: int, message: WireMessage
    ) -> None:
        if len(self.letters) < self.letters_max:
            kind, view, slot = kind_of(message), view_of(message), slot_of(message)
            self.letters.append(Letter(sent_us, at_us, source, target, kind, view, slot))

    def note(self, at_us: int, process: int, what: str, detail: str = "") -> None:
        """Part of the digest, kept or not."""
        self._hash.update(b"%d %d " % (at_us, process))
        self._hash.update(f"{what} {detail}".encode())
        self.tell(at_us, process, what, detail)

    def tell(self, at_us: int, process: int, what: str, detail: str = "") -> None:
        """For people only: the digest is the same whether it is kept or not."""
        if self.keep:
            self.moments.append(Moment(at_us, process, what, detail))

    @property
    def digest(self) -> str:
        return str(self._hash.hexdigest())

    def lines(self) -> Iterator[str]:
        """For people: one line for each letter and moment, in order of time."""
        told: list[tuple[int, int, str]] = []
        for place, letter in enumerate(self.letters):
            about = "".join(
                f" {name} {value}"
                for name, value in (("view", letter.view), ("slot", letter.slot))
                if value is not None
            )
            end = "lost" if letter.at_us is None else f"arrives {letter.at_us / 1e6:.6f}"
            text = f"R{letter.source} -> R{letter.target}  {letter.kind}{about}  ({end})"
            told.append((letter.sent_us, place, text))
        for place, moment in enumerate(self.moments):
            who = "network" if moment.process < 0 else f"R{moment.process}"
            told.append((moment.at_us, place, f"{who}  {moment.what} {moment.detail}".rstrip()))
        told.sort(key=lambda entry: entry[0])
        for at_us, _, text in told:
            yield f"{at_us / 1e6:12.6f}  {text}"
