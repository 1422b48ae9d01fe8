"""What the switch reads in packets, and the resets that it writes."""

import socket
import struct

from simulator.live import packets

HERE, THERE = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
SYN, ACK, RST, FIN = 0x02, 0x10, 0x04, 0x01


def tcp(flags: int, sequence: int = 7, expected: int = 99, body: bytes = b"") -> bytes:
    """A packet from port 4001 here to port 5000 there; nobody looks at its checksums."""
    segment = struct.pack("!HHIIBBHHH", 4001, 5000, sequence, expected, 5 << 4, flags, 0, 0, 0)
    length = 20 + len(segment) + len(body)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, 6, 0) + HERE + THERE
    return head + segment + body


def ones_sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_where_a_packet_goes() -> None:
    """Its target is its header's; what is no IPv4 packet has none."""
    assert packets.target_of(tcp(ACK)) == THERE
    assert packets.target_of(b"\x60" + bytes(39)) is None
    assert packets.target_of(b"\x45") is None


def test_a_connection_has_two_flows() -> None:
    """The two directions of a connection are two flows, and other protocols have none."""
    there = packets.flow_of(tcp(ACK))
    assert there == HERE + THERE + struct.pack("!HH", 4001, 5000)
    udp = tcp(ACK)[:9] + b"\x11" + tcp(ACK)[10:]
    assert packets.flow_of(udp) is None
    assert packets.flow_of(tcp(ACK)[:30]) is None


def test_first_and_last_packets() -> None:
    """A SYN alone opens a connection; a FIN or a RST closes its direction."""
    assert packets.opens(tcp(SYN))
    assert not packets.opens(tcp(SYN | ACK))
    assert packets.closes(tcp(FIN | ACK))
    assert packets.closes(tcp(RST))
    assert not packets.closes(tcp(ACK))


def test_a_refusal_comes_in_order_and_with_right_checksums() -> None:
    """It goes back from target to sender, at the number that the sender expects next."""
    refusal = packets.refusal_of(tcp(ACK, expected=123_456, body=b"abc"))
    assert refusal is not None
    head, segment = refusal[:20], refusal[20:]
    assert (head[12:16], head[16:20]) == (THERE, HERE)
    assert int.from_bytes(head[2:4], "big") == len(refusal) == 40
    source, target, sequence, _, _, flags = struct.unpack("!HHIIBB", segment[:14])
    assert (source, target, sequence, flags) == (5000, 4001, 123_456, RST)
    assert ones_sum(head) == 0xFFFF
    assert ones_sum(THERE + HERE + struct.pack("!BBH", 0, 6, 20) + segment) == 0xFFFF


def test_nothing_refuses_a_reset_or_what_expects_nothing() -> None:
    """A reset is not answered, and without an acknowledgement no number would be right."""
    assert packets.refusal_of(tcp(RST | ACK)) is None
    assert packets.refusal_of(tcp(SYN)) is None
