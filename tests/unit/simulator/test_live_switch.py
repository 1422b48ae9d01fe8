"""Packets on their way: pairs of sockets stand for the nodes' network cards."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simulator.live.switch import Switch
from simulator.network import Network, Weather
from tests.unit.simulator.test_live_packets import ACK, SYN, tcp

WAIT_S = 20.0
ADDRESSES = ("10.0.0.1", "10.0.0.2")
MARK = b"the last one"


@contextmanager
def two_cards(network: Network) -> Iterator[tuple[Switch, socket.socket, socket.socket]]:
    """A running switch, and where the stacks of two nodes would be."""
    switch = Switch(network)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in ADDRESSES]
    for address, (card, stack) in zip(ADDRESSES, pairs, strict=True):
        card.setblocking(False)
        stack.settimeout(WAIT_S)
        switch.attach(address, card.fileno())
    switch.start()
    try:
        yield switch, pairs[0][1], pairs[1][1]
    finally:
        switch.close()
        for pair in pairs:
            for end in pair:
                end.close()


def wait_for(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def received_until_mark(stack: socket.socket) -> list[bytes]:
    """All packets that came before the marked one."""
    found: list[bytes] = []
    while MARK not in (packet := stack.recv(2_000)):
        found.append(packet)
    return found


def test_packets_arrive_in_order_at_the_address_they_are_for() -> None:
    """What one card sends to the other's address arrives there, in order; the rest goes nowhere."""
    with two_cards(Network(0, (0, 3))) as (switch, here, there):
        sent = [tcp(ACK, body=bytes([number])) for number in range(50)]
        here.send(b"\x60" + bytes(60))
        here.send(tcp(ACK)[:16] + socket.inet_aton("10.9.9.9") + tcp(ACK)[20:])
        for packet in (*sent, tcp(ACK, body=MARK)):
            here.send(packet)
        assert received_until_mark(there) == sent
        assert switch.packets["carried"] == 51


def test_nothing_passes_a_cut_until_it_is_mended() -> None:
    """A cut is one direction; the other one works, and mending it lets packets pass again."""
    with two_cards(Network(0, (0, 0))) as (switch, here, there):
        with switch.network() as network:
            network.cut(0, 1)
        for number in range(20):
            here.send(tcp(ACK, body=bytes([number])))
        back = tcp(ACK, body=MARK)
        there.send(back[:12] + back[16:20] + back[12:16] + back[20:])
        assert received_until_mark(here) == []
        wait_for(lambda: switch.packets["lost"] == 20)
        with switch.network() as network:
            network.mend(0, 1)
        here.send(tcp(ACK, body=MARK))
        assert received_until_mark(there) == []


def test_a_share_is_lost_and_a_share_comes_twice() -> None:
    """Weather on a link does to packets what it does to messages in virtual time."""
    network = Network(3, (0, 0))
    network.weather = [Weather(sources=frozenset({0}), lose_bp=5_000, repeat_bp=10_000)]
    with two_cards(network) as (switch, here, there):
        for number in range(100):
            here.send(tcp(ACK, body=bytes([number])))
        wait_for(lambda: switch.packets["lost"] + switch.packets["repeated"] == 100)
        with switch.network():
            network.weather = []
        here.send(tcp(ACK, body=MARK))
        bodies = [packet[40] for packet in received_until_mark(there)]
        assert 20 < switch.packets["lost"] < 80
        assert len(bodies) == 2 * (100 - switch.packets["lost"])


def test_a_broken_connection_is_reset_for_whoever_sends_on_it() -> None:
    """Both the last sender and the next are told; a new connection of the same ports lives."""
    with two_cards(Network(0, (0, 0))) as (switch, here, there):
        here.send(tcp(ACK, body=MARK))
        assert received_until_mark(there) == []
        switch.break_connections()
        reset = here.recv(2_000)
        assert (reset[9], reset[33]) == (6, 0x04)
        here.send(tcp(ACK, body=b"still there?"))
        assert here.recv(2_000) == reset
        here.send(tcp(SYN))
        assert there.recv(2_000) == tcp(SYN)
