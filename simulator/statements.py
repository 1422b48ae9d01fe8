"""What a replica may say only once."""

from pbft.messages import (
    AnswerCommitment,
    AnswerReveal,
    Checkpoint,
    Commit,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Seal,
    Signed,
    SignedMessage,
    ViewChange,
    WireMessage,
)


def said_in(message: WireMessage) -> SignedMessage | None:
    """The signed message in what was sent; a proposal says its pre-prepare."""
    if isinstance(message, Signed):
        return message.message
    return message.pre_prepare.message if isinstance(message, Proposal) else None


def topic_of(message: SignedMessage) -> tuple[object, ...] | None:
    """Two messages of one replica with the same topic must be the same message; None for kinds of
    which one may send many."""
    kind = type(message)
    if kind is Prepare or kind is Commit or kind is PrePrepare:
        return kind, message.replica, message.epoch, message.view, message.sequence_number  # type: ignore[union-attr]
    match message:
        case AnswerCommitment() | AnswerReveal():
            return kind, message.replica, message.epoch, message.request_id, message.attempt
        case Seal():
            topic = (message.request_id, message.attempt, message.view, message.number)
            return kind, message.replica, message.epoch, *topic
        case Checkpoint():
            return kind, message.replica, message.epoch, message.sequence_number
        case ViewChange() | NewView():
            return kind, message.replica, message.epoch, message.view
        case _:
            return None
