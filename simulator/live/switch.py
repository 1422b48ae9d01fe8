"""The network between the nodes' network cards: every packet passes here, or does not.

What happens to a packet on its way is decided by the same class as in virtual time
(`simulator.network.Network`), for IP packets instead of messages: a lost one is sent again by TCP,
one that takes longer holds up what is behind it, and a partition is a line that is dead. The
daemons see what they would see in the world: connections that stall, time out, are dialled again.
"""

import contextlib
import heapq
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simulator.live import packets
from simulator.live.namespaces import MTU_BYTES
from simulator.network import Network

_TURN_PACKETS = 64
_WAIT_MS = 1_000
_FLOWS_MAX = 4_096
_ANY_MESSAGE: Any = None
"""No fault here is narrowed by what is said: packets are encrypted."""


class Switch:
    """A thread that carries packets between devices. The network may change while it runs."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._devices: list[int] = []
        self._places: dict[bytes, int] = {}
        self._due: list[tuple[int, int, int, bytes]] = []
        self._flows: dict[bytes, tuple[int, bytes]] = {}
        """By direction of a connection: the sender's place, and its last packet's head."""
        self._broken: set[bytes] = set()
        self._count = 0
        self._ending = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)
        self.packets: Counter[str] = Counter()
        """How many were `carried`, `lost` and `repeated`."""

    def attach(self, address: str, device: int) -> None:
        """Before the start: the next place, counted from 0 as the network's links are."""
        self._places[socket.inet_aton(address)] = len(self._devices)
        self._devices.append(device)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Nothing is carried any more."""
        self._ending = True
        os.eventfd_write(self._wakeup, 1)
        if self._thread.is_alive():
            self._thread.join()
        os.close(self._wakeup)

    @contextmanager
    def network(self) -> Iterator[Network]:
        """To change it: no packet is on the move meanwhile."""
        with self._lock:
            yield self._network

    def break_connections(self) -> None:
        """Every connection ends, as when a firewall between the nodes forgets them all: whoever
        sends on one, or has sent last, is told that it is reset."""
        with self._lock:
            for flow, (place, packet) in self._flows.items():
                self._broken.add(flow)
                self._refuse(place, packet)
            self._flows.clear()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        poll = select.poll()
        places = {device: place for place, device in enumerate(self._devices)}
        for file in (self._wakeup, *self._devices):
            poll.register(file, select.POLLIN)
        while not self._ending:
            ready = poll.poll(self._wait_ms())
            with self._lock:
                for file, _ in ready:
                    if file in places:
                        self._read(places[file], file)
                self._deliver(_now_us())

    def _wait_ms(self) -> int:
        if not self._due:
            return _WAIT_MS
        return max(0, min(_WAIT_MS, -(-(self._due[0][0] - _now_us()) // 1_000)))

    def _read(self, source: int, device: int) -> None:
        for _ in range(_TURN_PACKETS):
            try:
                packet = os.read(device, MTU_BYTES)
            except OSError:  # nothing more, for now or for good
                return
            address = packets.target_of(packet)
            target = None if address is None else self._places.get(address)
            if target is not None and self._may_pass(source, packet):
                self._send(source, target, packet)

    def _may_pass(self, source: int, packet: bytes) -> bool:
        flow = packets.flow_of(packet)
        if flow is None:
            return True
        if packets.opens(packet):
            self._broken.discard(flow)
        elif flow in self._broken:
            self._refuse(source, packet)
            return False
        self._flows.pop(flow, None)
        if not packets.closes(packet):
            self._flows[flow] = source, packet
            if len(self._flows) > _FLOWS_MAX:
                del self._flows[next(iter(self._flows))]
        return True

    def _refuse(self, place: int, packet: bytes) -> None:
        refusal = packets.refusal_of(packet)
        if refusal is not None:
            self._write(place, refusal)

    def _send(self, source: int, target: int, packet: bytes) -> None:
        now_us = _now_us()
        arrivals = self._network.arrivals(now_us, source, target, _ANY_MESSAGE)
        self.packets["lost"] += not arrivals
        self.packets["repeated"] += len(arrivals) > 1
        for at_us in arrivals:
            self._count += 1
            heapq.heappush(self._due, (at_us, self._count, target, packet))

    def _deliver(self, now_us: int) -> None:
        while self._due and self._due[0][0] <= now_us:
            _, _, target, packet = heapq.heappop(self._due)
            self.packets["carried"] += 1
            self._write(target, packet)

    def _write(self, place: int, packet: bytes) -> None:
        with contextlib.suppress(OSError):  # a full queue loses packets, as cards do
            os.write(self._devices[place], packet)


def _now_us() -> int:
    return time.monotonic_ns() // 1_000
