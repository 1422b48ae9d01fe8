"""What can go wrong in `p2p/`, sorted by whose fault it is.

::

    P2PError
    ├── PeerFault               the other side broke a rule; the connection closes, the node goes on
    │   ├── BadFrame            a length out of bounds, an unknown kind, a second stream
    │   ├── BadMessage          a hello, verdict or record that is not strict canonical CBOR
    │   ├── BadSignature        a signature that its key did not make
    │   ├── WrongPeer           the address is served by another key than the one dialled
    │   └── Refused             one side turned the other away; `reason` is one of `hello.REASONS`
    ├── CallerFault             the configuration or the program that uses this package
    │   ├── BadAddress          text that is not a TCP multiaddr
    │   ├── BadSettings         numbers or keys that cannot work together
    │   ├── FrameTooLarge       a frame to send that every receiver would refuse
    │   └── ListenAddressUnavailable
    │       └── ListenAddressInUse
    ├── DuplicateKey            another live process runs with our key
    └── TransportBroken         nobody's fault: resets, timeouts, whatever libp2p raised

A bug in this package is outside of the root and is never provoked by what a peer sends.
"""


class P2PError(Exception):
    """Root of everything that this package raises on purpose."""


class PeerFault(P2PError):
    """The other side broke a rule of the protocol."""


class BadFrame(PeerFault):
    """A frame that is too long, empty, or of a kind that does not belong there."""


class BadMessage(PeerFault):
    """A hello, verdict or record that is not what the protocol says."""


class BadSignature(PeerFault):
    """The signature was not made by that key over that context and payload."""


class WrongPeer(PeerFault):
    """The node that answered an address is not the one that was dialled."""


class Refused(PeerFault):
    """A connection was turned away; `by_peer` says by whom, `reason` says why."""

    def __init__(self, reason: str, *, by_peer: bool) -> None:
        super().__init__(f"{'the peer' if by_peer else 'this node'} refused: {reason}")
        self.reason = reason
        self.by_peer = by_peer


class CallerFault(P2PError):
    """The configuration, or the program that uses this package."""


class BadAddress(CallerFault):
    """Text that is not an address this node can listen on or dial."""


class BadSettings(CallerFault):
    """Settings or members that cannot work."""


class FrameTooLarge(CallerFault):
    """A frame longer than `frame_bytes_max`, which every peer would refuse."""


class ListenAddressUnavailable(CallerFault):
    """The operating system does not let this process listen there."""

    def __init__(self, address: str, sentence: str) -> None:
        super().__init__(sentence)
        self.address = address


class ListenAddressInUse(ListenAddressUnavailable):
    """Another process listens on that port already."""

    def __init__(self, address: str) -> None:
        super().__init__(
            address,
            f"Another process already listens on {address}: stop it, or give this node another "
            "port in its configuration.",
        )


class DuplicateKey(P2PError):
    """Another live process uses our key, and enough distinct members say so."""

    def __init__(self, witnesses: int) -> None:
        super().__init__(
            f"Another running node uses this node's key ({witnesses} members refused us for it): "
            "stop that node, or give this one its own key."
        )
        self.witnesses = witnesses


class TransportBroken(P2PError):
    """A connection ended or could not be made, and nobody is to blame."""
