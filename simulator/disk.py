"""A replica's disk: what survives a crash, and what may be wrong with it afterwards.

The record log is flushed with every `Persist`, as the core demands. The ledger follows lazily, as
in the daemon (`daemon.executor`): it is safe once a later record was flushed, or the log was
compacted. A crash may take what was not safe.
"""

from dataclasses import dataclass, field
from random import Random

from pbft import journal
from pbft.errors import DamagedLog
from pbft.execution import Tip
from pbft.history import REMEMBERED_MAX
from pbft.item import is_final
from pbft.messages import DecidedSlot, EpochCertificate, items
from pbft.policy import Policy
from pbft.records import Forgot, Record
from pbft.state import State


@dataclass(slots=True)
class Disk:
    """Of one process, through all its lives."""

    policy: Policy
    """Of epoch 0."""
    log: list[Record] = field(default_factory=list)
    slots: list[DecidedSlot] = field(default_factory=list)
    """The ledger: slot number s stands at s - 1."""
    states: list[State] = field(default_factory=list)
    """After each slot. A real disk keeps the last one; a crash here may lead back."""
    safe: int = 0
    """So many slots are flushed."""
    epochs: list[EpochCertificate] = field(default_factory=list)
    compacted: int = 0
    """The log was last compacted when the ledger had so many slots."""
    full: bool = False
    """Nothing more can be written: the next record stops the node, as `StorageFailed` does."""

    def append(self, record: Record) -> None:
        self.log.append(record)
        self.safe = len(self.slots)

    def replace(self, records: tuple[Record, ...]) -> None:
        self.safe = self.compacted = len(self.slots)
        self.log[:] = records

    def apply(self, slot: DecidedSlot, state: State) -> None:
        self.slots.append(slot)
        self.states.append(state)

    def keep_epoch(self, certificate: EpochCertificate) -> None:
        if certificate.membership.epoch > len(self.epochs):
            self.epochs.append(certificate)

    # --- what may happen to it -----------------------------------------------------------------

    def lose_unsynced(self) -> None:
        """Power fails: the ledger's tail was never flushed."""
        del self.slots[self.safe :]
        del self.states[self.safe :]

    def flip_bit(self, draw: Random) -> bool:
        """A bit of the log's file flips, and the log is read again as a daemon reads it. Whether
        the damage was noticed, and the log set aside."""
        data = bytearray(b"".join(map(journal.frame, self.log)))
        if data:
            at = draw.randrange(8 * len(data))
            data[at // 8] ^= 1 << at % 8
        try:
            records, _ = journal.read(bytes(data))
        except DamagedLog:
            self.log[:] = [Forgot(draw.randbytes(32))]
            return True
        self.log[:] = records
        return False

    def lose(self, draw: Random) -> None:
        """Log and ledger are gone, and the node knows it."""
        self.forget()
        self.log[:] = [Forgot(draw.randbytes(32))]

    def forget(self) -> None:
        """Log and ledger are gone, and nothing tells that there ever were any."""
        self.log.clear()
        self.slots.clear()
        self.states.clear()
        self.epochs.clear()
        self.safe = 0

    @property
    def tip(self) -> Tip:
        """What a driver tells a replica of its ledger."""
        requests = []
        policy = self.policy
        for slot, state in zip(self.slots, self.states, strict=True):
            requests += [
                item.request.message for _, item in items(slot.batch) if is_final(item, policy)
            ]
            policy = state.policy
        return Tip(
            self.states[-1] if self.states else None,
            tuple(requests[-REMEMBERED_MAX:]),
            self.epochs[-1] if self.epochs else None,
        )
