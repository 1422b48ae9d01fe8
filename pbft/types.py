"""The nouns of the protocol, in the paper's words, and the bounds on everything that is sent.

All quantities are integers: ratios and similarities in basis points (1/10000), durations in
milliseconds. A float computed on two machines may differ in its last bit, and replicas that
compare such values would split.
"""

from typing import Final, NewType

ReplicaId = NewType("ReplicaId", int)
"""A member's number, from 0, given when it joins and never given to another."""

View = NewType("View", int)
SequenceNumber = NewType("SequenceNumber", int)
Epoch = NewType("Epoch", int)
"""Which members and policy are in force; 0 is the genesis file's."""

Digest = NewType("Digest", bytes)
"""SHA-256 of a canonical encoding (`pbft.digest`), 32 bytes."""

RequestId = NewType("RequestId", bytes)
"""Digest of a `Request`, so that two requests with different contents never share an id."""

FULL_BP: Final = 10_000
"""The whole, in basis points."""

MEMBERS_MAX: Final = 128
ANSWER_BYTES_MAX: Final = 16 * 1024
PROMPT_BYTES_MAX: Final = 16 * 1024
NAME_BYTES_MAX: Final = 128
FIELDS_MAX: Final = 16
FIELD_NAME_BYTES_MAX: Final = 32
LABELS_MAX: Final = 64
UNIT_BYTES_MAX: Final = 16
VALUE_BYTES_MAX: Final = 64
"""Of a label, of a number as it is written, of a short text."""

FIELDS_BYTES_MAX: Final = 8 * 1024
"""Names, labels and units of one request together: a model has to read them all."""

BATCH_ITEMS_MAX: Final = 64
ADDRESS_BYTES_MAX: Final = 256
ADDRESSES_MAX: Final = 16
ATTEMPTS_MAX: Final = 8
EPOCHS_MAX: Final = 4_096
"""Changes of membership that one certificate's chain can prove."""
SEALS_MAX: Final = 16
CHAINS_MAX: Final = 256
"""Seal chains that one view-change carries; further open attempts are sealed anew."""

CHECKPOINT_INTERVAL: Final = 64
"""K, in slots (§4.3)."""

WINDOW: Final = 256
"""k, the distance between the watermarks: how many slots may be open at once (§4.3)."""

U64_MAX: Final = 2**64 - 1

MESSAGE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A longer frame is refused before it is parsed."""

BATCH_BYTES_MAX: Final = MESSAGE_BYTES_MAX - 64 * 1024
"""Leaves room for a quorum of signatures, so that the decided slot fits into a frame too."""


def faults_tolerated(n: int) -> int:
    """f, the number of Byzantine replicas among n that can do no harm (§2: n >= 3f + 1)."""
    return (n - 1) // 3


def quorum_size(n: int) -> int:
    """The least q such that two quorums of n replicas share an honest one.

    For n = 3f + 1 this is the paper's 2f + 1; for other n it is what keeps two quorums
    intersecting in f + 1 replicas (2q - n >= f + 1).
    """
    return (n + faults_tolerated(n)) // 2 + 1
