"""`qnode judge` and `qnode bench attack`: what the judge makes of answers, without a network."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.errors import UsageError
from inference.errors import InferenceError

if TYPE_CHECKING:
    from inference.attack import Pair
    from pbft.outcome import Outcome


def judge(options: argparse.Namespace) -> int:
    """Judge the pairs of a file, one line for each, and a summary."""
    from inference.evaluation import judge_pairs, read_pairs, summary, verdict_line

    with _for_people():
        pairs = read_pairs(options.pairs)
        verdicts = []
        for verdict in judge_pairs(_judge(options), pairs):
            verdicts.append(verdict)
            line = verdict_line(verdict)
            if options.json:
                print(json.dumps(line, ensure_ascii=False))
            else:
                said = "same     " if line["same"] else "different"
                print(
                    f"{line['id']:<14} {said} {line['similarity']:>6}  {'; '.join(line['reasons'])}"
                )
    found = {"summary": summary(verdicts)}
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _print_summary(found["summary"])
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Print the judge's rates beside those of a plain cosine, and draw both curves."""
    from inference.embedding import EmbedderSettings, load_embedder
    from inference.evaluation import (
        judge_pairs,
        plain_cosines_bp,
        rates,
        read_pairs,
        roc_svg,
        table,
    )

    with _for_people():
        pairs = [pair for path in options.pairs for pair in read_pairs(path)]
        labelled = sum(pair.same is not None for pair in pairs)
        if not labelled:
            raise UsageError(
                "None of the pairs is labelled, so there is nothing to measure; write same (true "
                "or false) into each, or use qnode judge."
            )
        if options.roc:
            _require_writable(options.roc)  # the work takes minutes
        verdicts = list(judge_pairs(_judge(options), pairs))
        cosines = plain_cosines_bp(load_embedder(EmbedderSettings(options.embedder)), pairs)
    if options.json:
        found = {
            "pairs": len(pairs),
            "labelled": labelled,
            "accepted": [asdict(rate) for rate in rates(verdicts, cosines)],
        }
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(table(verdicts, cosines))
    if options.roc:
        try:
            options.roc.write_text(roc_svg(verdicts, cosines), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{options.roc} cannot be written ({error}); name another file."
            ) from None
        if not options.json:
            print(f"curves: {options.roc}")
    return 0


def _require_writable(path: Path) -> None:
    there = path if path.exists() else path.parent
    if path.is_dir() or not path.parent.is_dir() or not os.access(there, os.W_OK):
        raise UsageError(f"{path} cannot be written; name a file in a folder that is there.")


def bench_attack(options: argparse.Namespace) -> int:
    """Run liars who know the rules through whole decisions."""
    from inference.attack import cases, run_bench
    from inference.evaluation import read_pairs

    def tell(done: int, all_: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done} of {all_} questions", end="", file=sys.stderr, flush=True)

    with _for_people():
        pairs = read_pairs(options.pairs)
        if not cases(pairs):
            raise UsageError(
                f"{options.pairs} has no pair with a question whose answers are labelled the same, "
                "so there is no honest answer to attack; write same: true into some."
            )
        rewrite = _writer(options.model) if options.model else None
        decided = None if options.quick else _by_network
        found = run_bench(_judge(options), pairs, rewrite, decided, tell)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    print(f"{'':<40}{'decisions':>10}{'wrong':>7}{'share':>9}{'breakable questions':>22}")
    for name, scene in found["scenes"].items():
        share = 100 * scene["wrong"] / max(1, scene["decisions"])
        print(
            f"{name:<40}{scene['decisions']:>10}{scene['wrong']:>7}{share:>7.2f} %"
            f"{scene['breakable']:>12} of {scene['questions']}"
        )
    for kind, counts in found["by_kind"].items():
        print(f"  {kind:<38}{counts['decisions']:>10}{counts['wrong']:>7}")
    return 0


def _by_network(question: str, said: "Sequence[str]", liars: int, pair: "Pair") -> "Outcome":
    """By a whole network in virtual time; the liars' words come last."""
    from simulator.staging import Stage, decide

    lying = frozenset(range(len(said) - liars, len(said)))
    return decide(Stage(question, tuple(said), lying, pair))


def add_commands(commands: Any, benches: Any) -> None:
    """The subcommands `judge`, `evaluate` and, among the benches, `attack`."""
    from inference.catalog import DEFAULT_EMBEDDER

    judging = commands.add_parser("judge", help="say which pairs of answers mean the same")
    judging.set_defaults(command=judge)
    evaluating = commands.add_parser("evaluate", help="measure the judge on labelled pairs")
    evaluating.add_argument("--roc", type=Path, metavar="SVG", help="draw the curves")
    evaluating.set_defaults(command=evaluate)
    attacking = benches.add_parser("attack", help="liars who know the rules, in whole decisions")
    attacking.add_argument("--model", help="language model that writes attacks too")
    attacking.add_argument(
        "--quick", action="store_true", help="the outcome function alone, not whole networks"
    )
    attacking.set_defaults(command=bench_attack)
    for parser in (judging, evaluating, attacking):
        parser.add_argument(
            "pairs",
            type=Path,
            nargs="+" if parser is evaluating else None,
            help="one JSON object a line: id, question, a, b",
        )
        parser.add_argument("--embedder", default=DEFAULT_EMBEDDER, help="default: %(default)s")
        parser.add_argument(
            "--entailment", metavar="MODEL", help="add a model that judges entailment"
        )
        parser.add_argument("--json", action="store_true")


class _for_people:  # noqa: N801 - used like a function
    """Turns what the inference package raises on purpose into one sentence."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InferenceError):
            raise UsageError(str(error)) from None


def _judge(options: argparse.Namespace) -> Any:
    from inference.embedding import EmbedderSettings
    from inference.judging import load_judge
    from inference.nli import EntailmentSettings

    entailment = None
    if options.entailment is not None:
        entailment = EntailmentSettings(model=options.entailment)
    return load_judge(
        EmbedderSettings(options.embedder),
        lambda line: print(line, file=sys.stderr),
        entailment,
    )


def _writer(model: str) -> Any:
    """A language model asked to write the opposite of an answer."""
    from inference.engine import EngineSettings, GenerationRequest, load_engine

    engine = load_engine(EngineSettings(None if model == "auto" else model))

    def rewrite(question: str, answer: str) -> str | None:
        asked = (
            f"Question: {question}\nAnswer: {answer}\n"
            "Write this answer again with as few changes as possible, so that it says the opposite."
        )
        request = GenerationRequest(asked, None, max_tokens=96, temperature_milli=700, seed=7)
        return engine.generate(request, lambda: False).text.strip() or None

    return rewrite


def _print_summary(found: dict[str, Any]) -> None:
    print(f"{found['pairs']} pairs, {found['labelled']} labelled")
    for group, rates in found.items():
        if isinstance(rates, dict):
            print(group.replace("_", " ") + ":")
            for name, rate in rates.items():
                print(
                    f"  {name:<28}{rate['accepted']:>5} of {rate['pairs']:<5}{rate['percent']:>6} %"
                )
