"""What this machine could decide if only the unavoidable were paid. Pure.

*Unavoidable* is what docs/protocol.md asks of n correct nodes when nothing is lost: every
signature made once, checked once by each node that needs it, every message encoded once by its
sender and decoded once by each receiver, and flushed what must be on disk before a message leaves.
Whatever can be shared is shared to the utmost: the b questions that are open at once (at most a
slot's 64 items) go through all phases in step, so that they share one slot, one write for each
phase, sender and receiver, and one flush for each phase and node.

With q the quorum, a decision costs, over all nodes,

    signatures   (2n + 2) + 2n / b
    checks       2(n - 1) + 2n(n - 1) + [(n - 1) + (n - 1)(q - 2) + (q - 1) + n(q - 1)] / b
    encodings    1 request, n commitments, 1 seal, n reveals
                 + [1 proposal of b items, n - 1 prepares, n commits] / b
    decodings    n - 1 requests, n(n - 1) commitments, n - 1 seals, n(n - 1) reveals
                 + [n - 1 proposals, (n - 1)(q - 2) + (q - 1) prepares, n(q - 1) commits] / b
    writes       [min(n, b)(n - 1) with requests, n(n - 1) with commitments, n - 1 with seals,
                  n(n - 1) with reveals, n - 1 with a proposal, (n - 1)^2 with a prepare,
                  n(n - 1) with a commit] / b, a write of s bytes for
                 ceil(s / one encrypted message) times the fixed cost, and s times that of a byte
    flushes      4n / b: before commitment, reveal, prepare and commit

A vote beyond the quorum need not be read, so it is not counted. The floor is the lesser of what the
cores allow (all of the above, in seconds of one core, shared by as many cores as there are, n at
most) and what the disk allows (4 / b flushes one after the other: what the nodes flush at the same
time, the file system can write at once). With one question open the cores can't all be busy, so
there the floor says little.
"""

from dataclasses import dataclass

from pbft.types import BATCH_ITEMS_MAX, quorum_size

FLUSHES_PER_NODE = 4


@dataclass(frozen=True, slots=True)
class MessageCost:
    """One kind of message: seconds of a core, and bytes with the frame's header."""

    encode_s: float
    decode_s: float
    frame_bytes: int


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What was measured, in seconds of one core where nothing else is said."""

    sign_s: float
    check_s: float
    request: MessageCost
    commitment: MessageCost
    seal: MessageCost
    reveal: MessageCost
    proposal: MessageCost
    """Of `batch` items."""
    prepare: MessageCost
    commit: MessageCost
    write_s: float
    """One write and its read at the other end, encrypted, without what each byte adds."""
    write_byte_s: float
    write_bytes_max: int
    """What goes into one encrypted message."""
    flush_s: float
    flush_disk_s: float
    """Time until the disk has it."""
    batch: int


def batch_of(concurrency: int) -> int:
    """How many questions can share a slot at best."""
    return min(concurrency, BATCH_ITEMS_MAX)


def signatures(n: int, b: int) -> float:
    return 2 * n + 2 + 2 * n / b


def prepares_needed(n: int) -> int:
    """Votes of others that all nodes together need to be prepared: a backup's own is among its
    q - 1."""
    q = quorum_size(n)
    return (n - 1) * max(0, q - 2) + (q - 1)


def commits_needed(n: int) -> int:
    return n * (quorum_size(n) - 1)


def checks(n: int, b: int) -> float:
    slot = (n - 1) + prepares_needed(n) + commits_needed(n)
    return 2 * (n - 1) + 2 * n * (n - 1) + slot / b


def writes(n: int, b: int, costs: UnitCosts) -> list[tuple[float, float]]:
    """Writes for a whole slot by phase: how many, and how many bytes each."""
    askers = min(n, b)
    everyone = n * (n - 1)
    return [
        (askers * (n - 1), b / askers * costs.request.frame_bytes),
        (everyone, b * costs.commitment.frame_bytes),
        (n - 1, b * costs.seal.frame_bytes),
        (everyone, b * costs.reveal.frame_bytes),
        (n - 1, costs.proposal.frame_bytes),
        ((n - 1) ** 2, costs.prepare.frame_bytes),
        (everyone, costs.commit.frame_bytes),
    ]


def parts_s(n: int, costs: UnitCosts) -> dict[str, float]:
    """Seconds of one core for a decision, all nodes together, by what they go into."""
    b = costs.batch
    own = (costs.request, 1), (costs.commitment, n), (costs.seal, 1), (costs.reveal, n)
    shared = (costs.proposal, 1), (costs.prepare, n - 1), (costs.commit, n)
    heard = (
        (costs.request, n - 1),
        (costs.commitment, n * (n - 1)),
        (costs.seal, n - 1),
        (costs.reveal, n * (n - 1)),
    )
    heard_shared = (
        (costs.proposal, n - 1),
        (costs.prepare, prepares_needed(n)),
        (costs.commit, commits_needed(n)),
    )
    return {
        "signatures": signatures(n, b) * costs.sign_s,
        "checks": checks(n, b) * costs.check_s,
        "encodings": sum(cost.encode_s * times for cost, times in own)
        + sum(cost.encode_s * times for cost, times in shared) / b,
        "decodings": sum(cost.decode_s * times for cost, times in heard)
        + sum(cost.decode_s * times for cost, times in heard_shared) / b,
        "writes": sum(
            times * (-(-size // costs.write_bytes_max) * costs.write_s + size * costs.write_byte_s)
            for times, size in writes(n, b, costs)
        )
        / b,
        "flushes": FLUSHES_PER_NODE * n / b * costs.flush_s,
    }


def decisions_per_s(n: int, costs: UnitCosts, cores: int) -> float:
    """The floor."""
    core_s = sum(parts_s(n, costs).values()) / min(cores, n)
    disk_s = FLUSHES_PER_NODE / costs.batch * costs.flush_disk_s
    return 1 / max(core_s, disk_s)
