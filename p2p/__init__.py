"""The transport: opaque frames between members, known by their Ed25519 keys.

The daemon uses `p2p.network` (open a node's end of the network) and `p2p.envelope` (sign and
verify). Nothing here knows what the frames say. `p2p.host` alone touches libp2p.
"""
