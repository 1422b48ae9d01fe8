"""`qnode bench`: how fast a network on this machine is, and how fast it could be.

`consensus` (the command) starts networks and draws results, `network` holds one network's
processes, `worker` is a node of it, `instant` its model and judge, `load` the questions, `figures`
what is computed from the times, `floor` and `unit_costs` what the machine could do.
"""
