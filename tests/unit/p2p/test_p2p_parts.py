"""The parts without a network: what is on the wire, what waits in queues, what time does."""

import contextlib
import math
import re
from dataclasses import replace

import cbor2
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import errors, wire
from p2p.addresses import (
    Address,
    expand_unspecified,
    parse_address,
    parse_dialable,
    parse_listenable,
)
from p2p.backoff import Backoff
from p2p.discovery import Discovery
from p2p.envelope import sign, verify
from p2p.errors import BadAddress, BadFrame, BadMessage, BadSignature
from p2p.framing import OVERHEAD_BYTES, Frame, FrameDecoder, Kind, encode_frame
from p2p.gate import Gate
from p2p.health import Health
from p2p.hello import Hello, decode_hello, decode_verdict, encode_verdict
from p2p.inbox import EVENT_OVERHEAD_BYTES, Inbox, PeerDown, PeerUp, Received
from p2p.mdns import service_type
from p2p.outbox import BATCH_BYTES_MAX, CONTROL_FRAMES_MAX, Outbox
from p2p.records import (
    ADDRESSES_MAX,
    RECORD_BYTES_MAX,
    RECORDS_PER_FRAME_MAX,
    decode_record,
    encode_records,
    make_record,
    split_records,
)
from tests.support.p2p_harness import NETWORK_ID, keys

kinds = st.sampled_from(list(Kind))
LOCAL = Address("ip4", "127.0.0.1", 4001)


# Framing


@settings(deadline=None)
@given(st.lists(st.tuples(kinds, st.binary(max_size=300))), st.lists(st.integers(1, 64)))
def test_frames_survive_any_cutting(frames: list[tuple[Kind, bytes]], cuts: list[int]) -> None:
    """However TCP cuts the bytes, the same frames come out, and nothing is left."""
    data = b"".join(encode_frame(kind, body) for kind, body in frames)
    decoder = FrameDecoder(300)
    decoded = []
    sizes = iter(cuts)
    while data:
        size = next(sizes, len(data))
        decoder.feed(data[:size])
        data = data[size:]
        while (frame := decoder.next_frame()) is not None:
            decoded.append(frame)
    assert decoded == [Frame(kind, body) for kind, body in frames]
    assert decoder.buffered_bytes == 0


@settings(deadline=None)
@given(st.lists(st.binary(max_size=64)))
def test_random_bytes_give_frames_or_a_bad_frame(chunks: list[bytes]) -> None:
    """Nothing else is raised, and no more is held than one frame and the last chunk."""
    decoder = FrameDecoder(100)
    try:
        for chunk in chunks:
            decoder.feed(chunk)
            while (frame := decoder.next_frame()) is not None:
                assert len(frame.body) <= 100
            assert decoder.buffered_bytes <= 100 + OVERHEAD_BYTES
    except BadFrame:
        pass


def test_a_length_out_of_bounds_is_refused_from_its_header() -> None:
    """Before the body arrives: the bound protects memory."""
    for header in (b"\x00\x00\x00\x00\x00", b"\x00\x00\x00\x66\x00", b"\xff\xff\xff\xff\x00"):
        decoder = FrameDecoder(100)
        decoder.feed(header)
        with pytest.raises(BadFrame):
            decoder.next_frame()


def test_the_bound_may_rise_between_two_frames() -> None:
    """A large frame may stand behind a small hello in the same bytes."""
    decoder = FrameDecoder(10)
    decoder.feed(encode_frame(Kind.HELLO, bytes(10)) + encode_frame(Kind.DATA, bytes(1000)))
    assert decoder.next_frame() == Frame(Kind.HELLO, bytes(10))
    decoder.body_bytes_max = 1000
    assert decoder.next_frame() == Frame(Kind.DATA, bytes(1000))


# CBOR

items = st.recursive(
    st.integers(0, 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=10,
)


def _depth(item: wire.Item) -> int:
    return 1 + max(map(_depth, item), default=0) if isinstance(item, list) else 0


@settings(deadline=None)
@given(items)
def test_what_is_encoded_decodes_to_itself(item: wire.Item) -> None:
    """Within the depth that the wire allows; deeper is refused."""
    if _depth(item) <= wire.DEPTH_MAX:
        assert wire.decode(wire.encode(item)) == item
    else:
        with pytest.raises(BadMessage):
            wire.decode(wire.encode(item))


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_what_decodes_has_no_other_encoding(data: bytes) -> None:
    """Random bytes are refused with `BadMessage` or are exactly what we would have written."""
    try:
        item = wire.decode(data)
    except BadMessage:
        return
    assert wire.encode(item) == data


@pytest.mark.parametrize(
    "data",
    [
        cbor2.dumps({1: 2}),
        cbor2.dumps(-1),
        cbor2.dumps(1.5),
        cbor2.dumps(True),
        cbor2.dumps(None),
        cbor2.dumps(2**64),
        cbor2.dumps(cbor2.CBORTag(35, "a")),
        b"\x9f\xff",  # an array of indefinite length
        b"\x5f\x41a\xff",  # bytes of indefinite length
        b"\x18\x17",  # 23 in two bytes
        b"\x19\x00\xff",  # 255 in three
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # an array of 2**64 - 1
        b"\x5a\xff\xff\xff\xff",  # bytes that are not there
        b"\x62\xff\xfe",  # not UTF-8
        b"\x01\x01",  # two items
        b"\x81" * 100_000,  # deep
        b"",
    ],
)
def test_everything_else_in_cbor_is_refused(data: bytes) -> None:
    """Each kind of looseness that general decoders allow."""
    with pytest.raises(BadMessage):
        wire.decode(data)


# Signatures


def test_a_signature_holds_for_its_context_payload_and_key_only() -> None:
    """Any change is `BadSignature`; moving a byte from context to payload is a change too."""
    one, other = keys(2)
    signature = sign(one.private, b"vote", b"payload")
    verify(one.public, b"vote", b"payload", signature)
    for public, context, payload, claimed in (
        (other.public, b"vote", b"payload", signature),
        (one.public, b"vot", b"epayload", signature),
        (one.public, b"votep", b"ayload", signature),
        (one.public, b"vote", b"payloae", signature),
        (one.public, b"vote", b"payload", signature[:-1]),
        (one.public, b"vote", b"payload", bytes(64)),
        (one.public[:-1], b"vote", b"payload", signature),
        (b"\xff" * 32, b"vote", b"payload", signature),
    ):
        with pytest.raises(BadSignature):
            verify(public, context, payload, claimed)


def test_the_signed_bytes_are_these() -> None:
    """The encoding is part of the protocol: changing it invalidates all signatures."""
    (one,) = keys(1)
    assert sign(one.private, b"vote", b"payload") == one.private.sign(b"qnode/1\x04votepayload")


@pytest.mark.parametrize("context", [b"", bytes(256)])
def test_a_context_must_have_a_length_of_one_byte(context: bytes) -> None:
    """It is a constant of the program, so anything else is a bug."""
    (one,) = keys(1)
    with pytest.raises(ValueError, match="context"):
        sign(one.private, context, b"")


# Addresses


@pytest.mark.parametrize(
    "text",
    [
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/4001",
        "/dns4/node-1.example.org/tcp/65535",
        "/ip4/192.0.2.7/tcp/1/p2p/12D3KooW9pNAk8aiBuGVQtWRdbkLmo5qVL3e2h5UxbN2Nz9ttwiw",
    ],
)
def test_addresses_are_read_and_written_alike(text: str) -> None:
    """The text of a parsed address is the text it was parsed from."""
    assert str(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:4001",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/udp/4001",
        "/ip4/127.0.0.256/tcp/4001",
        "/ip4/127.0.0.1/tcp/65536",
        "/ip4/127.0.0.1/tcp/04001",
        "/ip4/127.0.0.1/tcp/-1",
        "/ip4/127.0.0.1/tcp/4001/p2p/short",
        "/ip4/127.0.0.1/tcp/4001/ws/x",
        "/dns4/a b/tcp/1",
        "/dns4//tcp/1",
        "/unix/tmp/tcp/1",
        "x/ip4/127.0.0.1/tcp/1",
        "/dns/" + "a" * 300 + "/tcp/1",
    ],
)
def test_bad_addresses_come_with_an_example(text: str) -> None:
    """One sentence that shows how to write it."""
    with pytest.raises(BadAddress, match=re.escape("/ip4/192.0.2.7/tcp/4001")):
        parse_address(text)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_an_address_or_a_bad_address(text: str) -> None:
    """Records carry text that peers wrote."""
    with contextlib.suppress(BadAddress):
        assert parse_address(str(parse_address(text))) == parse_address(text)


def test_some_addresses_are_for_listening_only_and_some_for_dialling_only() -> None:
    """0.0.0.0 and port 0 cannot be dialled; a name cannot be listened on."""
    for text in ("/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001", "/ip4/127.0.0.1/tcp/0"):
        assert str(parse_listenable(text)) == text
        with pytest.raises(BadAddress):
            parse_dialable(text)
    with pytest.raises(BadAddress):
        parse_listenable("/dns4/example.org/tcp/4001")


def test_an_unspecified_address_stands_for_the_machines_own() -> None:
    """Something that others can dial comes out, on the same port."""
    expanded = expand_unspecified(Address("ip4", "0.0.0.0", 4001))  # noqa: S104 - not bound here
    assert expanded
    assert all(address.port == 4001 and not address.unspecified for address in expanded)
    assert expand_unspecified(LOCAL) == [LOCAL]


# Records and hellos


def test_a_record_survives_its_encoding_and_names_its_network() -> None:
    """A record of one network does not verify in another."""
    (one,) = keys(1)
    record = make_record(one.private, NETWORK_ID, 5, [LOCAL])
    again = decode_record(record.encode())
    assert again == record
    again.verify(NETWORK_ID)
    with pytest.raises(BadSignature):
        again.verify(bytes(32))
    with pytest.raises(BadSignature):
        replace(again, counter=6).verify(NETWORK_ID)


def test_a_record_keeps_a_bounded_number_of_addresses() -> None:
    """The first ones; a peer that sends more breaks the protocol; the largest record fits."""
    (one,) = keys(1)
    long = [Address("dns4", f"{'a' * 230}{n}", 65535) for n in range(20)]
    record = make_record(one.private, NETWORK_ID, 2**62, long)
    assert record.addresses == tuple(long[:ADDRESSES_MAX])
    assert len(record.encode()) <= RECORD_BYTES_MAX
    many: list[wire.Item] = [str(address) for address in long]
    with pytest.raises(BadMessage):
        decode_record(wire.encode([one.public, 1, many, bytes(64)]))


def test_records_are_split_over_frames() -> None:
    """As many frames as needed, none over its bounds; what comes back is what went in."""
    (one,) = keys(1)
    records = [make_record(one.private, NETWORK_ID, n, [LOCAL]) for n in range(100)]
    bodies = encode_records(records)
    assert [len(split_records(body)) for body in bodies] == [RECORDS_PER_FRAME_MAX, 36]
    assert [decode_record(r) for body in bodies for r in split_records(body)] == records


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_no_record_hello_or_verdict(data: bytes) -> None:
    """They are refused with `BadMessage`, nothing else."""
    for decode in (decode_record, decode_hello, split_records, decode_verdict):
        with contextlib.suppress(BadMessage):
            decode(data)


def test_hellos_and_verdicts_survive_their_encoding() -> None:
    """A reason from the future is not repeated into our logs and counters as it is."""
    hello = Hello(NETWORK_ID, bytes(16), b"record")
    assert decode_hello(hello.encode()) == hello
    assert decode_verdict(encode_verdict("")) == ""
    assert decode_verdict(encode_verdict("wrong-network")) == "wrong-network"
    assert decode_verdict(encode_verdict("\x1b[2J")) == "other"


def test_newer_records_replace_older_ones_and_their_addresses_come_first() -> None:
    """What a member says now goes before the configuration and before what once worked."""
    one, two = keys(2)
    discovery = Discovery(one.private, NETWORK_ID, [LOCAL])
    member = two.member("/ip4/127.0.0.1/tcp/1")
    configured = parse_address("/ip4/127.0.0.1/tcp/1")
    assert discovery.candidates(member) == [configured]
    for counter in (5, 6):
        place = Address("ip4", "127.0.0.1", counter)
        record = make_record(two.private, NETWORK_ID, counter, [place])
        assert discovery.learn(record) == record
        assert discovery.learn(record) is None
        assert discovery.candidates(member)[0] == place
        discovery.worked(two.public, place)
    assert discovery.learn(make_record(two.private, NETWORK_ID, 5, [LOCAL])) is None
    assert discovery.candidates(member) == [place, configured]


def test_hints_are_bounded() -> None:
    """Anyone on the local network can send mDNS."""
    one, two = keys(2)
    discovery = Discovery(one.private, NETWORK_ID, [])
    assert discovery.hint(two.public, LOCAL)
    assert not discovery.hint(two.public, LOCAL)
    for port in range(1, 100):
        discovery.hint(two.public, Address("ip4", "127.0.0.1", port))
    assert len(discovery.candidates(two.member())) == ADDRESSES_MAX


def test_the_mdns_service_carries_the_network() -> None:
    """Its first label keeps to the 15 characters that DNS-SD allows."""
    name = service_type(NETWORK_ID)
    assert name == "_qnode-00010203._tcp.local."
    assert len(name.split(".")[0].removeprefix("_")) <= 15


# Queues


@pytest.mark.trio
async def test_peers_are_served_in_turns() -> None:
    """A flood of one delays another's frame by one event."""
    inbox = Inbox(10_000)
    for number in range(5):
        inbox.put_frame(b"loud", bytes([number]))
    inbox.put_frame(b"quiet", b"hello")
    events = [await inbox.get() for _ in range(6)]
    assert events[1] == Received(b"quiet", b"hello")
    assert [e.frame for e in events if e.public_key == b"loud"] == [  # type: ignore[union-attr]  # frames all
        bytes([number]) for number in range(5)
    ]


def test_what_has_arrived_is_taken_together() -> None:
    """At most as many events as asked for, in the order of turns, and none waits for more."""
    inbox = Inbox(10_000)
    assert not inbox
    assert inbox.take(1) == []
    for number in range(3):
        inbox.put_frame(b"loud", bytes([number]))
    inbox.put_frame(b"quiet", b"hello")
    first = inbox.take(2)
    assert first == [Received(b"loud", b"\0"), Received(b"quiet", b"hello")]
    assert inbox.take(100) == [Received(b"loud", b"\1"), Received(b"loud", b"\2")]
    assert inbox.bytes_held(b"loud") == 0
    inbox.put_frame(b"loud", b"last")
    inbox.fail(ValueError("the end"))
    with pytest.raises(ValueError, match="the end"):
        inbox.take(100)


@pytest.mark.trio
async def test_the_consumer_is_told_of_arrivals() -> None:
    """Of what waits already, of frames and news, and of a failure."""
    inbox = Inbox(10_000)
    calls: list[bool] = []
    inbox.on_arrival(lambda: calls.append(bool(inbox)))
    assert calls == []
    inbox.put_frame(b"a", b"1")
    inbox.put_news(PeerUp(b"b", "127.0.0.1:1"))
    assert calls == [True, True]
    inbox.take(2)
    inbox.fail(ValueError("the end"))
    assert calls == [True, True, True]
    inbox.on_arrival(lambda: calls.append(False))
    assert calls[3:] == [False]


@pytest.mark.trio
async def test_the_budget_counts_empty_frames_and_returns_what_is_read() -> None:
    """No number of frames fits for free."""
    inbox = Inbox(3 * EVENT_OVERHEAD_BYTES)
    assert [inbox.put_frame(b"a", b"") for _ in range(5)] == [True] * 3 + [False] * 2
    assert inbox.put_frame(b"b", b"")
    for _ in range(4):
        await inbox.get()
    assert inbox.bytes_held(b"a") == 0
    assert inbox.put_frame(b"a", b"")


@pytest.mark.trio
async def test_a_flapping_peer_does_not_grow_the_inbox() -> None:
    """An up that nobody read yet and its down cancel each other."""
    inbox = Inbox(1000)
    for _ in range(1000):
        inbox.put_news(PeerUp(b"a", "x"))
        inbox.put_news(PeerDown(b"a", "y"))
    inbox.put_news(PeerUp(b"a", "z"))
    assert await inbox.get() == PeerUp(b"a", "z")
    inbox.put_news(PeerDown(b"a", "y"))
    for _ in range(1000):
        inbox.put_news(PeerUp(b"a", "x"))
        inbox.put_news(PeerDown(b"a", "y2"))
    assert await inbox.get() == PeerDown(b"a", "y")
    with trio.move_on_after(0) as nothing:
        await inbox.get()
    assert nothing.cancelled_caught


@pytest.mark.trio
async def test_what_waits_is_written_in_one_batch_control_first() -> None:
    """Bounded batches, in order, heartbeats ahead of the rest."""
    outbox = Outbox(10 * BATCH_BYTES_MAX)
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.put_control(b"c")
    assert await outbox.take() == b"cab"
    large = bytes(BATCH_BYTES_MAX + 1)
    outbox.put(b"a")
    outbox.put(large)
    outbox.put(b"b")
    assert [len(await outbox.take()) for _ in range(3)] == [1, len(large), 1]
    assert outbox.bytes_held == 0


@pytest.mark.trio
async def test_a_full_outbox_still_takes_heartbeats() -> None:
    """But not without bound: a peer asks for echoes."""
    outbox = Outbox(10)
    assert outbox.put(bytes(10))
    assert not outbox.put(b"x")
    assert [outbox.put_control(b"c") for _ in range(CONTROL_FRAMES_MAX + 1)].count(False) == 1


# Health, gate, backoff, errors


@pytest.mark.trio
async def test_a_peer_is_lost_after_so_many_silent_beats(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Any byte counts as life; the round trip is that of the echo asked for."""
    health = Health(misses_max=3)
    assert math.isnan(health.rtt_s)
    first = health.beat()
    await trio.sleep(0.25)
    health.on_echo(b"not this")
    health.on_bytes()
    health.on_echo(first)
    assert health.rtt_s == pytest.approx(0.25)
    for misses in (0, 1, 2):
        health.beat()
        assert (health.misses, health.lost) == (misses, False)
    health.on_bytes()
    for _ in range(4):
        health.beat()
    assert health.lost


def test_the_gate_counts_per_host_and_in_all() -> None:
    """A released place is free again, once."""
    gate = Gate(per_host_max=2, total_max=3)
    slots = [gate.enter("a"), gate.enter("a"), gate.enter("b")]
    assert all(slots)
    assert gate.enter("a") is None
    assert gate.enter("c") is None
    assert slots[0] is not None
    slots[0].release()
    slots[0].release()
    assert gate.pending == 2
    assert gate.enter("c") is not None


def test_backoff_doubles_to_its_cap_and_starts_over() -> None:
    """With jitter of up to a half."""
    backoff = Backoff(0.2, 15.0)
    waits = [backoff.next_s() for _ in range(10)]
    for wait, step in zip(waits, [0.2 * 2**n for n in range(10)], strict=True):
        assert min(step, 15.0) / 2 <= wait <= min(step, 15.0)
    backoff.reset()
    assert backoff.next_s() <= 0.2


def test_every_error_has_one_root_and_stands_in_its_drawing() -> None:
    """The drawing in the docstring is complete."""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, errors.P2PError)
            assert errors.__doc__ is not None
            assert name in errors.__doc__
