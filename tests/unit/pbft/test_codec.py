"""One message, one encoding: what the codec accepts and all that it refuses."""

from dataclasses import fields
from typing import Any, get_args

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbft.codec import (
    MESSAGE_CODES,
    decode,
    decode_value,
    encode,
    encode_value,
    from_plain,
    signing_bytes,
)
from pbft.errors import Malformed
from pbft.membership import Change, Leave
from pbft.messages import (
    Accusation,
    AnswerCommitment,
    AnswerReveal,
    BatchContent,
    BatchWanted,
    Checkpoint,
    Commit,
    DecidedSlot,
    Endorsement,
    Entry,
    EpochCertificate,
    Evidence,
    Height,
    LedgerWanted,
    NewView,
    Prepare,
    PrePrepare,
    Proposal,
    Request,
    Seal,
    Signed,
    ViewChange,
    ViewChangesWanted,
)
from pbft.policy import Policy
from pbft.records import RECORD_KINDS
from pbft.types import MESSAGE_BYTES_MAX, U64_MAX, ReplicaId
from tests.support import forge
from tests.support.strategies import values

ON_THE_WIRE: list[Any] = [
    Signed[Request],
    Signed[AnswerCommitment],
    Signed[Seal],
    Signed[AnswerReveal],
    Signed[Prepare],
    Signed[Commit],
    Signed[Height],
    Signed[Checkpoint],
    Signed[ViewChange],
    Signed[NewView],
    Signed[Endorsement],
    Proposal,
    DecidedSlot,
    BatchWanted,
    BatchContent,
    LedgerWanted,
    EpochCertificate,
    Accusation,
    ViewChangesWanted,
]

NETWORK = b"\x11" * 32
SIGNATURE = b"\x22" * 64
HEIGHT = MESSAGE_CODES[Height]
REQUEST = MESSAGE_CODES[Request]
ENDORSEMENT = MESSAGE_CODES[Endorsement]
HEAD = bytes([0x83, HEIGHT, 0x85, 0x58, 0x20]) + NETWORK + b"\x00"
"""A height up to and including its epoch; `applied`, `view` and `replica` follow."""
TAIL = b"\x58\x40" + SIGNATURE


def height_frame(applied: Any = 5, replica: Any = 1, code: Any = HEIGHT) -> bytes:
    return cbor2.dumps([code, [NETWORK, 0, applied, 0, replica], SIGNATURE])


def request_frame(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "network": NETWORK,
        "replica": 1,
        "number": 1,
        "kind": "text",
        "prompt": "Why?",
        "language": "en",
        "max_tokens": 8,
        "timeout_ms": 1000,
        "fields": [],
    }
    return cbor2.dumps([REQUEST, list((fields | changes).values()), SIGNATURE])


def to_plain(value: Any, annotation: Any = None) -> Any:
    """What a general decoder of CBOR finds in the encoding."""
    return cbor2.loads(encode_value(value, annotation))


def refuse(frame: bytes, why: str | None = None) -> None:
    with pytest.raises(Malformed, match=why):
        decode(frame)


UNPARSED = "not the CBOR of a message"
"""The parser itself refused it, before anything was built."""


def test_the_frames_these_tests_spoil_are_good_before() -> None:
    """The unspoilt frames decode, so that a refusal below is due to the one thing changed."""
    assert decode(height_frame()).message.applied == 5  # type: ignore[union-attr]
    assert decode(HEAD + b"\x05\x00\x01" + TAIL) == decode(height_frame())
    assert decode(request_frame()).message.prompt == "Why?"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ON_THE_WIRE, ids=str)
def test_every_message_survives_the_wire(kind: Any) -> None:
    """Any message of any type decodes to itself from its one encoding."""

    @settings(max_examples=20)
    @given(values(kind))
    def check(message: Any) -> None:
        assert decode(encode(message)) == message

    check()


@pytest.mark.parametrize(
    "value",
    [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, U64_MAX, -1, -24, -25, -(2**64)],
)
def test_integers_are_encoded_like_everybody_does(value: int) -> None:
    """RFC 8949 §3: also those below zero, which a receiver refuses."""
    assert encode_value(value) == cbor2.dumps(value, canonical=True)


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_lengths_are_encoded_like_everybody_does(length: int) -> None:
    """RFC 8949 §3: of texts and of arrays."""
    assert encode_value("x" * length) == cbor2.dumps("x" * length, canonical=True)
    numbers = (7,) * length
    assert encode_value(numbers, tuple[int, ...]) == cbor2.dumps(numbers, canonical=True)


def test_what_has_no_encoding_is_not_encoded() -> None:
    """More than 64 bits, and texts that are no Unicode."""
    with pytest.raises(OverflowError):
        encode_value(2**64)
    with pytest.raises(UnicodeEncodeError):
        encode_value("\ud800")


@pytest.mark.parametrize("kind", RECORD_KINDS, ids=str)
def test_every_record_survives_the_log(kind: Any) -> None:
    """Any log record decodes to itself."""

    @settings(max_examples=10)
    @given(values(kind))
    def check(record: Any) -> None:
        data = encode_value(record)
        assert decode_value(data, kind) == record
        assert from_plain(cbor2.loads(data), kind) == record
        assert cbor2.dumps(cbor2.loads(data), canonical=True) == data

    check()


# --- alternatives ------------------------------------------------------------------------------

ALTERNATIVES: list[tuple[Any, list[str]]] = [
    (Change, ["Join", "Leave", "ReplaceKey", "SetPolicy", "Renew"]),
    (Evidence, ["Equivocation", "CommitmentMismatch", "FalseItem"]),
    (Entry, ["Item", "EndorsedChange", "Accusation"]),
]


@pytest.mark.parametrize(("union", "names"), ALTERNATIVES, ids=lambda value: str(value)[:40])
def test_the_alternatives_keep_their_numbers(union: Any, names: list[str]) -> None:
    """Numbers of alternatives are under signatures and digests: their order is fixed."""
    assert [kind.__name__ for kind in get_args(union)] == names
    for number, kind in enumerate(get_args(union)):

        @settings(max_examples=5)
        @given(values(kind), st.just(number))
        def check(value: Any, expected: int) -> None:
            assert to_plain(value, union)[0] == expected
            assert decode_value(encode_value(value, union), union) == value

        check()


LEAVE = [1, [3]]


@pytest.mark.parametrize(
    "plain",
    [
        [5, [3]],
        [U64_MAX, [3]],
        [-1, [3]],
        [True, [3]],
        [1.0, [3]],
        ["1", [3]],
        [None, [3]],
        [1],
        [1, [3], 0],
        [],
        [3],
        3,
        "Leave",
        None,
        [1, 3],
        [1, []],
        [1, [3, 4]],
        [1, None],
        [0, [3]],
    ],
    ids=repr,
)
def test_a_wrong_alternative_is_malformed(plain: Any) -> None:
    """Of an unknown number, with another arity, or the fields of another kind: refused."""
    assert from_plain(LEAVE, Change) == Leave(ReplicaId(3))  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        from_plain(plain, Change)  # type: ignore[arg-type]
    body = [NETWORK, 0, plain, 1]
    decode(cbor2.dumps([ENDORSEMENT, [NETWORK, 0, LEAVE, 1], SIGNATURE]))
    refuse(cbor2.dumps([ENDORSEMENT, body, SIGNATURE]))


@pytest.mark.parametrize(("field", "value"), [
    ("similarity_threshold_bp", 0),
    ("similarity_threshold_bp", 10_001),
    ("vote_numerator", 1),
    ("vote_denominator", 0),
    ("vote_denominator", U64_MAX),
    ("rotation_slots", 65),
    ("attempts_max", 0),
    ("attempts_max", 9),
    ("view_timeout_ms", 99),
    ("tokens_max", U64_MAX),
])  # fmt: skip
def test_a_policy_out_of_range_is_malformed(field: str, value: int) -> None:
    """A record that checks itself refuses like the codec: `Malformed`, never `ValueError`."""
    names = [f.name for f in fields(Policy)]
    plain = to_plain(Policy())
    frame = [ENDORSEMENT, [NETWORK, 0, [3, [plain]], 1], SIGNATURE]
    decode(cbor2.dumps(frame))
    plain[names.index(field)] = value
    refuse(cbor2.dumps(frame), "policy")


@settings(max_examples=200)
@given(st.integers(0, len(fields(Policy)) - 1), st.integers(0, U64_MAX) | st.integers(0, 70_000))
def test_any_policy_is_in_range_or_malformed(place: int, value: int) -> None:
    """Whatever number stands in whatever field of a policy, nothing but `Malformed` comes."""
    plain = to_plain(Policy())
    plain[place] = value
    try:
        policy = from_plain(plain, Policy)
    except Malformed:
        return
    assert to_plain(policy) == plain


def test_the_types_keep_their_numbers() -> None:
    """Numbers on the wire are fixed: renumbering would make old signatures wrong."""
    assert [kind.__name__ for kind in MESSAGE_CODES] == [
        "Request",
        "AnswerCommitment",
        "Seal",
        "AnswerReveal",
        "PrePrepare",
        "Prepare",
        "Commit",
        "Height",
        "Checkpoint",
        "ViewChange",
        "NewView",
        "Endorsement",
        "Proposal",
        "DecidedSlot",
        "BatchWanted",
        "BatchContent",
        "LedgerWanted",
        "EpochCertificate",
        "Accusation",
        "ViewChangesWanted",
    ]
    assert list(MESSAGE_CODES.values()) == list(range(1, 21))


def test_what_is_signed_differs_between_types_with_equal_fields() -> None:
    """Pre-prepare, prepare and commit have the same fields and never the same signing bytes."""
    signed = {
        signing_bytes(forge.vote(kind, 0, forge.D1)) for kind in (PrePrepare, Prepare, Commit)
    }
    assert len(signed) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"network": bytes(32)},
        {"epoch": 1},
        {"view": 1},
        {"sequence_number": 2},
        {"digest": forge.D2},
        {"replica": 2},
    ],
    ids=str,
)
def test_every_field_is_under_the_signature(change: dict[str, Any]) -> None:
    """No field of a vote can be changed without changing what was signed."""
    signed = forge.prepare(1, forge.D1)
    other = forge.resign(signed, **change)
    assert signing_bytes(other.message) != signing_bytes(signed.message)


# --- forms of CBOR that say the same, or too much ----------------------------------------------


@pytest.mark.parametrize(
    "applied",
    [b"\x18\x05", b"\x19\x00\x05", b"\x1a\x00\x00\x00\x05", b"\x1b" + b"\x00" * 7 + b"\x05"],
    ids=["1 byte", "2 bytes", "4 bytes", "8 bytes"],
)
def test_refuses_an_integer_that_is_longer_than_needed(applied: bytes) -> None:
    """Five has one encoding."""
    refuse(HEAD + applied + b"\x00\x01" + TAIL)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (b"\x83", b"\x98\x03"),
        (bytes([0x83, HEIGHT]), bytes([0x83, 0x18, HEIGHT])),
        (b"\x58\x20", b"\x59\x00\x20"),
    ],
    ids=["array length", "message type", "byte string length"],
)
def test_refuses_a_length_that_is_longer_than_needed(short: bytes, long: bytes) -> None:
    """Lengths and types have one encoding too."""
    frame = height_frame()
    assert short in frame
    refuse(frame.replace(short, long, 1))


@pytest.mark.parametrize(
    "frame",
    [
        b"\x9f" + height_frame()[1:] + b"\xff",
        bytes([0x83, HEIGHT]) + b"\x9f" + HEAD[3:] + b"\x05\x00\x01\xff" + TAIL,
        bytes([0x83, HEIGHT, 0x85]) + b"\x5f\x58\x20" + NETWORK + b"\xff\x00\x05\x00\x01" + TAIL,
        request_frame().replace(b"\x64Why?", b"\x7f\x64Why?\xff"),
    ],
    ids=["outer array", "inner array", "byte string", "text"],
)
def test_refuses_indefinite_lengths(frame: bytes) -> None:
    """Every length stands at the front."""
    refuse(frame, UNPARSED)


@pytest.mark.parametrize("tail", [b"\x00", b"\xf6", b"\xff", height_frame()], ids=repr)
def test_refuses_trailing_bytes(tail: bytes) -> None:
    """A frame ends with its message."""
    refuse(height_frame() + tail)


def test_refuses_every_truncation() -> None:
    """No prefix of a message is a message."""
    frame = request_frame()
    for length in range(len(frame)):
        refuse(frame[:length])


@pytest.mark.parametrize(
    "tag", [0, 1, 2, 3, 4, 5, 21, 24, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 999, 55799, 2**40]
)
@pytest.mark.parametrize("value", ["Why?", 5, b"\x05", [1, 2]], ids=repr)
def test_refuses_tags(tag: int, value: Any) -> None:
    """A tag is refused wherever it stands, before any meaning is given to it."""
    tagged = cbor2.CBORTag(tag, value)
    refuse(request_frame(prompt=tagged), UNPARSED)
    refuse(height_frame(applied=tagged), UNPARSED)
    refuse(cbor2.dumps(cbor2.CBORTag(tag, [HEIGHT, [NETWORK, 5, 0, 1], SIGNATURE])))


@pytest.mark.parametrize("value", [{}, {1: 2}, {"a": {}}, {b"": 1}], ids=repr)
def test_refuses_maps(value: Any) -> None:
    """There are no maps on the wire, as a message, as a body or as a field."""
    refuse(cbor2.dumps(value), UNPARSED)
    refuse(cbor2.dumps([HEIGHT, value, SIGNATURE]), UNPARSED)
    refuse(height_frame(applied=value), UNPARSED)


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        cbor2.undefined,
        cbor2.CBORSimpleValue(99),
        1.0,
        float("nan"),
        -1,
        "5",
        b"5",
    ],
    ids=repr,
)
def test_an_integer_is_nothing_but_an_integer(value: Any) -> None:
    """Bools, floats, null, negatives and text do not pass for unsigned integers."""
    refuse(height_frame(applied=value))
    refuse(height_frame(code=value))


@pytest.mark.parametrize(
    "value", [U64_MAX + 1, 2**64 * 7, 2**4000, -(2**70)], ids=["1", "2", "3", "4"]
)
def test_refuses_big_numbers(value: int) -> None:
    """Integers end at 64 bits; big numbers are tags and are refused as such."""
    refuse(height_frame(applied=value))


def test_accepts_the_greatest_integer() -> None:
    """All 64 bits can be used."""
    assert decode(height_frame(applied=U64_MAX)).message.applied == U64_MAX  # type: ignore[union-attr]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hashes_have_32_bytes(length: int) -> None:
    """A digest of any other length is refused."""
    refuse(cbor2.dumps([HEIGHT, [bytes(length), 0, 5, 0, 1], SIGNATURE]))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signatures_have_64_bytes(length: int) -> None:
    """A signature of any other length is refused."""
    refuse(cbor2.dumps([HEIGHT, [NETWORK, 0, 5, 0, 1], bytes(length)]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "x" * 17),
        ("language", "é" * 9),
        ("prompt", "x" * (16 * 1024 + 1)),
        ("prompt", b"Why?"),
        ("prompt", 5),
        ("kind", "song"),
        ("kind", 1),
        ("network", "x" * 32),
        ("fields", {}),
        ("fields", [["n", "number", []]]),
        ("fields", [["n", "number", [], "", ""]]),
        ("fields", [["n" * 33, "number", [], ""]]),
        ("fields", [["n", "number", [], "u" * 17]]),
        ("fields", [["n", "integer", [], ""]]),
        ("fields", [["n", "label", ["x" * 65], ""]]),
        ("fields", [["n", "label", ["x"] * 65, ""]]),
        ("fields", [["n", "number", [], ""]] * 17),
    ],
)
def test_fields_keep_their_bounds(field: str, value: Any) -> None:
    """Text has its greatest length in bytes of UTF-8, an enumeration only its values."""
    refuse(request_frame(**{field: value}))


def test_the_longest_text_is_accepted() -> None:
    """A bound is the last length that passes."""
    decode(request_frame(language="é" * 8, prompt="x" * 16 * 1024))
    decode(request_frame(fields=[["n" * 32, "label", ["x" * 64] * 64, "u" * 16]] * 16))


@pytest.mark.parametrize("body", [[NETWORK, 0, 5, 0], [NETWORK, 0, 5, 0, 1, 1], [], 5, "x", None])
def test_a_message_has_exactly_its_fields(body: Any) -> None:
    """A field too few or too many is refused."""
    refuse(cbor2.dumps([HEIGHT, body, SIGNATURE]))


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [HEIGHT],
        [HEIGHT, [NETWORK, 0, 5, 0, 1]],
        [HEIGHT, [NETWORK, 0, 5, 0, 1], SIGNATURE, 0],
    ],
)
def test_a_signed_message_has_exactly_its_parts(parts: list[Any]) -> None:
    """Type, body and signature, and nothing else."""
    refuse(cbor2.dumps(parts))


@pytest.mark.parametrize("code", [0, 20, 255, U64_MAX])
def test_refuses_unknown_types(code: int) -> None:
    """A type that nobody knows is refused."""
    refuse(height_frame(code=code))


def test_a_pre_prepare_does_not_travel_without_its_batch() -> None:
    """A lone pre-prepare is no message, although it is something that is signed."""
    refuse(encode(forge.sign(forge.vote(PrePrepare, 0, forge.D1))))  # type: ignore[arg-type]


def test_arrays_keep_their_bounds() -> None:
    """A decided slot with more commits than members can exist is refused."""
    commits = tuple(forge.commit(0, forge.D1) for _ in range(129))
    refuse(encode(DecidedSlot((), commits)))
    decode(encode(DecidedSlot((), commits[:128])))


@pytest.mark.parametrize("depth", [17, 1_000, 100_000])
def test_refuses_deep_nesting(depth: int) -> None:
    """Nesting is bounded while parsing, not by the interpreter's stack."""
    refuse(b"\x81" * depth + b"\x00", UNPARSED)
    refuse(bytes([0x83, HEIGHT]) + b"\x81" * depth + b"\x00" + TAIL, UNPARSED)


@pytest.mark.parametrize("head", [b"\x9b", b"\x5b", b"\x7b"], ids=["array", "bytes", "text"])
def test_refuses_lengths_beyond_the_frame(head: bytes) -> None:
    """A declared length of 2^60 reserves no memory."""
    refuse(head + (2**60).to_bytes(8, "big"))


@pytest.mark.parametrize(
    "text", [b"\x63\xed\xa0\x80", b"\x62\xff\xfe", b"\x61\x80", b"\x62\xc0\x80"]
)
def test_text_is_valid_unicode(text: bytes) -> None:
    """Lone surrogates, overlong forms and other bytes that are no UTF-8 are refused."""
    refuse(request_frame().replace(b"\x64Why?", text))


def test_an_oversize_frame_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is checked before a single byte is parsed."""

    def parse(*_: Any, **__: Any) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(cbor2, "loads", parse)
    refuse(bytes(MESSAGE_BYTES_MAX + 1))
    with pytest.raises(AssertionError, match="parsed"):
        decode(bytes(MESSAGE_BYTES_MAX))


@settings(max_examples=300)
@given(st.binary(max_size=64))
def test_no_bytes_raise_anything_but_malformed(data: bytes) -> None:
    """Whatever arrives, the answer is a message or `Malformed`."""
    try:
        message = decode(data)
    except Malformed:
        return
    assert encode(message) == data


@settings(max_examples=300)
@given(st.data())
def test_a_spoilt_message_is_refused_or_is_another_message(data: st.DataObject) -> None:
    """A frame with one byte changed is malformed, or is itself the one encoding of what it says."""
    frame = bytearray(encode(data.draw(values(data.draw(st.sampled_from(ON_THE_WIRE))))))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] = data.draw(st.integers(0, 255))
    try:
        message = decode(bytes(frame))
    except Malformed:
        return
    assert encode(message) == frame
