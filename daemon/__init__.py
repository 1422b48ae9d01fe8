"""The node: configuration, storage, the loop that drives the protocol core, HTTP and the command
line. `node.py` starts and stops everything; `consensus.py` owns the replica."""
