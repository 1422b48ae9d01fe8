"""`qnode demo` and `qnode bench`: whole networks on this machine."""

import argparse
from pathlib import Path
from typing import Any

from daemon import judging


def add_commands(commands: Any) -> None:
    """The subcommands `demo` and `bench`, with `judge` and `evaluate`."""
    _add_demo(commands)
    _add_bench(commands)


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser("demo", help="run a whole network on this machine and ask it")
    demo.add_argument("--nodes", type=int, default=4, metavar="N")
    demo.add_argument("--ask", action="append", metavar="TEXT", help="repeatable")
    demo.add_argument(
        "--fault", choices=("lie", "slow", "crash", "equivocate"), help="one node misbehaves"
    )
    demo.add_argument("--keep", action="store_true", help="leave the network running")
    demo.add_argument("--folder", type=Path, default=Path("qnode-demo"))
    demo.add_argument("--json", action="store_true")
    demo.set_defaults(command=_demo)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="measure speed, and what liars achieve")
    kinds = bench.add_subparsers(required=True, metavar="WHAT")
    judging.add_commands(commands, kinds)
    consensus = kinds.add_parser(
        "consensus", help="consensus alone: real nodes, instant answers, and the machine's floor"
    )
    size = consensus.add_mutually_exclusive_group()
    # The default is not given here: argparse does not see two options that exclude each other if
    # one is given its default.
    size.add_argument("--nodes", type=int, metavar="N", help="default: 4")
    size.add_argument(
        "--sizes", type=_whole_numbers, metavar="N,N…", help="one network after the other"
    )
    consensus.add_argument(
        "--concurrency", type=_whole_numbers, default="1,32,64", metavar="C,C…",
        help="questions open at once, one level after the other (default: %(default)s)",
    )  # fmt: skip
    consensus.add_argument(
        "--seconds", type=float, default=10.0, help="measured per level (default: %(default)g)"
    )
    consensus.add_argument("--decisions", type=int, metavar="N", help="stop a level after so many")
    consensus.add_argument(
        "--folder", type=Path, help="where the nodes' files go for the time (default: the system's)"
    )
    consensus.add_argument("--json", action="store_true")
    consensus.set_defaults(command=_bench_consensus)
    agreement = kinds.add_parser(
        "agreement", help="comparing 16 answers of 100 words with one another, part by part"
    )
    agreement.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    agreement.add_argument(
        "--threads", type=int, default=2, help="of the embedder (default: %(default)s)"
    )
    agreement.add_argument("--json", action="store_true")
    agreement.set_defaults(command=_bench_agreement)
    sim = kinds.add_parser("sim", help="the simulator: decisions, seeds and twins per core")
    sim.add_argument("--scale", type=float, default=1.0, help="longer or shorter (default: 1)")
    sim.add_argument(
        "--large", type=int, default=100, metavar="N", help="one decision of N nodes; 0: none"
    )
    sim.add_argument("--json", action="store_true")
    sim.set_defaults(command=_bench_sim)


def _whole_numbers(text: str) -> list[int]:
    """For argparse, which says which option is wrong."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("must be whole numbers with commas between") from None


def _demo(options: argparse.Namespace) -> int:
    import trio

    from daemon.demo import Demo

    return trio.run(Demo(options).run)


def _bench_consensus(options: argparse.Namespace) -> int:
    import trio

    from daemon.bench.consensus import ConsensusBench

    return trio.run(ConsensusBench(options).run)


def _bench_agreement(options: argparse.Namespace) -> int:
    from daemon.bench.agreement import run

    return run(options)


def _bench_sim(options: argparse.Namespace) -> int:
    from daemon.bench.sim import run

    return run(options)
