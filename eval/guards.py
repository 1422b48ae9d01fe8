"""Count what each guard objects to in the groups of answers, for which no rule was written.

    python eval/guards.py

A guard is of use if it objects to contradicting pairs more often than to agreeing ones; many of the
latter share few words on purpose, so this is where a rule that guesses shows. Takes a minute.
"""

from collections import Counter
from itertools import combinations

import groups

from inference.guards import first_objection


def main() -> None:
    """Print, for each language, all pairs and those objected to by the code of the reason."""
    for name, files, chinese in (
        ("English", ("groups-en.jsonl",), False),
        ("Chinese", ("groups-zh.jsonl",), True),
    ):
        pairs: Counter[bool] = Counter()
        objected: Counter[tuple[str, bool]] = Counter()
        for row in groups.rows(files, chinese=chinese):
            placed = [(text, n) for n, texts in enumerate(row["classes"]) for text in texts]
            for (a, first), (b, second) in combinations(placed, 2):
                pairs[first == second] += 1
                if reason := first_objection(row["question"], a, b):
                    objected[reason.partition(":")[0], first == second] += 1
        print(f"{name}: {pairs[True]} agreeing, {pairs[False]} contradicting pairs")
        for agreeing, kind in ((True, "agreeing"), (False, "contradicting")):
            total = sum(n for (_, same), n in objected.items() if same == agreeing)
            print(f"  objected to {100 * total / pairs[agreeing]:.1f} % of the {kind}")
        for code in sorted({code for code, _ in objected}):
            print(f"  {code:12} {objected[code, True]:5} {objected[code, False]:6}")


if __name__ == "__main__":
    main()
