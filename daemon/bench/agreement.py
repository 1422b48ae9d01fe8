"""`qnode bench agreement`: what it costs to compare answers, part by part.

Sixteen answers of a hundred words to one question, all 120 pairs, as at the end of a large
network's round. Half of the answers are made of the same five sentences in another order, half of
others as well. The models are loaded and warm; the texts of each round are new, as a round's
answers are, so nothing that was kept about earlier ones helps.
"""

import argparse
import json
import time
from itertools import combinations, pairwise
from statistics import median

from rich.table import Table

from daemon import display
from daemon.errors import UsageError
from inference.analysis import Analysis, analyse
from inference.embedding import EmbedderSettings
from inference.equivalence import Judge
from inference.evidence import gather
from inference.guards import objection
from inference.judging import load_judge

ANSWERS = 16
WORDS = 100
_QUESTION = "Why did the network slow down, and what was done about it?"
_SENTENCES = tuple(
    sentence.strip()
    for sentence in """
    A router in the eastern data centre failed at 9 in the morning and dropped a third of packets.
    Votes between the continents had to be sent again, so decisions took four seconds, not one.
    The engineers first suspected a faulty release and went back to the previous version.
    This changed nothing, and the number of open questions kept rising until noon.
    After the device had been replaced, the delay fell below its usual level within ten minutes.
    No answer was lost, because every question is repeated until enough nodes have signed for it.
    The company expects fewer failures once a second line has been installed in the coming month.
    Customers in Europe were hardly affected, while most of those in Asia noticed longer waits.
    A cheaper line is available, but it is slower and less reliable than the present one.
    Two members recommend that at least five per cent of the budget be kept for spare parts.
    The board rejected a proposal to move all nodes into a single building next to the harbour.
    Prices for fast connections have climbed by 12 % since March and will probably increase further.
    """.strip().splitlines()
)


def answers(number: int) -> list[str]:
    """The answers of one round: always the same for the same number."""
    sentences = [f"{sentence[:-1]}, says ticket {number}." for sentence in _SENTENCES]
    found = []
    for answer in range(ANSWERS):
        shift = answer // 2
        if answer % 2:
            ordered = [sentences[(place + shift) % 5] for place in range(5)] + sentences[5:]
        else:
            ordered = [sentences[(answer + 5 * place) % len(sentences)] for place in range(12)]
        found.append(" ".join(" ".join(ordered).split()[:WORDS]))
    return found


def run(options: argparse.Namespace) -> int:
    """Print the median milliseconds of each part; with ``--json`` as an object."""
    for name, value, most in (
        ("--rounds", options.rounds, 1_000),
        ("--threads", options.threads, 64),
    ):
        if not 1 <= value <= most:
            raise UsageError(f"{name} must be from 1 to {most}, not {value}.")
    with display.progress_console.status("loading the embedder"):
        judge = load_judge(EmbedderSettings(threads=options.threads))
    with display.progress_console.status("measuring"):
        found = measure(judge, options.rounds)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    title = f"{ANSWERS} answers of {WORDS} words, {ANSWERS * (ANSWERS - 1) // 2} pairs, in ms"
    table = Table(title=title, title_justify="left")
    table.add_column("part")
    table.add_column("median", justify="right")
    for name, value in found.items():
        table.add_row(name.removesuffix("_ms"), f"{value:.1f}")
    display.console.print(table)
    return 0


def measure(judge: Judge, rounds: int) -> dict[str, float]:
    """The median of each part in milliseconds.

    ``analysis`` reads the texts, ``guards`` looks for contradictions, ``evidence`` gathers the
    integers of the similarity; ``whole`` is everything, embedding included, measured apart.
    """
    judge.compare(_QUESTION, answers(0))
    asked = analyse(_QUESTION)
    took: dict[str, list[float]] = {"analysis": [], "guards": [], "evidence": [], "whole": []}
    for number in range(1, rounds + 1):
        texts = answers(2 * number)
        moments = [time.perf_counter()]
        analyses = [_read(text) for text in texts]
        pairs = list(combinations(analyses, 2))
        moments.append(time.perf_counter())
        for a, b in pairs:
            objection(asked, a, b)
        moments.append(time.perf_counter())
        for a, b in pairs:
            gather(asked, a, b)
        moments.append(time.perf_counter())
        for name, (start, end) in zip(took, pairwise(moments), strict=False):
            took[name].append(end - start)
        texts = answers(2 * number + 1)
        start = time.perf_counter()
        judge.compare(_QUESTION, texts)
        took["whole"].append(time.perf_counter() - start)
    return {f"{name}_ms": round(1000 * median(times), 1) for name, times in took.items()}


def _read(text: str) -> Analysis:
    """The analysis of a text with all that is otherwise worked out when it is first needed."""
    analysis = analyse(text)
    for part in (analysis.whole, *analysis.sentences):
        for piece in (part, *part.clauses):
            _ = (piece.mask, piece.nearby, piece.tokens, piece.places, piece.lemmas)
            _ = (piece.reading.sides, piece.besides_poles, piece.han_pairs, piece.affirmed)
    return analysis
