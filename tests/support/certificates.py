"""Certificates made up from a seed: right ones of all sorts, and ones with a single thing twisted
but everything signed as it must be, by whoever must sign it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache
from itertools import combinations
from typing import Any, TypeVar

from pbft import digest
from pbft.certificate import Certificate
from pbft.item import Rules, commitment_of, outcome_of
from pbft.keyring import Verifier
from pbft.membership import Member, Membership
from pbft.messages import (
    Answer,
    AnswerCommitment,
    AnswerReveal,
    Checkpoint,
    Commit,
    EpochCertificate,
    Finish,
    Item,
    Kind,
    Request,
    Seal,
    Signatory,
    Signed,
)
from pbft.outcome import NO_VOTES, Contradiction, Status
from pbft.policy import Policy
from pbft.types import Digest, Epoch, ReplicaId, SequenceNumber, View
from tests.support.keyring import keyring, public_key

T = TypeVar("T")

NETWORK = bytes(range(100, 132))
WORDS = ["Paris", "Lyon", "Nice \U0001f600", "Métz", "x"]


@dataclass
class Twist:
    """Draws everything from one seed. One step at most, chosen by its number, goes wrong."""

    seed: int
    at: int | None = None
    """Which of the steps that can go wrong does."""
    draw: random.Random = field(init=False)
    steps: int = 0
    done: str = ""

    def __post_init__(self) -> None:
        self.draw = random.Random(f"certificate {self.seed}")  # noqa: S311  # a seed must replay

    def __call__(self, name: str, right: T, *wrong: Callable[[T], Any]) -> T:
        """`right`, or one of the wrong ones if it is this step's turn."""
        turn = self.steps == self.at
        self.steps += 1
        if not turn:
            return right
        self.done = name
        own = random.Random(f"twist {self.seed} {self.at}")  # noqa: S311
        return own.choice(wrong)(right)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Made:
    certificate: Certificate
    membership: Membership
    policy: Policy
    twisted: str
    steps: int

    def genesis(self, verifier: Verifier) -> Rules:
        return Rules(NETWORK, self.membership, self.policy, verifier)

    @property
    def facts(self) -> dict[str, Any]:
        """What the independent checker is told."""
        return {
            "network": NETWORK.hex(),
            "keys": [member.public_key.hex() for member in self.membership.members],
            "policy": {f.name: getattr(self.policy, f.name) for f in fields(Policy)},
        }


def sign(message: Any, keys: dict[int, int], by: int | None = None) -> Signed[Any]:
    """With the key that its signer holds in this epoch."""
    signer = message.replica if by is None else by
    return Signed(message, keyring(keys.get(signer, 99)).sign(message))


def _shuffled(values: Any) -> Any:
    return tuple(reversed(values))


def _first_twice(values: Any) -> Any:
    return (*values[:1], *values)


def _without_first(values: Any) -> Any:
    return values[1:]


def _same(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _only(count: int) -> Callable[[Any], Any]:
    return lambda values: values[:count]


def _more(value: Any) -> Any:
    return value + 1


def _less(value: Any) -> Any:
    return max(value - 1, 0)


def _flipped(value: Any) -> Any:
    return bytes([value[0] ^ 1]) + value[1:]


@cache
def make(seed: int, at: int | None = None) -> Made:  # one story
    """The certificate of a seed; with `at`, one of its steps goes wrong."""
    twist = Twist(seed, at)
    draw = twist.draw
    n = draw.randint(1, 7)
    keys = {i: i for i in range(n)}
    membership = Membership.first(
        tuple(Member(ReplicaId(i), f"n{i}", public_key(i)) for i in range(n))
    )
    policy = Policy(
        similarity_threshold_bp=draw.choice([8_500, 9_000]),
        confidence_threshold_bp=draw.choice([0, 7_500, 9_900]),
        vote_numerator=draw.choice([2, 2, 3]),
        vote_denominator=3,
        attempts_max=draw.randint(1, 3),
    )
    first = (membership, policy)
    chain = []
    for number in range(1, draw.choice([0, 0, 1, 2]) + 1):
        old_members, old_keys = membership, dict(keys)
        old_start: int = membership.start
        members = list(membership.members)
        kind = draw.randrange(4)
        next_replica = membership.next_replica
        if kind == 0 and len(members) < 7:
            keys[next_replica] = 20 + number
            members.append(Member(next_replica, f"j{number}", public_key(20 + number), ("/a",)))
            next_replica = ReplicaId(next_replica + 1)
        elif kind == 1 and len(members) > 1:
            gone = members.pop(draw.randrange(len(members)))
            del keys[gone.replica]
        elif kind == 2:
            place = draw.randrange(len(members))
            keys[members[place].replica] = 30 + number
            members[place] = replace(members[place], public_key=public_key(30 + number))
        else:
            policy = replace(policy, attempts_max=draw.randint(1, 8), similarity_threshold_bp=8_000)
        membership = Membership(
            Epoch(twist("epoch number", number, _more, _less)),
            SequenceNumber(
                twist("epoch start", old_start + 64 * draw.randint(1, 3), _same(old_start))
            ),
            tuple(members),
            next_replica,
        )
        rest = Digest(draw.randbytes(32))
        state = digest.state_digest(digest.configuration_digest(membership, policy), rest)
        signers = sorted(
            draw.sample(old_members.replicas, draw.randint(old_members.quorum, old_members.n))
        )
        signers = twist("epoch signers", signers, _without_first, _only(old_members.quorum - 1))
        checkpoints = []
        for replica in signers:
            checkpoint = Checkpoint(
                twist("checkpoint network", NETWORK, _flipped),
                Epoch(twist("checkpoint epoch", old_members.epoch, _more)),
                SequenceNumber(twist("checkpoint number", membership.start, _more, _less)),
                Digest(twist("checkpoint state", state, _flipped)),
                ReplicaId(twist("checkpoint replica", replica, lambda _: 6, lambda _: 99)),
            )
            checkpoints.append(
                sign(checkpoint, old_keys, twist("checkpoint signer", replica, lambda _: 99))
            )
        chain.append(
            EpochCertificate(
                membership,
                policy,
                twist("rest", rest, _flipped),
                twist("checkpoints", tuple(checkpoints), _shuffled, _first_twice),
            )
        )
    rules = Rules(NETWORK, membership, policy, keyring(0))
    epoch, n, quorum = membership.epoch, membership.n, membership.quorum

    # The question.
    asker = draw.choice(membership.replicas)
    request = Request(
        twist("request network", NETWORK, _flipped),
        ReplicaId(twist("asker", asker, lambda _: 99)),
        draw.randint(1, 9),
        Kind.TEXT,
        twist("prompt", draw.choice(["Why?", "Où est-ce ? \U0001f600"]), lambda _: " \n\u2003"),
        twist("language", draw.choice(["", "en", "zh-TW"]), lambda _: "é"),
        twist("tokens", draw.randint(1, 64), lambda _: 0, lambda _: 1_025),
        twist("time", 10_000, lambda _: 99, lambda _: 30_001),
    )
    asked = sign(request, keys, twist("asker's key", request.replica, lambda _: 99))
    request_id = digest.request_id(request)
    attempt = draw.randrange(policy.attempts_max)
    attempt = twist("attempt", attempt, lambda _: 8, lambda a: a + 1)

    # The answers.
    sealed = sorted(draw.sample(membership.replicas, draw.randint(quorum, n)))
    answering = sorted(draw.sample(sealed, draw.randint(quorum, len(sealed))))
    answering = twist("answers", answering, _only(quorum - 1), _without_first)
    words = {}
    openings = {}
    commitments = {}
    for replica in sealed:
        words[replica] = draw.choice(WORDS[: draw.choice([1, 2, 5])])
        silent = draw.random() < 0.1
        said = Answer(
            twist("text", "" if silent else words[replica], lambda t: "" if t else "hm"),
            Finish.ABSTAINED if silent else draw.choice([Finish.STOP, Finish.LENGTH]),
            draw.choice(["m1", "m2"]),
            draw.randint(0, 99),
            draw.randint(0, 9_999),
            "no" if silent else "",
        )
        opening = AnswerReveal(
            NETWORK, epoch, request_id, attempt, said, draw.randbytes(32), ReplicaId(replica)
        )
        promised = replace(opening, salt=twist("salt", opening.salt, _flipped))
        openings[replica] = replace(
            opening,
            network=twist("reveal network", NETWORK, _flipped),
            epoch=Epoch(twist("reveal epoch", epoch, _more)),
            attempt=twist("reveal attempt", attempt, _more),
            request_id=twist("reveal request", request_id, _flipped),
        )
        commitment = AnswerCommitment(
            twist("commitment network", NETWORK, _flipped),
            Epoch(twist("commitment epoch", epoch, _more)),
            twist("commitment request", request_id, _flipped),
            twist("commitment attempt", attempt, _more),
            commitment_of(promised),
            ReplicaId(replica),
        )
        commitments[replica] = sign(
            commitment, keys, twist("commitment signer", replica, lambda _: 99)
        )

    # The seals: one, and perhaps late ones in later views.
    split = draw.randint(quorum, len(sealed))
    shares = [sealed[:split]] + [[late] for late in sealed[split:]]
    seals: list[Signed[Seal]] = []
    view = draw.randint(0, 9)
    for position, share in enumerate(shares):
        view += draw.choice([0, 0, 1, 4])
        before = digest.seal_digest(seals[-1].message) if seals else digest.DIGEST_ZERO
        seal_view = twist("seal view", view, _more, lambda v: max(v - membership.n, 0))
        seal = Seal(
            twist("seal network", NETWORK, _flipped),
            Epoch(twist("seal epoch", epoch, _more)),
            twist("seal request", request_id, _flipped),
            twist("seal attempt", attempt, _more),
            View(seal_view),
            twist("seal number", position, _more),
            twist("seal previous", before, _flipped),
            twist(
                "seal list",
                tuple(commitments[replica] for replica in share),
                _first_twice,
                _without_first,
                lambda _: (),
                _shuffled,
            ),
            twist("sealer", membership.primary(View(view)), lambda _: ReplicaId(99)),
        )
        seals.append(sign(seal, keys, twist("seal signer", seal.replica, lambda _: 99)))
    final_seals = twist("seals", tuple(seals), lambda _: (), _first_twice, _without_first)

    # The matrix and the outcome.
    reveals = tuple(
        sign(openings[r], keys, twist("reveal signer", r, lambda _: 99)) for r in answering
    )
    reveals = twist("reveal order", reveals, _shuffled, _first_twice)
    voting = [r.message.replica for r in reveals if r.message.answer.finish != Finish.ABSTAINED]
    similarities = tuple(
        draw.choice([8_499, 8_500, 9_100, 9_600] if words.get(a) == words.get(b)
                    else [0, 3_000, 8_499, 8_600])
        for a, b in combinations(voting, 2)
    )  # fmt: skip
    similarities = twist(
        "matrix", similarities, _first_twice, _without_first, lambda s: (10_001, *s[1:])
    )
    contradictions = tuple(
        Contradiction(a, b, "numbers")
        for a, b in combinations(range(len(voting)), 2)
        if draw.random() < 0.1
    )
    contradictions = twist(
        "contradictions",
        contradictions,
        _first_twice,
        lambda c: (*c, Contradiction(0, len(voting), "")),
        lambda c: (Contradiction(1, 0, ""), *c),
    )
    weights = tuple(draw.choice([0, 7_500, 10_000, 10_000, 15_000]) for _ in reveals)
    weights = twist("weights", weights, _first_twice, _without_first)
    item = Item(
        asked, attempt, final_seals, reveals, weights, similarities, contradictions, NO_VOTES
    )
    try:
        outcome = outcome_of(item, n, policy)
    except (ValueError, IndexError, KeyError):  # the twisted shapes have no outcome
        outcome = NO_VOTES
    outcome = twist(
        "outcome",
        outcome,
        lambda o: replace(o, confidence_bp=o.confidence_bp + 1),
        lambda o: replace(o, agreement_rate_bp=o.agreement_rate_bp + 1),
        lambda o: replace(o, distinct_models=o.distinct_models + 1),
        lambda o: replace(o, clusters=(*o.clusters, ())),
        lambda o: replace(
            o, status=Status.AGREED if o.status is not Status.AGREED else Status.NO_AGREEMENT
        ),
        lambda o: replace(o, representative=None if o.representative is not None else ReplicaId(0)),
    )
    item = replace(item, outcome=outcome)

    # The batch and its commits.
    digests = [Digest(draw.randbytes(32)) for _ in range(draw.randint(1, 3))]
    index = draw.randrange(len(digests))
    digests[index] = digest.item_digest(item)
    index = twist("index", index, _more, lambda i: i + 64)
    committed = digest.batch_digest(
        tuple(twist("batch", digests, lambda d: [*d, Digest(bytes(32))]))
    )
    number = twist("slot", membership.start + draw.randint(1, 64), lambda _: membership.start)
    slot_view = View(draw.randint(0, 9))
    signers = sorted(draw.sample(membership.replicas, draw.randint(quorum, n)))
    signers = twist("committers", signers, _only(quorum - 1), _only(membership.f))
    commits = []
    for replica in signers:
        commit = Commit(
            twist("commit network", NETWORK, _flipped),
            Epoch(twist("commit epoch", epoch, _more)),
            View(twist("commit view", slot_view, _more)),
            SequenceNumber(twist("commit number", number, _more)),
            Digest(twist("commit digest", committed, _flipped)),
            ReplicaId(replica),
        )
        signed = sign(commit, keys, twist("commit signer", replica, lambda _: 99))
        commits.append(Signatory(ReplicaId(replica), signed.signature))
    certificate = Certificate(
        network=twist("network", NETWORK, _flipped),
        epoch=Epoch(twist("epoch", rules.membership.epoch, _more, _less)),
        view=slot_view,
        sequence_number=SequenceNumber(number),
        index=index,
        entry_digests=tuple(digests),
        commits=twist("commits", tuple(commits), _shuffled, _first_twice),
        item=item,
        epochs=twist("chain", tuple(chain), _without_first, _first_twice, _shuffled),
    )
    return Made(certificate, *first, twist.done, twist.steps)
