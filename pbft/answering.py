"""This replica's own answers: drawn once, logged, then only repeated."""

from pbft.context import Context
from pbft.item import commitment_of
from pbft.messages import Answer, AnswerCommitment, AnswerReveal, Finish, Signed
from pbft.records import AnswerDrawn

NO_SALT = bytes(32)
"""For an abstention, which hides nothing."""


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
