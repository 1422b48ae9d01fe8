"""Judge labelled pairs of answers: line by line, in rates, and as a curve.

A line of a pairs file is a JSON object with ``id``, ``question``, ``a`` and ``b``, and, if known,
``same``; ``relation`` ("same", "contradict", "different"), ``category`` and ``language`` make the
summary finer. A relation says whether both are the same, so ``same`` may then be left out.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product
from pathlib import Path
from typing import Any

from inference.equivalence import Judge, TextEmbedder
from inference.errors import InvalidRequest

ACCEPTED_BP = 8_500
"""The default policy's similarity threshold."""

TEXT_BYTES_MAX = 16 * 1024
"""Of a question or an answer, as in the protocol."""

_FIELDS = ("question", "a", "b")
_RELATIONS = ("same", "contradict", "different")


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair of answers; ``same`` is None if nobody labelled it."""

    id: str
    question: str
    a: str
    b: str
    same: bool | None
    relation: str
    category: str
    language: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says of a pair."""

    pair: Pair
    similarity_bp: int
    reasons: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether a vote would count the two answers as one."""
        return self.similarity_bp >= ACCEPTED_BP and not self.reasons


def read_pairs(path: Path) -> list[Pair]:
    """Read a pairs file; raise InvalidRequest that names the line for what is wrong with it."""
    try:
        # Not splitlines(): JSON texts may hold other line separators.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The pairs file {path} cannot be read ({error}); check it.") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            pairs.append(_pair(line, f"{path}, line {number}", number))
    if not pairs:
        raise InvalidRequest(f"The pairs file {path} is empty; write one JSON object a line.")
    return pairs


def _pair(line: str, place: str, number: int) -> Pair:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in _FIELDS):
        raise InvalidRequest(
            f"{place}: write a JSON object with the texts question, a and b (and same, if known)."
        )
    for key in _FIELDS:
        if fault := _text_fault(row[key]):
            raise InvalidRequest(f"{place}: {key} {fault}.")
    same, relation = _label(row, place)
    for key in ("category", "language"):
        if not isinstance(row.get(key) or "", str):
            raise InvalidRequest(f"{place}: {key} must be a text.")
    texts = {key: row.get(key) or "" for key in ("category", "language")}
    identity = number if row.get("id") is None else row["id"]
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        raise InvalidRequest(f"{place}: id must be a text or a whole number.")
    return Pair(str(identity), row["question"], row["a"], row["b"], same, relation, **texts)


def _label(row: dict[str, Any], place: str) -> tuple[bool | None, str]:
    """Whether both are the same, and the relation; None and "" if nobody labelled the pair."""
    same, relation = row.get("same"), row.get("relation")
    if same is not None and not isinstance(same, bool):
        raise InvalidRequest(f"{place}: same must be true or false.")
    if not isinstance(relation or "", str):
        raise InvalidRequest(f"{place}: relation must be a text.")
    if relation not in _RELATIONS:
        # Missing, or a word of somebody else's files.
        return same, {True: "same", False: "contradict", None: ""}[same]
    if same is None:
        return relation == "same", relation
    if same != (relation == "same"):
        said = "true" if same else "false"
        raise InvalidRequest(
            f"{place}: same is {said} but relation is {relation}; correct one of them."
        )
    return same, relation


def _text_fault(text: str) -> str | None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode (half of a surrogate pair); write it anew"
    if size > TEXT_BYTES_MAX:
        return f"has {size} bytes; nodes compare texts of at most {TEXT_BYTES_MAX}"
    return None


def judge_pairs(judge: Judge, pairs: Iterable[Pair]) -> Iterable[Verdict]:
    """Judge each pair by itself, as two nodes' answers would be."""
    for pair in pairs:
        found = judge.compare(pair.question, [pair.a, pair.b])
        reasons = tuple(reason for _, _, reason in found.contradictions)
        yield Verdict(pair, found.similarity_bp[0], reasons)


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Counts and accepted shares (in percent) by relation, and by category within it."""
    labelled = [verdict for verdict in verdicts if verdict.pair.same is not None]
    found: dict[str, Any] = {"pairs": len(verdicts), "labelled": len(labelled)}
    if not labelled:
        return found
    groups: tuple[tuple[str, Callable[[Verdict], str]], ...] = (
        ("relation", lambda v: v.pair.relation),
        ("relation_language", lambda v: f"{v.pair.relation} {v.pair.language}".strip()),
        ("category", lambda v: f"{v.pair.relation}: {v.pair.category or 'all'}"),
    )
    for name, key in groups:
        keys = sorted({key(verdict) for verdict in labelled})
        found[f"accepted_by_{name}"] = {
            one: _rate([v.same for v in labelled if key(v) == one]) for one in keys
        }
    return found


def _rate(accepted: list[bool]) -> dict[str, float | int]:
    return {
        "pairs": len(accepted),
        "accepted": sum(accepted),
        "percent": round(100 * sum(accepted) / len(accepted), 1),
    }


def verdict_line(verdict: Verdict) -> dict[str, Any]:
    """The JSON form of a verdict."""
    return {
        "id": verdict.pair.id,
        "same": verdict.same,
        "similarity": verdict.similarity_bp,
        "reasons": list(verdict.reasons),
    }


def plain_cosines_bp(embedder: TextEmbedder, pairs: Sequence[Pair]) -> list[int]:
    """Cosines of the bare answers: what the calibrated similarity is compared with."""
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.a, pair.b)))
    row = {text: n for n, text in enumerate(texts)}
    vectors = embedder.embed(texts)
    return [round(float(vectors[row[p.a]] @ vectors[row[p.b]]) * 10_000) for p in pairs]


@dataclass(frozen=True, slots=True)
class Rate:
    """What is accepted as the same of the pairs of a relation; ``group`` is a part of them."""

    relation: str
    group: str
    pairs: int
    cosine_percent: float
    qnode_percent: float


def rates(verdicts: Sequence[Verdict], cosines_bp: Sequence[int]) -> list[Rate]:
    """Accepted shares of the judge beside those of a cosine of at least 0.85."""
    found = []
    for relation, group in product(_RELATIONS, ("", "en", "zh", "scene")):
        at = [
            n
            for n, verdict in enumerate(verdicts)
            if verdict.pair.relation == relation and group in ("", _group(verdict.pair))
        ]
        if at:
            plain = 100 * sum(cosines_bp[n] >= ACCEPTED_BP for n in at) / len(at)
            ours = 100 * sum(verdicts[n].same for n in at) / len(at)
            found.append(Rate(relation, group, len(at), round(plain, 1), round(ours, 1)))
    return found


def table(verdicts: Sequence[Verdict], cosines_bp: Sequence[int]) -> str:
    """The rates as text."""
    lines = [f"{'accepted as the same':<22}{'pairs':>6}{'cosine ≥ 0.85':>16}{'qnode':>9}"]
    for rate in rates(verdicts, cosines_bp):
        name = f"  {rate.group}" if rate.group else rate.relation
        shares = f"{rate.cosine_percent:>14.1f} %{rate.qnode_percent:>7.1f} %"
        lines.append(f"{name:<22}{rate.pairs:>6}{shares}")
    return "\n".join(lines)


def _group(pair: Pair) -> str:
    return "scene" if pair.category == "scene" else pair.language[:2]


def curve(scores: Sequence[int], same: Sequence[bool]) -> list[tuple[float, float]]:
    """Points (wrongly accepted, rightly accepted) as the threshold falls, shares of 0 to 1."""
    wrong, right = same.count(False) or 1, same.count(True) or 1
    points, accepted_wrong, accepted_right = [(0.0, 0.0)], 0, 0
    ordered = sorted(zip(scores, same, strict=True), reverse=True)
    for place, (score, is_same) in enumerate(ordered):
        accepted_right += is_same
        accepted_wrong += not is_same
        if place + 1 == len(ordered) or ordered[place + 1][0] != score:
            points.append((accepted_wrong / wrong, accepted_right / right))
    return points


def roc_svg(verdicts: Sequence[Verdict], cosines_bp: Sequence[int]) -> str:
    """The curves of plain cosine and of the judge, each with its threshold marked, as SVG.

    A pair that a guard rejects is accepted at no threshold, so the judge's curve ends early. Pairs
    that nobody labelled are neither right nor wrong, and left out.
    """
    labelled = [n for n, verdict in enumerate(verdicts) if verdict.pair.same is not None]
    verdicts, cosines_bp = [verdicts[n] for n in labelled], [cosines_bp[n] for n in labelled]
    same = [verdict.pair.same is True for verdict in verdicts]
    ours = [-1 if v.reasons else v.similarity_bp for v in verdicts]
    judged = curve(ours, same)
    cut = [n for n, point in enumerate(judged) if point == (1.0, 1.0)]
    if cut and any(v.reasons for v in verdicts):
        judged = judged[: cut[0]]
    plain = curve(list(cosines_bp), same)
    marks = [
        _share([score >= ACCEPTED_BP for score in scores], same) for scores in (cosines_bp, ours)
    ]
    parts = _axes()
    for points, colour, name, mark, row in (
        (plain, "#b4552d", "cosine", marks[0], 1),
        (judged, "#1f5fa8", "qnode", marks[1], 0),
    ):
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_place, points))
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        x, y = _place(mark)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>')
        height = _TOP + _SIZE - 60 + 24 * row
        parts.append(
            f'<circle cx="{_LEFT + _SIZE - 210}" cy="{height - 4}" r="6" fill="{colour}"/>'
        )
        label = escape(f"{name}: {mark[1]:.0%} right, {mark[0]:.0%} wrong")
        parts.append(f'<text x="{_LEFT + _SIZE - 196}" y="{height}" fill="#1f2430">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


_SIZE, _LEFT, _TOP = 420, 70, 50


def _place(point: tuple[float, float]) -> tuple[float, float]:
    return _LEFT + point[0] * _SIZE, _TOP + (1 - point[1]) * _SIZE


def _axes() -> list[str]:
    """The frame of the plot: title, grid and labels."""
    title = "Same meaning accepted (up) against other meaning accepted (right)"
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _SIZE + 30}" '
            f'height="{_TOP + _SIZE + 60}" font-family="sans-serif" font-size="13">'
        ),
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="28" font-size="14" fill="#1f2430">{title}</text>',
    ]
    bottom, right = _TOP + _SIZE, _LEFT + _SIZE
    for step in range(6):
        x, y = _place((step / 5, step / 5))
        path = f"M{x} {_TOP}V{bottom}M{_LEFT} {y}H{right}"
        parts.append(f'<path d="{path}" stroke="#e3e6ec"/>')
        grey = f'fill="#555b66">{step / 5:.0%}</text>'
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" {grey}')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end" {grey}')
    return parts


def _share(accepted: list[bool], same: list[bool]) -> tuple[float, float]:
    wrong = [a for a, s in zip(accepted, same, strict=True) if not s]
    right = [a for a, s in zip(accepted, same, strict=True) if s]
    return sum(wrong) / max(1, len(wrong)), sum(right) / max(1, len(right))
