"""This replica's own answers: drawn once, logged, then only repeated."""

from collections.abc import Callable

from pbft.context import Context
from pbft.effects import ArmTimer, CancelTimer, Persist, RunInference
from pbft.events import AnswerDeadline, AnswerReady
from pbft.item import answer_fault, commitment_of, is_sendable
from pbft.messages import Answer, AnswerCommitment, AnswerReveal, Finish, Signed
from pbft.records import AnswerDrawn
from pbft.round import Round, Rounds

NO_SALT = bytes(32)
"""For an abstention, which hides nothing."""


class Answering:
    """`on_commitment(round, commitment)` is called when this replica has committed to an answer."""

    def __init__(
        self,
        context: Context,
        rounds: Rounds,
        on_commitment: Callable[[Round, Signed[AnswerCommitment]], None],
    ) -> None:
        self._context = context
        self._rounds = rounds
        self._on_commitment = on_commitment

    def draw(self, round_: Round) -> None:
        """Ask the model, unless it was asked before or the log holds an answer already."""
        if round_.request is None or round_.drawn is not None or round_.drawing:
            return
        if not self._context.takes_part:
            return
        round_.drawing = True
        request = round_.request.message
        temperature_milli = self._context.policy.temperature_milli >> round_.attempt
        self._context.emit(
            ArmTimer(AnswerDeadline(*round_.key), request.timeout_ms),
            RunInference(*round_.key, request, temperature_milli),
        )

    def on_ready(self, event: AnswerReady) -> None:
        round_ = self._rounds.get(event.request_id, event.attempt)
        if round_ is None or round_.drawn is not None or not round_.drawing:
            # Decided without us, or after our deadline; or the round in which the model was asked
            # is closed, with what we answered in it, and a peer's late message opened another.
            return
        answer = event.answer
        if not is_sendable(answer):
            answer = abstention("answer not fit to be sent", answer.elapsed_ms)
        elif fault := answer_fault(answer, self._context.policy, round_.asked):
            answer = abstention(fault, answer.elapsed_ms)
        self._commit_to(round_, answer, event.salt)

    def on_deadline(self, timer: AnswerDeadline) -> None:
        round_ = self._rounds.get(timer.request_id, timer.attempt)
        if round_ is None or round_.request is None or round_.drawn is not None:
            return
        # An abstention hides nothing, so that it needs no salt.
        timeout_ms = round_.request.message.timeout_ms
        self._commit_to(round_, abstention("out of time", timeout_ms), NO_SALT)

    def _commit_to(self, round_: Round, answer: Answer, salt: bytes) -> None:
        round_.drawn = AnswerDrawn(*round_.key, answer, salt)
        self._context.emit(
            CancelTimer(AnswerDeadline(*round_.key)),
            # On disk before anyone hears of it: from now on this is our answer.
            Persist(round_.drawn),
        )
        commitment = own_commitment(self._context, round_.drawn)
        self._context.broadcast(commitment)
        self._on_commitment(round_, commitment)

    def commit_again(self, round_: Round) -> None:
        """In a new epoch, to the answer that was drawn before."""
        if round_.drawn is None or not self._context.takes_part:
            return
        if fault := answer_fault(round_.drawn.answer, self._context.policy, round_.asked):
            answer = abstention(fault, round_.drawn.answer.elapsed_ms)
            self._commit_to(round_, answer, round_.drawn.salt)
            return
        commitment = own_commitment(self._context, round_.drawn)
        self._context.broadcast(commitment)
        self._on_commitment(round_, commitment)

    def restore(self, drawn: AnswerDrawn) -> None:
        round_ = self._rounds.get(drawn.request_id, drawn.attempt)
        if round_ is not None:
            round_.drawn = drawn
            if self._context.takes_part:
                round_.commitments[self._context.me] = own_commitment(self._context, drawn)


def own_reveal(context: Context, drawn: AnswerDrawn) -> Signed[AnswerReveal]:
    """The same bytes every time, as Ed25519 is deterministic."""
    return context.sign(_reveal(context, drawn))


def own_commitment(context: Context, drawn: AnswerDrawn) -> Signed[AnswerCommitment]:
    """The same bytes every time."""
    return context.sign(
        AnswerCommitment(
            network=context.network,
            epoch=context.epoch,
            request_id=drawn.request_id,
            attempt=drawn.attempt,
            commitment=commitment_of(_reveal(context, drawn)),
            replica=context.me,
        )
    )


def _reveal(context: Context, drawn: AnswerDrawn) -> AnswerReveal:
    return AnswerReveal(
        network=context.network,
        epoch=context.epoch,
        request_id=drawn.request_id,
        attempt=drawn.attempt,
        answer=drawn.answer,
        salt=drawn.salt,
        replica=context.me,
    )


def abstention(note: str, elapsed_ms: int) -> Answer:
    return Answer(
        text="",
        finish=Finish.ABSTAINED,
        model="",
        output_tokens=0,
        elapsed_ms=elapsed_ms,
        note=note,
    )
