"""A search for two sayings of one replica that contradict each other."""

from collections.abc import Iterable

from pbft.messages import SignedMessage, WireMessage
from simulator.statements import said_in, topic_of


def statements(sent: Iterable[WireMessage]) -> Iterable[SignedMessage]:
    """The signed messages in what was sent."""
    return (said for said in map(said_in, sent) if said is not None)


def contradictions(sent: Iterable[WireMessage]) -> list[tuple[SignedMessage, SignedMessage]]:
    """Pairs that would prove their signer faulty."""
    first: dict[tuple[object, ...], SignedMessage] = {}
    found = []
    for message in statements(sent):
        topic = topic_of(message)
        if topic is not None and first.setdefault(topic, message) != message:
            found.append((first[topic], message))
    return found
