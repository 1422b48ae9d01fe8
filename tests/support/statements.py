"""What a replica may say only once, and a search for two sayings that contradict each other."""

from collections.abc import Iterable

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


def question_of(message: SignedMessage) -> tuple[object, ...] | None:
    """Two messages of one replica with the same value here must be the same message."""
    match message:
        case AnswerCommitment() | AnswerReveal():
            topic: tuple[object, ...] = (message.epoch, message.request_id, message.attempt)
        case Seal():
            topic = (
                message.epoch,
                message.request_id,
                message.attempt,
                message.view,
                message.number,
            )
        case PrePrepare() | Prepare() | Commit():
            topic = (message.epoch, message.view, message.sequence_number)
        case Checkpoint():
            topic = (message.epoch, message.sequence_number)
        case ViewChange() | NewView():
            topic = (message.epoch, message.view)
        case _:
            return None
    return (type(message).__name__, message.replica, *topic)


def statements(sent: Iterable[WireMessage]) -> Iterable[SignedMessage]:
    """The signed messages in what was sent; a proposal says its pre-prepare."""
    for message in sent:
        if isinstance(message, Signed):
            yield message.message
        elif isinstance(message, Proposal):
            yield message.pre_prepare.message


def contradictions(sent: Iterable[WireMessage]) -> list[tuple[SignedMessage, SignedMessage]]:
    """Pairs that would prove their signer faulty."""
    first: dict[tuple[object, ...], SignedMessage] = {}
    found = []
    for message in statements(sent):
        question = question_of(message)
        if question is not None and first.setdefault(question, message) != message:
            found.append((first[question], message))
    return found
