"""Nodes find each other, carry frames in order, and bear with slow, absent and hostile ones."""

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import trio

from p2p import connections
from p2p.errors import (
    BadAddress,
    BadSettings,
    DuplicateKey,
    FrameTooLarge,
    ListenAddressInUse,
    ListenAddressUnavailable,
)
from p2p.inbox import EVENT_OVERHEAD_BYTES
from p2p.network import PeerDown, Received, open_network
from tests.support.p2p_harness import (
    LOOPBACK,
    PATIENCE_S,
    SETTINGS,
    Proxy,
    keys,
    port_of,
    two_nodes,
    until,
    until_down,
    until_frame,
    until_true,
    until_up,
    without_peer_id,
)

pytestmark = pytest.mark.trio

FAST_HEARTBEAT = replace(SETTINGS, heartbeat_s=0.1)


async def test_two_nodes_exchange_frames_knowing_one_address() -> None:
    """A frame goes each way between two nodes of which one knows the other's address."""
    async with two_nodes() as (first, second, first_key, second_key):
        with trio.fail_after(PATIENCE_S):
            first.send(second_key.public, b"to second")
            second.broadcast(b"to all")
            assert (await until_frame(second, b"to second")).public_key == first_key.public
            assert (await until_frame(first, b"to all")).public_key == second_key.public


async def test_four_nodes_mesh_from_one_bootstrap_address() -> None:
    """Nodes that know one member's address find all others by exchanging records."""
    all_keys = keys(4)
    members = [key.member() for key in all_keys]
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(open_network(SETTINGS, all_keys[0].private, members))
        ]
        known = replace(SETTINGS, bootstrap=(without_peer_id(networks[0].addresses[0]),))
        networks += [
            await stack.enter_async_context(open_network(known, key.private, members))
            for key in all_keys[1:]
        ]
        with trio.fail_after(PATIENCE_S):
            for network, key in zip(networks, all_keys, strict=True):
                await until_up(network, *(k.public for k in all_keys if k is not key))
            networks[3].broadcast(b"hello")
            for network in networks[:3]:
                assert (await until_frame(network, b"hello")).public_key == all_keys[3].public
        assert all(status.connected for network in networks for status in network.peers())


@pytest.mark.parametrize("_round", range(5))
async def test_both_sides_dialling_at_once_converge_to_one_connection(
    monkeypatch: pytest.MonkeyPatch, _round: int
) -> None:
    """With each in the other's configuration, one connection remains and works both ways."""
    # Neither waits for the other to dial first, as when they learn of each other at one moment.
    monkeypatch.setattr(connections, "_STAGGER_S", 0.0)
    first_key, second_key = keys(2)
    ports = []
    for _ in range(2):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        ports.append(listener.socket.getsockname()[1])
        await listener.aclose()
    addresses = [f"/ip4/127.0.0.1/tcp/{port}" for port in ports]
    members = [first_key.member(addresses[0]), second_key.member(addresses[1])]
    one, two = (replace(SETTINGS, listen=(address,)) for address in addresses)
    async with (
        open_network(one, first_key.private, members) as first,
        open_network(two, second_key.private, members) as second,
    ):
        with trio.fail_after(PATIENCE_S):
            await until_up(first, second_key.public)
            await until_up(second, first_key.public)
            for number in range(20):
                first.send(second_key.public, bytes([number]))
                second.send(first_key.public, bytes([number]))
            await until_frame(first, bytes([19]))
            await until_frame(second, bytes([19]))
            # Whatever else was dialled has come to its end, and changed nothing.
            await until_true(lambda: first._connections.pending + second._connections.pending == 0)
            for network in (first, second):
                assert network.peers()[0].connections == 1
                assert network.peers()[0].connected


async def test_frames_arrive_in_order_and_whole() -> None:
    """Small, empty and largest frames arrive unchanged, in the order they were sent."""
    async with two_nodes() as (first, second, _, second_key):
        sent = [bytes([n % 256]) * (n * 37 % 5000) for n in range(500)]
        sent.insert(250, bytes(SETTINGS.frame_bytes_max))
        for frame in sent:
            first.send(second_key.public, frame)
        with trio.fail_after(PATIENCE_S):
            received = []
            while len(received) < len(sent):
                event = await until(second, lambda e: isinstance(e, Received))
                assert isinstance(event, Received)
                received.append(event.frame)
        assert received == sent
        status = first.peers()[0]
        assert status.frames_out == len(sent)
        assert status.bytes_out > SETTINGS.frame_bytes_max
        assert second.peers()[0].frames_in == len(sent)


async def test_a_frame_over_the_limit_is_refused_to_its_sender() -> None:
    """The caller is told, and nothing is sent that every peer would refuse."""
    async with two_nodes() as (first, _, _, second_key):
        with pytest.raises(FrameTooLarge, match="frame_bytes_max"):
            first.send(second_key.public, bytes(SETTINGS.frame_bytes_max + 1))


async def test_a_peer_that_sends_an_oversized_frame_is_disconnected() -> None:
    """A peer with a higher limit than ours loses the connection, counted as its fault."""
    strict = replace(SETTINGS, frame_bytes_max=1000)
    async with two_nodes(strict, SETTINGS) as (first, second, first_key, second_key):
        second.send(first_key.public, bytes(1001))
        with trio.fail_after(PATIENCE_S):
            await until_down(first, second_key.public)
        assert first.refusals["bad-frame"] == 1


async def test_a_slow_consumer_loses_its_own_frames_and_stalls_nobody() -> None:
    """One node does not read; its memory stays bounded, and the others hear each broadcast."""
    small = replace(SETTINGS, frame_bytes_max=64 * 1024, inbox_bytes_max=256 * 1024)
    talker, listener, sleeper = keys(3)
    members = [key.member() for key in (talker, listener, sleeper)]
    async with open_network(SETTINGS, talker.private, members) as talking:
        known = replace(small, bootstrap=(without_peer_id(talking.addresses[0]),))
        async with (
            open_network(known, listener.private, members) as listening,
            open_network(known, sleeper.private, members) as sleeping,
        ):
            with trio.fail_after(PATIENCE_S):
                await until_up(talking, listener.public, sleeper.public)
                await until_up(listening, talker.public)
                frame = bytes(32 * 1024)
                for number in range(100):
                    talking.broadcast(number.to_bytes(4) + frame)
                    event = await until(listening, lambda e: isinstance(e, Received))
                    assert isinstance(event, Received)
                    assert event.frame[:4] == number.to_bytes(4)
                await until_true(lambda: _status(sleeping, "n0").frames_dropped_in > 50)
                assert sleeping._inbox.bytes_held(talker.public) <= small.inbox_bytes_max
                assert _status(sleeping, "n0").connected
                received = [await until(sleeping, lambda e: isinstance(e, Received))]
                while sleeping._inbox.bytes_held(talker.public):
                    received.append(await sleeping.receive())
        kept = small.inbox_bytes_max // (len(frame) + 4 + EVENT_OVERHEAD_BYTES)
        assert len([event for event in received if isinstance(event, Received)]) == kept


async def test_a_stopped_peer_fills_only_its_own_outbox() -> None:
    """Frames to a peer that reads nothing are dropped and counted once its outbox is full."""
    one, two = keys(2)
    bounded = replace(SETTINGS, outbox_bytes_max=SETTINGS.frame_bytes_max * 2, heartbeat_s=60.0)
    async with open_network(bounded, two.private, [one.member(), two.member()]) as behind:
        proxy = Proxy(port_of(behind.addresses[0]))
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.run)
            members = [one.member(), two.member(proxy.address)]
            async with open_network(bounded, one.private, members) as sending:
                with trio.fail_after(PATIENCE_S):
                    await until_up(sending, two.public)
                    await until_up(behind, one.public)
                    proxy.pause()
                    for _ in range(50):
                        sending.send(two.public, bytes(1024 * 1024))
                status = sending.peers()[0]
                assert status.frames_dropped_out > 0
                assert status.frames_out + status.frames_dropped_out == 50
                session = sending._peers[two.public].session
                assert session is not None
                assert session.outbox.bytes_held <= bounded.outbox_bytes_max
            nursery.cancel_scope.cancel()


async def test_frames_for_an_absent_peer_are_dropped_and_counted() -> None:
    """Nothing is kept for a member that is away; strangers are counted apart."""
    one, two, stranger = keys(3)
    async with open_network(SETTINGS, one.private, [one.member(), two.member()]) as network:
        network.send(two.public, b"lost")
        network.broadcast(b"lost too")
        network.send(stranger.public, b"to whom?")
        (status,) = network.peers()
        assert (status.frames_dropped_out, status.connected) == (2, False)
        assert network.refusals["send-to-stranger"] == 1


async def test_another_network_is_refused_with_a_reason() -> None:
    """Two networks with the same members do not mix, and both sides can say why."""
    one, two = keys(2)
    members = [one.member(), two.member()]
    other = replace(SETTINGS, network_id=bytes(32))
    async with open_network(SETTINGS, one.private, members) as first:
        foreign = replace(other, bootstrap=(without_peer_id(first.addresses[0]),))
        async with open_network(foreign, two.private, members) as second:
            with trio.fail_after(PATIENCE_S):
                await until_true(lambda: first.refusals["wrong-network"] > 0)
                await until_true(
                    lambda: (
                        {"wrong-network", "by-peer:wrong-network"} & set(second.refusals) != set()
                    )
                )
            assert not first.peers()[0].connected


async def test_a_stranger_is_refused_and_told_so() -> None:
    """A key that is not a member's proves itself, hears `unknown-member`, and is closed."""
    one, two, stranger = keys(3)
    members = [one.member(), two.member()]
    async with open_network(SETTINGS, one.private, members) as first:
        bootstrap = replace(SETTINGS, bootstrap=(without_peer_id(first.addresses[0]),))
        believes = [*members, stranger.member()]
        async with open_network(bootstrap, stranger.private, believes) as outsider:
            with trio.fail_after(PATIENCE_S):
                await until_true(lambda: outsider.refusals["by-peer:unknown-member"] > 0)
                await until_true(lambda: first.refusals["unknown-member"] > 0)
            assert all(not status.connected for status in first.peers())


async def test_a_node_does_not_tell_strangers_its_addresses() -> None:
    """A bootstrap address held by a non-member is left before our hello is sent."""
    one, stranger = keys(2)
    async with open_network(SETTINGS, stranger.private, [stranger.member()]) as outsider:
        bootstrap = replace(SETTINGS, bootstrap=(without_peer_id(outsider.addresses[0]),))
        async with open_network(bootstrap, one.private, [one.member()]) as network:
            with trio.fail_after(PATIENCE_S):
                await until_true(lambda: network.refusals["unknown-member"] > 0)


async def test_a_node_notices_that_it_dials_itself() -> None:
    """Its own address among the bootstrap addresses is dialled once and then left alone."""
    one, two = keys(2)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}"
    await listener.aclose()
    settings = replace(SETTINGS, listen=(address,), bootstrap=(address,))
    async with open_network(settings, one.private, [one.member(), two.member()]) as network:
        with trio.fail_after(PATIENCE_S):
            await until_true(lambda: network.refusals["own-key"] == 2)  # both ends are ours
        assert not network.peers()[0].connected


async def test_an_address_that_serves_another_member_is_not_mistaken() -> None:
    """Dialling n1 where n2 answers is `wrong-peer`, and n1 does not count as connected."""
    one, two, three = keys(3)
    async with open_network(SETTINGS, three.private, [one.member(), three.member()]) as other:
        members = [one.member(), two.member(without_peer_id(other.addresses[0]))]
        async with open_network(SETTINGS, one.private, members) as network:
            with trio.fail_after(PATIENCE_S):
                await until_true(lambda: network.refusals["wrong-peer"] > 0)
            assert not network.peers()[0].connected


async def test_the_second_process_with_one_key_stops() -> None:
    """The first keeps its connections; the newcomer is refused by f + 1 members and raises."""
    f_plus_one = replace(SETTINGS, duplicate_refusals_needed=2)
    one, two, twin = keys(3)
    members = [one.member(), two.member(), twin.member()]
    async with open_network(f_plus_one, one.private, members) as first:
        known = replace(f_plus_one, bootstrap=(without_peer_id(first.addresses[0]),))
        async with (
            open_network(known, two.private, members) as second,
            open_network(known, twin.private, members) as original,
        ):
            with trio.fail_after(PATIENCE_S):
                await until_up(original, one.public, two.public)
                await until_up(first, two.public, twin.public)
                await until_up(second, one.public, twin.public)
                both = (*known.bootstrap, without_peer_id(second.addresses[0]))
                async with open_network(
                    replace(known, bootstrap=both), twin.private, members
                ) as copy:
                    with pytest.raises(DuplicateKey, match="stop that node"):
                        await until(copy, lambda _: False)
                await until_true(lambda: first.refusals["duplicate-key"] > 0)
                original.broadcast(b"still here")
                await until_frame(first, b"still here")
                await until_frame(second, b"still here")
            assert [status.connections for status in original.peers()] == [1, 1]


async def test_one_lying_member_cannot_stop_a_node() -> None:
    """A single `duplicate-key` refusal is not believed where two are needed."""
    needs_two = replace(SETTINGS, duplicate_refusals_needed=2)
    one, twin = keys(2)
    members = [one.member(), twin.member()]
    async with open_network(needs_two, one.private, members) as first:
        known = replace(needs_two, bootstrap=(without_peer_id(first.addresses[0]),))
        async with open_network(known, twin.private, members) as original:
            with trio.fail_after(PATIENCE_S):
                await until_up(original, one.public)
                async with open_network(known, twin.private, members) as copy:
                    await until_true(lambda: copy.refusals["by-peer:duplicate-key"] >= 2)
                    with trio.move_on_after(0) as nothing:
                        await copy.receive()
                    assert nothing.cancelled_caught


async def test_a_restarted_node_replaces_its_dead_connection() -> None:
    """A new process takes over at once when the old connection no longer answers."""
    one, two = keys(2)
    patient = replace(SETTINGS, heartbeat_s=60.0, probe_timeout_s=0.2)
    async with open_network(patient, one.private, [one.member(), two.member()]) as first:
        proxy = Proxy(port_of(first.addresses[0]))
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.run)
            through = [one.member(proxy.address), two.member()]
            hidden = replace(patient, announce=("/ip4/127.0.0.1/tcp/9",))
            async with open_network(hidden, two.private, through) as lost:
                with trio.fail_after(PATIENCE_S):
                    await until_up(first, two.public)
                    await until_up(lost, one.public)
                    proxy.pause()
                    direct = [one.member(without_peer_id(first.addresses[0])), two.member()]
                    async with open_network(patient, two.private, direct) as restarted:
                        await until_up(restarted, one.public)
                        down = await until_down(first, two.public)
                        assert "replaced" in down.reason
                        restarted.broadcast(b"back")
                        await until_frame(first, b"back")
            nursery.cancel_scope.cancel()


async def test_a_node_that_comes_back_on_another_port_is_found_by_all() -> None:
    """Its new record reaches the one that did not know its address, through the one that did."""
    one, two, mover = keys(3)
    members = [key.member() for key in (one, two, mover)]
    async with open_network(SETTINGS, one.private, members) as first:
        known = replace(SETTINGS, bootstrap=(without_peer_id(first.addresses[0]),))
        async with open_network(known, two.private, members) as second:
            with trio.fail_after(PATIENCE_S):
                async with open_network(known, mover.private, members) as before:
                    await until_up(first, mover.public)
                    await until_up(second, mover.public)
                    old_address = before.addresses[0]
                await until_down(first, mover.public)
                await until_down(second, mover.public)
                async with open_network(known, mover.private, members) as after:
                    assert after.addresses[0] != old_address
                    await until_up(first, mover.public)
                    await until_up(second, mover.public)


async def test_a_silent_connection_goes_down_and_comes_back() -> None:
    """Missed heartbeats end the connection; when the path works again, so does the peer."""
    one, two = keys(2)
    async with open_network(FAST_HEARTBEAT, two.private, [one.member(), two.member()]) as behind:
        proxy = Proxy(port_of(behind.addresses[0]))
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.run)
            # The record must not offer a way around the proxy.
            settings = replace(FAST_HEARTBEAT, announce=("/ip4/127.0.0.1/tcp/9",))
            behind._discovery.forget(two.public)
            members = [one.member(), two.member(proxy.address)]
            async with open_network(settings, one.private, members) as network:
                with trio.fail_after(PATIENCE_S):
                    await until_up(network, two.public)
                    await until_true(lambda: network.peers()[0].rtt_ms > 0)
                    proxy.pause()
                    down = await until_down(network, two.public)
                    assert "heartbeats" in down.reason
                    assert not network.peers()[0].connected
                    proxy.resume()
                    await until_up(network, two.public)
            nursery.cancel_scope.cancel()


async def test_removed_members_are_disconnected_and_added_ones_dialled() -> None:
    """`set_members` acts on live connections."""
    async with two_nodes() as (first, second, first_key, second_key):
        first.set_members([first_key.member()])
        with trio.fail_after(PATIENCE_S):
            down = await until_down(first, second_key.public)
            assert down.reason == "no longer a member"
            await until_down(second, first_key.public)
            assert first.peers() == []
            first.set_members([first_key.member(), second_key.member()])
            await until_up(first, second_key.public)


async def test_a_removed_member_still_reads_what_it_was_sent() -> None:
    """The proof that it has left is among it. Nothing of what it says is heard any more."""
    async with two_nodes() as (first, second, first_key, _):
        for number in range(200):
            first.broadcast(b"%d" % number * 1_000)
        first.set_members([first_key.member()])
        second.broadcast(b"and what of me?")
        with trio.fail_after(PATIENCE_S):
            await until_frame(second, b"199" * 1_000)
            await until_down(second, first_key.public)
        assert not any(isinstance(event, Received) for event in first.receive_now(100))


async def test_who_is_no_member_any_more_can_tell() -> None:
    """`disowned_by` names who said so last, until it says otherwise."""
    async with two_nodes() as (first, second, first_key, second_key):
        assert second.disowned_by == frozenset()
        first.set_members([first_key.member()])
        with trio.fail_after(PATIENCE_S):
            await until_true(lambda: second.disowned_by == {first_key.public})
            first.set_members([first_key.member(), second_key.member()])
            await until_true(lambda: second.disowned_by == frozenset())
            await until_true(lambda: second.peers()[0].connected)


async def test_a_port_in_use_is_said_at_once() -> None:
    """The error names the address; nothing stays open."""
    (one,) = keys(1)
    async with open_network(SETTINGS, one.private, [one.member()]) as first:
        taken = without_peer_id(first.addresses[0])
        with trio.fail_after(2), pytest.raises(ListenAddressInUse, match="another port") as raised:
            async with open_network(
                replace(SETTINGS, listen=(*LOOPBACK, taken)), one.private, [one.member()]
            ):
                pass
        assert raised.value.address == taken


async def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    """192.0.2.0/24 is reserved for documentation, so it is nobody's."""
    (one,) = keys(1)
    elsewhere = replace(SETTINGS, listen=("/ip4/192.0.2.1/tcp/0",))
    with pytest.raises(ListenAddressUnavailable, match="cannot listen"):
        async with open_network(elsewhere, one.private, [one.member()]):
            pass


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"network_id": b"short"}, BadSettings),
        ({"listen": ("127.0.0.1:4001",)}, BadAddress),
        ({"listen": ("/dns4/example.org/tcp/1",)}, BadAddress),
        ({"bootstrap": ("/ip4/0.0.0.0/tcp/4001",)}, BadAddress),
        ({"announce": ("/ip4/10.0.0.1/tcp/0",)}, BadAddress),
        ({"outbox_bytes_max": 1000}, BadSettings),
        ({"heartbeat_misses_max": 0}, BadSettings),
    ],
)
async def test_bad_settings_are_refused_before_anything_opens(
    change: dict[str, object], error: type[Exception]
) -> None:
    """Each with one sentence."""
    (one,) = keys(1)
    with pytest.raises(error):
        async with open_network(replace(SETTINGS, **change), one.private, [one.member()]):  # type: ignore[arg-type]  # the point is wrong values
            pass


async def test_members_must_be_distinct_and_addressed_as_themselves() -> None:
    """Two members with one key, or an address that names another node, are configuration errors."""
    one, two = keys(2)
    async with open_network(SETTINGS, one.private, [one.member()]) as network:
        with pytest.raises(BadSettings, match="same key"):
            network.set_members([two.member(), two.member()])
        with pytest.raises(BadSettings, match="peer id"):
            network.set_members([two.member(network.addresses[0])])


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    """The caller opened no nursery, and gets no exception group."""
    (one,) = keys(1)
    with pytest.raises(ZeroDivisionError):
        async with open_network(SETTINGS, one.private, [one.member()]):
            raise ZeroDivisionError


async def test_leaving_is_prompt_although_a_peer_hangs() -> None:
    """With a peer that reads nothing and frames waiting for it, leaving takes under two seconds."""
    one, two = keys(2)
    async with open_network(SETTINGS, two.private, [one.member(), two.member()]) as behind:
        proxy = Proxy(port_of(behind.addresses[0]))
        async with trio.open_nursery() as nursery:
            await nursery.start(proxy.run)
            members = [one.member(), two.member(proxy.address)]
            async with open_network(SETTINGS, one.private, members) as network:
                with trio.fail_after(PATIENCE_S):
                    await until_up(network, two.public)
                proxy.pause()
                for _ in range(4):
                    network.send(two.public, bytes(SETTINGS.frame_bytes_max))
                left_at = trio.current_time()
            assert trio.current_time() - left_at < SETTINGS.close_timeout_s
            nursery.cancel_scope.cancel()


async def test_what_was_sent_before_leaving_still_arrives() -> None:
    """A node's last words are flushed."""
    one, two = keys(2)
    members = [one.member(), two.member()]
    async with open_network(SETTINGS, one.private, members) as first:
        known = replace(SETTINGS, bootstrap=(without_peer_id(first.addresses[0]),))
        with trio.fail_after(PATIENCE_S):
            async with open_network(known, two.private, members) as second:
                await until_up(second, one.public)
                second.broadcast(b"goodbye")
            await until_frame(first, b"goodbye")
            await until(first, lambda e: isinstance(e, PeerDown))


async def test_opening_and_leaving_can_be_cancelled_at_any_moment() -> None:
    """Cut off after each of many numbers of scheduler turns; afterwards the port is free again."""
    one, two = keys(2)
    members = [one.member(), two.member()]
    async with open_network(SETTINGS, one.private, members) as first:
        known = replace(SETTINGS, bootstrap=(without_peer_id(first.addresses[0]),))
        for turns in range(0, 120, 7):
            async with trio.open_nursery() as nursery:

                async def live() -> None:
                    async with open_network(known, two.private, members) as network:
                        await until(network, lambda _: False)

                nursery.start_soon(live)
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        with trio.fail_after(PATIENCE_S):
            async with open_network(known, two.private, members) as network:
                await until_up(network, one.public)


def _status(network, name):  # type: ignore[no-untyped-def]  # a one-line lookup
    return next(status for status in network.peers() if status.name == name)
