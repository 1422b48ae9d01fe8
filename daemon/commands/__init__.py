"""The commands of a node, for `daemon.cli`. Heavy imports are inside the commands, so that
`qnode --help` is quick."""
