"""The protocol core: a pure state machine after Castro and Liskov, *Practical Byzantine Fault
Tolerance* (OSDI 1999), extended so that replicas vote over sets of language-model answers.

Nothing here reads a clock, opens a socket, draws a random number, logs or awaits. `Replica.step`
takes one event and returns effects; `daemon/` performs them for real, `simulator/` on a virtual
clock. Start reading at `replica.py`; `docs/protocol.md` is the specification.
"""
