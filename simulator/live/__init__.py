"""Faults in real daemons: `python -m simulator.live --fault lie qnode.toml`."""
