"""What the switch must know of an IP packet: where it goes, and how to refuse its connection.

Formats: RFC 791 (IPv4), RFC 9293 (TCP). Packets come from the kernel's own stack, and are read no
further than this.
"""

import struct

_VERSION_4 = 4
_TCP = 6
_IP_BYTES = 20
_TCP_BYTES = 20
_FIN_RST = 0x05
_SYN = 0x02
_RST = 0x04
_ACK = 0x10
_TTL = 64


def target_of(packet: bytes) -> bytes | None:
    """The IPv4 address, 4 bytes, that it is for; None for what is no IPv4 packet."""
    if len(packet) < _IP_BYTES or packet[0] >> 4 != _VERSION_4:
        return None
    return packet[16:20]


def flow_of(packet: bytes) -> bytes | None:
    """One direction of one TCP connection, 12 bytes: addresses and ports; None for others."""
    start = (packet[0] & 0x0F) * 4
    if packet[9] != _TCP or len(packet) < start + _TCP_BYTES:
        return None
    return packet[12:20] + packet[start : start + 4]


def opens(packet: bytes) -> bool:
    """Whether a TCP packet is the first of a connection."""
    return _flags(packet) & (_SYN | _ACK) == _SYN


def closes(packet: bytes) -> bool:
    """Whether a TCP packet is the last, or nearly, in its direction."""
    return bool(_flags(packet) & _FIN_RST)


def refusal_of(packet: bytes) -> bytes | None:
    """The packet that ends a TCP packet's connection for its sender, as from the other side.

    Its sequence number is what the sender last said to expect, so it is in order (RFC 9293,
    §3.10.7.1). None for a packet that acknowledges nothing.
    """
    flags = _flags(packet)
    if not flags & _ACK or flags & _RST:
        return None
    start = (packet[0] & 0x0F) * 4
    source, target = packet[12:16], packet[16:20]
    source_port, target_port = packet[start : start + 2], packet[start + 2 : start + 4]
    expected = packet[start + 8 : start + 12]
    tcp = target_port + source_port + expected + bytes(4) + bytes((5 << 4, _RST)) + bytes(6)
    pseudo = target + source + struct.pack("!BBH", 0, _TCP, len(tcp))
    tcp = tcp[:16] + _checksum(pseudo + tcp) + tcp[18:]
    length = _IP_BYTES + len(tcp)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, _TTL, _TCP, 0) + target + source
    return head[:10] + _checksum(head) + head[12:] + tcp


def _flags(packet: bytes) -> int:
    return packet[(packet[0] & 0x0F) * 4 + 13]


def _checksum(data: bytes) -> bytes:
    """RFC 1071, for an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
