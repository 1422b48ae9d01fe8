"""Certificates made up from a seed: right ones of all sorts, and ones with a single thing twisted
but everything signed as it must be, by whoever must sign it."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import combinations
from typing import Any

from pbft import digest
from pbft.certificate import Certificate
from pbft.codec import encode_value
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
    Request,
    Seal,
    Signatory,
    Signed,
)
from pbft.outcome import NO_VOTES, Contradiction
from pbft.policy import Policy
from pbft.types import Digest, Epoch, ReplicaId, SequenceNumber, View
from tests.support.drawn_values import draw_question, draw_values, twist_outcome
from tests.support.keyring import keyring, public_key
from tests.support.twist import (
    Twist,
    first_twice,
    flipped,
    less,
    more,
    only,
    same,
    shuffled,
    without_first,
)

NETWORK = bytes(range(100, 132))
WORDS = ["Paris", "Lyon", "Nice \U0001f600", "Métz", "x"]


@dataclass(frozen=True)
class Made:
    certificate: Certificate
    membership: Membership
    policy: Policy
    twisted: str
    steps: tuple[str, ...]
    """What can go wrong, by name; many go by the same one."""

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
    return Signed(message, signature(keys.get(signer, 99), message))


@lru_cache(maxsize=2_000)
def signature(key: int, message: Any) -> bytes:
    """Remembered: a twisted certificate has most of its messages in common with the right one."""
    return keyring(key).sign(message)


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
        number_tolerance_bp=draw.choice([0, 200, 200, 1_000, 10_000]),
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
            Epoch(twist("epoch number", number, more, less)),
            SequenceNumber(
                twist("epoch start", old_start + 64 * draw.randint(1, 3), same(old_start))
            ),
            tuple(members),
            next_replica,
        )
        rest = Digest(draw.randbytes(32))
        state = digest.state_digest(digest.configuration_digest(membership, policy), rest)
        signers = sorted(
            draw.sample(old_members.replicas, draw.randint(old_members.quorum, old_members.n))
        )
        signers = twist("epoch signers", signers, without_first, only(old_members.quorum - 1))
        checkpoints = []
        for replica in signers:
            checkpoint = Checkpoint(
                twist("checkpoint network", NETWORK, flipped),
                Epoch(twist("checkpoint epoch", old_members.epoch, more)),
                SequenceNumber(twist("checkpoint number", membership.start, more, less)),
                Digest(twist("checkpoint state", state, flipped)),
                ReplicaId(twist("checkpoint replica", replica, lambda _: 6, lambda _: 99)),
            )
            checkpoints.append(
                sign(checkpoint, old_keys, twist("checkpoint signer", replica, lambda _: 99))
            )
        chain.append(
            EpochCertificate(
                membership,
                policy,
                twist("rest", rest, flipped),
                twist("checkpoints", tuple(checkpoints), shuffled, first_twice),
            )
        )
    rules = Rules(NETWORK, membership, policy, keyring(0))
    epoch, n, quorum = membership.epoch, membership.n, membership.quorum

    # The question.
    asker = draw.choice(membership.replicas)
    question = draw_question(twist, policy.number_tolerance_bp)
    request = Request(
        twist("request network", NETWORK, flipped),
        ReplicaId(twist("asker", asker, lambda _: 99)),
        draw.randint(1, 9),
        question.kind,
        twist("prompt", draw.choice(["Why?", "Où est-ce ? \U0001f600"]), lambda _: " \n\u2003"),
        twist("language", draw.choice(["", "en", "zh-TW"]), lambda _: "é"),
        twist("tokens", draw.randint(1, 64), lambda _: 0, lambda _: 1_025),
        twist("time", 10_000, lambda _: 99, lambda _: 30_001),
        question.fields,
    )
    asked = sign(request, keys, twist("asker's key", request.replica, lambda _: 99))
    request_id = digest.request_id(request)
    attempt = draw.randrange(policy.attempts_max)
    attempt = twist("attempt", attempt, lambda _: 8, lambda a: a + 1)

    # The answers.
    sealed = sorted(draw.sample(membership.replicas, draw.randint(quorum, n)))
    answering = sorted(draw.sample(sealed, draw.randint(quorum, len(sealed))))
    answering = twist("answers", answering, only(quorum - 1), without_first)
    words = {}
    openings = {}
    commitments = {}
    for replica in sealed:
        words[replica] = draw.choice(WORDS[: draw.choice([1, 2, 5])])
        silent = draw.random() < 0.1
        values = draw_values(twist, question)
        said = Answer(
            twist("text", "" if silent else words[replica], lambda t: "" if t else "hm"),
            Finish.ABSTAINED if silent else draw.choice([Finish.STOP, Finish.LENGTH]),
            draw.choice(["m1", "m2"]),
            draw.randint(0, 99),
            draw.randint(0, 9_999),
            "no" if silent else "",
            twist("values of none", (), same(("1",)), same(("",))) if silent else values,
        )
        opening = AnswerReveal(
            NETWORK, epoch, request_id, attempt, said, draw.randbytes(32), ReplicaId(replica)
        )
        promised = replace(opening, salt=twist("salt", opening.salt, flipped))
        openings[replica] = replace(
            opening,
            network=twist("reveal network", NETWORK, flipped),
            epoch=Epoch(twist("reveal epoch", epoch, more)),
            attempt=twist("reveal attempt", attempt, more),
            request_id=twist("reveal request", request_id, flipped),
        )
        commitment = AnswerCommitment(
            twist("commitment network", NETWORK, flipped),
            Epoch(twist("commitment epoch", epoch, more)),
            twist("commitment request", request_id, flipped),
            twist("commitment attempt", attempt, more),
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
        seal_view = twist("seal view", view, more, lambda v: max(v - membership.n, 0))
        seal = Seal(
            twist("seal network", NETWORK, flipped),
            Epoch(twist("seal epoch", epoch, more)),
            twist("seal request", request_id, flipped),
            twist("seal attempt", attempt, more),
            View(seal_view),
            twist("seal number", position, more),
            twist("seal previous", before, flipped),
            twist(
                "seal list",
                tuple(commitments[replica] for replica in share),
                first_twice,
                without_first,
                lambda _: (),
                shuffled,
            ),
            twist("sealer", membership.primary(View(view)), lambda _: ReplicaId(99)),
        )
        seals.append(sign(seal, keys, twist("seal signer", seal.replica, lambda _: 99)))
    final_seals = twist("seals", tuple(seals), lambda _: (), first_twice, without_first)

    # The matrix and the outcome.
    reveals = tuple(
        sign(openings[r], keys, twist("reveal signer", r, lambda _: 99)) for r in answering
    )
    reveals = twist("reveal order", reveals, shuffled, first_twice)
    voting = [r.message.replica for r in reveals if r.message.answer.finish != Finish.ABSTAINED]
    measured = [] if question.fields else voting
    similarities = tuple(
        draw.choice([8_499, 8_500, 9_100, 9_600] if words.get(a) == words.get(b)
                    else [0, 3_000, 8_499, 8_600])
        for a, b in combinations(measured, 2)
    )  # fmt: skip
    similarities = twist(
        "matrix", similarities, lambda s: (*s, 9_000), without_first, lambda s: (10_001, *s[1:])
    )
    contradictions = tuple(
        Contradiction(a, b, "numbers")
        for a, b in combinations(range(len(measured)), 2)
        if draw.random() < 0.1
    )
    contradictions = twist(
        "contradictions",
        contradictions,
        first_twice,
        lambda c: (*c, Contradiction(0, len(measured), "")),
        lambda c: (Contradiction(1, 0, ""), *c),
    )
    weights = tuple(draw.choice([0, 7_500, 10_000, 10_000, 15_000]) for _ in reveals)
    weights = twist("weights", weights, first_twice, without_first)
    item = Item(
        asked, attempt, final_seals, reveals, weights, similarities, contradictions, NO_VOTES
    )
    try:
        outcome = outcome_of(item, n, policy)
        encode_value(outcome)
    except (ValueError, IndexError, KeyError):  # the twisted shapes have no outcome
        outcome = NO_VOTES
    outcome = twist_outcome(twist, outcome)
    item = replace(item, outcome=outcome)

    # The batch and its commits.
    digests = [Digest(draw.randbytes(32)) for _ in range(draw.randint(1, 3))]
    index = draw.randrange(len(digests))
    digests[index] = digest.item_digest(item)
    index = twist("index", index, more, lambda i: i + 64)
    committed = digest.batch_digest(
        tuple(twist("batch", digests, lambda d: [*d, Digest(bytes(32))]))
    )
    number = twist("slot", membership.start + draw.randint(1, 64), lambda _: membership.start)
    slot_view = View(draw.randint(0, 9))
    signers = sorted(draw.sample(membership.replicas, draw.randint(quorum, n)))
    signers = twist("committers", signers, only(quorum - 1), only(membership.f))
    commits = []
    for replica in signers:
        commit = Commit(
            twist("commit network", NETWORK, flipped),
            Epoch(twist("commit epoch", epoch, more)),
            View(twist("commit view", slot_view, more)),
            SequenceNumber(twist("commit number", number, more)),
            Digest(twist("commit digest", committed, flipped)),
            ReplicaId(replica),
        )
        signed = sign(commit, keys, twist("commit signer", replica, lambda _: 99))
        commits.append(Signatory(ReplicaId(replica), signed.signature))
    certificate = Certificate(
        network=twist("network", NETWORK, flipped),
        epoch=Epoch(twist("epoch", rules.membership.epoch, more, less)),
        view=slot_view,
        sequence_number=SequenceNumber(number),
        index=index,
        entry_digests=tuple(digests),
        commits=twist("commits", tuple(commits), shuffled, first_twice),
        item=item,
        epochs=twist("chain", tuple(chain), without_first, first_twice, shuffled),
    )
    return Made(certificate, *first, twist.done, tuple(twist.steps))
