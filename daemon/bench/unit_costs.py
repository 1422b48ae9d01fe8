"""Measures what the floor is made of (`floor.UnitCosts`): with the program's own functions, on the
messages of a decision that the benchmarked network has made.

Core times are of this thread or process, so that other work on the machine disturbs them little,
and medians of several tries, because the decisions too were made on the machine as it is.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.bench.floor import MessageCost, UnitCosts
from daemon.keyring import CONTEXT, Ed25519Keyring
from p2p import envelope
from p2p.framing import OVERHEAD_BYTES, Kind, encode_frame
from p2p.host import WRITE_BYTES, Identity, Link
from pbft import digest
from pbft.certificate import Certificate
from pbft.codec import decode, encode, signing_bytes
from pbft.messages import Commit, Item, Prepare, PrePrepare, Proposal, Signed, WireMessage
from pbft.types import ReplicaId

_TRIES = 9
_TRY_S = 0.01
_LINK_TIMEOUT_S = 10.0
_SMALL_BYTES = 256
_WRITES = 40
_FLUSHES = 40


async def measure_unit_costs(certificate: Certificate, batch: int, folder: Path) -> UnitCosts:
    """`batch` is the number of items in a slot; flushes go to a new file in `folder`."""
    messages = _messages_of(certificate, batch)
    kinds = {name: _message_cost(message) for name, message in messages.items()}
    key = Ed25519PrivateKey.generate()
    payload = signing_bytes(certificate.item.reveals[0].message)
    signature = envelope.sign(key, CONTEXT, payload)
    public_key = envelope.public_bytes(key)
    small_s, large_s = await _measure_writes()
    write_byte_s = max(0.0, (large_s - small_s) / (WRITE_BYTES - _SMALL_BYTES))
    flush_s, flush_disk_s = await trio.to_thread.run_sync(
        _measure_flushes, folder, kinds["reveal"].frame_bytes
    )
    return UnitCosts(
        sign_s=_core_s(lambda: envelope.sign(key, CONTEXT, payload)),
        check_s=_core_s(lambda: envelope.verify(public_key, CONTEXT, payload, signature)),
        **kinds,
        write_s=small_s - _SMALL_BYTES * write_byte_s,
        write_byte_s=write_byte_s,
        write_bytes_max=WRITE_BYTES,
        flush_s=flush_s,
        flush_disk_s=flush_disk_s,
        batch=batch,
    )


def _messages_of(certificate: Certificate, batch: int) -> dict[str, WireMessage]:
    """The messages that led to a certificate; the votes are signed anew with a key of ours, which
    has no influence on what they cost."""
    item: Item = certificate.item
    key = Ed25519Keyring(Ed25519PrivateKey.generate())
    items = (item,) * batch
    fields: dict[str, Any] = {
        "network": certificate.network,
        "epoch": certificate.epoch,
        "view": certificate.view,
        "sequence_number": certificate.sequence_number,
        "digest": digest.batch_digest(tuple(digest.item_digest(item) for item in items)),
        "replica": ReplicaId(0),
    }
    pre_prepare, prepare, commit = PrePrepare(**fields), Prepare(**fields), Commit(**fields)
    return {
        "request": item.request,
        "commitment": item.seals[0].message.commitments[0],
        "seal": item.seals[0],
        "reveal": item.reveals[0],
        "proposal": Proposal(Signed(pre_prepare, key.sign(pre_prepare)), items),
        "prepare": Signed(prepare, key.sign(prepare)),
        "commit": Signed(commit, key.sign(commit)),
    }


def _message_cost(message: WireMessage) -> MessageCost:
    frame = encode(message)
    return MessageCost(
        encode_s=_core_s(lambda: encode(_copied(message))),
        decode_s=_core_s(lambda: decode(frame)),
        frame_bytes=len(frame) + OVERHEAD_BYTES,
    )


def _copied(message: WireMessage) -> WireMessage:
    """The message as one that was never encoded. Its parts may have been, as in a node: an answer
    was when it was committed to."""
    if isinstance(message, Signed):
        return Signed(replace(message.message), message.signature)  # type: ignore[return-value]  # of the same kind
    return replace(message)


def _core_s(function: Callable[[], object]) -> float:
    """Seconds of this thread for one call."""
    began = time.thread_time()
    function()
    times = max(1, round(_TRY_S / max(time.thread_time() - began, 1e-6)))
    tries = []
    for _ in range(_TRIES):
        began = time.thread_time()
        for _ in range(times):
            function()
        tries.append((time.thread_time() - began) / times)
    return median(tries)


async def _measure_writes() -> tuple[float, float]:
    """Seconds of a core for one write and its read over a real connection to ourselves: of a small
    frame, and of one as large as an encrypted message."""
    costs: list[float] = []
    read = trio.Event()
    expected = 0

    async def write_all(link: Link) -> None:
        nonlocal read, expected
        stream = await link.open_stream()
        for size in (_SMALL_BYTES, WRITE_BYTES):
            frame = encode_frame(Kind.DATA, bytes(size - OVERHEAD_BYTES))
            tries = []
            for _ in range(_TRIES):
                began = time.process_time()
                for _ in range(_WRITES):
                    read, expected = trio.Event(), size
                    await stream.write(frame)
                    await read.wait()
                tries.append((time.process_time() - began) / _WRITES)
            costs.append(median(tries))

    async def read_all(link: Link) -> None:
        nonlocal expected
        stream = await link.accept_stream()
        while True:
            expected -= len(await stream.read())
            if expected <= 0:
                read.set()

    async def serve(socket: trio.SocketStream) -> None:
        identity = Identity(Ed25519PrivateKey.generate())
        await identity.run_link(
            socket, read_all, dialled=False, expected=None, timeout_s=_LINK_TIMEOUT_S
        )

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        host, port = listener.socket.getsockname()[:2]
        socket = await trio.open_tcp_stream(host, port)
        nursery.start_soon(serve, await listener.accept())
        identity = Identity(Ed25519PrivateKey.generate())
        await identity.run_link(
            socket, write_all, dialled=True, expected=None, timeout_s=_LINK_TIMEOUT_S
        )
        nursery.cancel_scope.cancel()
    await listener.aclose()
    return costs[0], costs[1]


def _measure_flushes(folder: Path, size: int) -> tuple[float, float]:
    """Seconds of a core, and until the disk has it, for appending so many bytes and flushing."""
    core, disk = [], []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(_FLUSHES):
            began, began_core = time.perf_counter(), time.thread_time()
            os.write(file.fileno(), bytes(size))
            os.fdatasync(file.fileno())
            core.append(time.thread_time() - began_core)
            disk.append(time.perf_counter() - began)
    return median(core), median(disk)
