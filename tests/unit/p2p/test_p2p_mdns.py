"""mDNS with a fake in zeroconf's place: tests send nothing beyond loopback."""

from dataclasses import replace

import pytest
import trio
from zeroconf import ServiceInfo, ServiceListener

from p2p import mdns
from p2p.addresses import Address
from p2p.host import peer_id
from p2p.network import open_network
from tests.support.p2p_harness import (
    NETWORK_ID,
    PATIENCE_S,
    SETTINGS,
    keys,
    port_of,
    until_true,
    until_up,
)

pytestmark = pytest.mark.trio


class FakeZeroconf:
    """One shared wire: what one registers, every browser is told in a thread."""

    registered: list[ServiceInfo]
    browsers: list[tuple["FakeZeroconf", str, ServiceListener]]
    closed = 0

    def __init__(self) -> None:
        self.threads = 0

    def register_service(self, info: ServiceInfo) -> None:
        type(self).registered.append(info)
        for zeroconf, kind, listener in type(self).browsers:
            if kind == info.type:
                listener.add_service(zeroconf, kind, info.name)  # type: ignore[arg-type]  # a fake

    def get_service_info(self, kind: str, name: str, timeout: int) -> ServiceInfo | None:
        assert timeout > 0
        return next((i for i in self.registered if (i.type, i.name) == (kind, name)), None)

    def close(self) -> None:
        type(self).closed += 1


def fake_browser(zeroconf: FakeZeroconf, kind: str, listener: ServiceListener) -> None:
    FakeZeroconf.browsers.append((zeroconf, kind, listener))
    for info in FakeZeroconf.registered:
        if info.type == kind:
            listener.add_service(zeroconf, kind, info.name)  # type: ignore[arg-type]  # a fake


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> type[FakeZeroconf]:
    FakeZeroconf.registered, FakeZeroconf.browsers, FakeZeroconf.closed = [], [], 0
    monkeypatch.setattr(mdns, "Zeroconf", FakeZeroconf)
    monkeypatch.setattr(mdns, "ServiceBrowser", fake_browser)
    return FakeZeroconf


async def test_two_nodes_find_each_other_without_any_address(wire: type[FakeZeroconf]) -> None:
    """And both say goodbye when they leave."""
    one, two = keys(2)
    members = [one.member(), two.member()]
    settings = replace(SETTINGS, mdns=True)
    async with (
        open_network(settings, one.private, members) as first,
        open_network(settings, two.private, members) as second,
    ):
        with trio.fail_after(PATIENCE_S):
            await until_up(first, two.public)
            await until_up(second, one.public)
        (info, _) = sorted(
            wire.registered, key=lambda info: info.port != port_of(first.addresses[0])
        )
        assert info.properties == {b"peer": peer_id(one.public).encode()}
    assert wire.closed == 2


async def test_strangers_on_the_local_network_are_counted_and_not_dialled(
    wire: type[FakeZeroconf],
) -> None:
    """An announcement of a key that is not a member's leads nowhere."""
    one, stranger = keys(2)
    wire.registered.append(
        mdns._info(
            mdns.service_type(NETWORK_ID),
            peer_id(stranger.public),
            9,
            [Address("ip4", "127.0.0.1", 9)],
        )
    )
    async with open_network(replace(SETTINGS, mdns=True), one.private, [one.member()]) as network:
        with trio.fail_after(PATIENCE_S):
            await until_true(lambda: network.refusals["foreign-address"] > 0)


async def test_a_node_without_mdns_never_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off means that zeroconf is not even made."""
    monkeypatch.setattr(mdns, "Zeroconf", lambda: pytest.fail("mDNS was opened"))
    (one,) = keys(1)
    async with open_network(SETTINGS, one.private, [one.member()]):
        await trio.testing.wait_all_tasks_blocked()


async def test_a_machine_without_multicast_is_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The node says so and lives on addresses."""

    def unavailable() -> None:
        raise OSError("no such device")

    monkeypatch.setattr(mdns, "Zeroconf", unavailable)
    (one,) = keys(1)
    async with open_network(replace(SETTINGS, mdns=True), one.private, [one.member()]):
        with trio.fail_after(PATIENCE_S):
            await until_true(lambda: "mDNS is not available" in caplog.text)
