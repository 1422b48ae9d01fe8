"""Linux namespaces of the run's own: each node has a network stack to itself, and may have a disk.

`enter` takes this process into new user, network and mount namespaces, in which it may do to the
network and the mounts what needs privileges outside; nothing of the machine's own is touched, and
all of it ends with the last process in it. Its user stays who it was: the programs that the run
starts have no privileges at all. A `Stack` is one node's network: a loopback, and a TUN device
(a network card whose cable ends in a file descriptor, Linux's Documentation/networking/tuntap.rst)
on which the node has its address. What leaves the node is read from there as IP packets by
`simulator.live.switch`.

Neither iproute2, netem nor netfilter is needed: kernels without them are common in virtual
machines.
"""

import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.errors import SimulatorError

MTU_BYTES = 1500
_TUN = Path("/dev/net/tun")
_PROBE_S = 30.0

# From linux/sched.h, linux/if_tun.h, linux/sockios.h and linux/mount.h.
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_SIOCSIFMTU = 0x8922
_IFF_UP = 0x0001
_IFF_RUNNING = 0x0040
_MNT_DETACH = 0x00000002
_DEVICE = "qnode0"
_NETMASK = "255.255.255.0"


class NamespacesUnavailable(SimulatorError):
    """This machine does not let its users have them; the text says which part."""


def why_unavailable() -> str:
    """What this machine lacks, as a sentence; empty if runs can have namespaces.

    Found out by doing it, in a process of its own: a kernel may allow each part and yet not the
    whole.
    """
    if not sys.platform.startswith("linux"):
        return "Network namespaces are a part of Linux."
    try:
        probe = subprocess.run(  # our own program
            [sys.executable, "-m", "simulator.live.namespaces"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"To make namespaces takes more than {_PROBE_S:g} s here."
    if probe.returncode == 0:
        return ""
    words = probe.stderr.strip().splitlines()
    return words[-1] if words else "To make namespaces ends the process here."


def enter() -> None:
    """Takes this process into namespaces of its own, its loopback up. It must have one thread.

    Raises `NamespacesUnavailable`.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
        _set_up("lo")
    except OSError as error:
        raise NamespacesUnavailable(
            f"This machine gives its users no namespaces of their own ({error.strerror})."
        ) from None


class Stack:
    """A network stack with one address, for one process. Made by a process that has entered.

    `device` is the other end of its cable: a read gives one IP packet that leaves, a write is one
    that arrives. It does not block.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._home = _own_stack()
        self._stack = -1
        try:
            _call("unshare", _CLONE_NEWNET)
            try:
                self._stack = _own_stack()
                self.device = _cable(address)
                _set_up("lo")
            finally:
                _call("setns", self._home, _CLONE_NEWNET)
        except OSError as error:
            raise NamespacesUnavailable(
                f"No network card can be made here: {error.strerror} ({error.filename or _TUN})."
            ) from None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes in the block, and processes it starts, are in there."""
        _call("setns", self._stack, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", self._home, _CLONE_NEWNET)

    def close(self) -> None:
        for file in (self.device, self._stack, self._home):
            os.close(file)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[None]:
    """The folder is a file system of its own in the block, with room for so much."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size_bytes},mode=700".encode()
    _call("mount", b"qnode", os.fsencode(folder), b"tmpfs", 0, options)
    try:
        yield
    finally:
        _call("umount2", os.fsencode(folder), _MNT_DETACH)


# --- the kernel's calls ------------------------------------------------------------------------


def _call(name: str, *arguments: int | bytes) -> None:
    """The C library's function; `os.unshare` and `os.setns` came with Python 3.12."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def _own_stack() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _cable(address: str) -> int:
    """A network card in this thread's stack, on which 256 addresses are near."""
    import fcntl

    device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _TUNSETIFF, _named(_DEVICE, struct.pack("H", _IFF_TUN | _IFF_NO_PI)))
        _ask(_SIOCSIFMTU, _named(_DEVICE, struct.pack("i", MTU_BYTES)))
        _ask(_SIOCSIFADDR, _named(_DEVICE, _internet(address)))
        _ask(_SIOCSIFNETMASK, _named(_DEVICE, _internet(_NETMASK)))
        _set_up(_DEVICE)
    except BaseException:
        os.close(device)
        raise
    return device


def _set_up(device: str) -> None:
    _ask(_SIOCSIFFLAGS, _named(device, struct.pack("H", _IFF_UP | _IFF_RUNNING)))


def _ask(request: int, what: bytes) -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, request, what)


def _named(device: str, value: bytes) -> bytes:
    """A `struct ifreq`: the device's name, and a union of 24 bytes."""
    return struct.pack("16s24s", device.encode("ascii"), value)


def _internet(address: str) -> bytes:
    """A `struct sockaddr_in` without a port."""
    return struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(address))


def _probe() -> None:
    enter()
    Stack("10.0.0.1").close()


if __name__ == "__main__":
    try:
        _probe()
    except NamespacesUnavailable as unavailable:
        sys.exit(str(unavailable))
