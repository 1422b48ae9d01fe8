"""Seals: the primary closes lists of commitments, and everybody reveals under them.

When the primary holds a quorum of commitments, and a short grace has passed or all members that are
connected are in, it seals the list. Upon receiving the seal, the replicas named in it broadcast
their answers. If too few sealed replicas reveal, the primary seals again with later commitments.
When a view is entered, the seals are those that its view-changes carry.

An answer that was not committed before its seal cannot have been copied from one revealed after it.
"""

from collections import Counter
from collections.abc import Callable

from pbft import digest
from pbft.codec import encode_value
from pbft.context import NOBODY, Context
from pbft.effects import ArmTimer, CancelTimer, Persist, Progress, Stage
from pbft.events import RevealGrace, SealGrace
from pbft.item import WrongItem, check_seal
from pbft.messages import Equivocation, Seal, SealChain, Signed
from pbft.records import Sealed
from pbft.round import Chain, Round, RoundKey, Rounds
from pbft.types import CHAINS_MAX, SEALS_MAX, ReplicaId


class Seals:
    """`on_sealed(round, seal)` is called for every seal that a round takes."""

    def __init__(
        self, context: Context, rounds: Rounds, on_sealed: Callable[[Round, Signed[Seal]], None]
    ) -> None:
        self._context = context
        self._rounds = rounds
        self._on_sealed = on_sealed

    def make(self, round_: Round) -> None:
        """The primary closes the list with all commitments not sealed yet."""
        fresh = tuple(
            round_.commitments[replica]
            for replica in sorted(round_.commitments.keys() - round_.sealed.keys())
        )
        context = self._context
        previous = round_.seals[-1].message if round_.seals else None
        seal = context.sign(
            Seal(
                network=context.network,
                epoch=context.epoch,
                request_id=round_.request_id,
                attempt=round_.attempt,
                view=context.view,
                number=len(round_.seals),
                previous=digest.seal_digest(previous) if previous else digest.DIGEST_ZERO,
                commitments=fresh,
                replica=context.me,
            )
        )
        round_.grace_over = False
        context.emit(
            CancelTimer(SealGrace(*round_.key)),
            ArmTimer(RevealGrace(*round_.key), context.policy.reveal_grace_ms),
        )
        context.emit(Persist(Sealed(seal)))
        context.broadcast(seal)
        self._take(round_, seal)

    def on_seal(self, source: ReplicaId, signed: Signed[Seal]) -> Round | None:
        """The round that may go on now; None if the seal was not taken."""
        message = signed.message
        round_ = self._rounds.for_message(source, message)
        if round_ is None:
            return None
        if message.view != self._context.view or not self._context.active:
            self._context.refuse(source, "view")
        elif message.number < len(round_.seals):
            self._compare(source, round_.seals[message.number], signed)
        elif self.extend(source, round_, (*round_.seals, signed)):
            return round_
        return None

    def _compare(self, source: ReplicaId, held: Signed[Seal], signed: Signed[Seal]) -> None:
        if held.message == signed.message:
            return
        if not self._context.is_genuine(signed):
            self._context.refuse(source, "signature")
        elif not self._context.report(Equivocation(held, signed)):
            # By somebody else, or in another view.
            self._context.refuse(source, "seal-not-primary")

    def extend(self, source: ReplicaId, round_: Round, seals: Chain) -> bool:
        """Takes the seals of `seals` that the round lacks; False if they do not fit."""
        common = min(len(seals), len(round_.seals))
        for held, claimed in zip(round_.seals[:common], seals[:common], strict=True):
            if held.message != claimed.message:
                self._compare(source, held, claimed)
                return False
        for number in range(common, len(seals)):
            if seals[number].message.view > self._context.view:
                # Its author leads that view and may seal in it. Our next view-change would carry a
                # seal of no earlier view, and nobody would take it.
                self._context.refuse(source, "seal-view")
                return False
            if number >= SEALS_MAX:
                self._context.refuse(source, "seals-many")
                return False
            try:
                check_seal(seals[number], seals[:number], *round_.key, self._context.rules)
            except WrongItem as wrong:
                self._context.refuse(source, wrong.reason)
                return False
            self._context.emit(Persist(Sealed(seals[number])))
            self._take(round_, seals[number])
        return True

    def replace(self, round_: Round, chain: Chain) -> None:
        """A view is entered whose view-changes carry this chain."""
        if round_.seals != chain:
            round_.unseal()
            for seal in chain:
                self._take(round_, seal)

    def _take(self, round_: Round, seal: Signed[Seal]) -> None:
        round_.add_seal(seal)
        self._context.emit(Progress(round_.request_id, Stage.SEALED, seal.message.replica))
        for commitment in seal.message.commitments:
            held = round_.commitments.setdefault(commitment.message.replica, commitment)
            if held.message != commitment.message:
                self._context.report(Equivocation(held, commitment))
        self._on_sealed(round_, seal)

    def chains(self, room: int) -> tuple[SealChain, ...]:
        """The seals of undecided requests, for a view-change: at most `CHAINS_MAX`, and as many as
        `room` bytes hold. If they are too many, every asker has its share: one that seals its own
        requests by the hundred crowds out nobody else's."""
        turns: Counter[ReplicaId] = Counter()
        ranked: list[tuple[bool, int, RoundKey, SealChain]] = []
        for round_ in self._rounds:
            if round_.seals:
                # Requests that did not arrive have no asker to count them for, and come last.
                asker = round_.asked.replica if round_.asked else NOBODY
                chain = SealChain(round_.seals)
                ranked.append((round_.asked is None, turns[asker], round_.key, chain))
                turns[asker] += 1
        chosen: dict[RoundKey, SealChain] = {}
        for *_, key, chain in sorted(ranked, key=lambda entry: entry[:3])[:CHAINS_MAX]:
            room -= len(encode_value(chain))
            if room < 0:
                break
            chosen[key] = chain
        return tuple(chosen[key] for key in sorted(chosen))
