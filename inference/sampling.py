"""Seeded nucleus sampling that leaves torch's global random generator alone.

transformers draws tokens from the global generator, so two threads, or anything else in the
process that draws, would change each other's text. Here the draw is a logits processor: it picks
the token itself, with a generator of its own for each row, and hands greedy decoding a row in
which only that token is possible. It also prepares batching: a row's text depends on its own seed
only.
"""

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

TOP_P = 0.95
# Sorting a vocabulary of 150,000 for every token is slow on a CPU. The nucleus practically always
# lies in the first few dozens; where it does not, the tail beyond 256 is better left out anyway.
_CANDIDATES = 256


class SeededNucleus(LogitsProcessor):
    """Top-p sampling at one temperature for each row, reproducible from each row's seed."""

    def __init__(self, seeds: Sequence[int], temperatures: Sequence[float]) -> None:
        """``seeds`` and ``temperatures`` (above 0) have one entry for each row of the batch."""
        self._generators = [torch.Generator(device="cpu").manual_seed(seed) for seed in seeds]
        self._temperatures = temperatures

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Pick a token for each row of ``scores`` (rows, vocabulary); all others become -inf."""
        temperatures = torch.tensor(self._temperatures, device=scores.device).unsqueeze(1)
        # The generators live on the CPU whatever the device, so that a seed means one sequence of
        # draws everywhere: one number in [0, 1) for each row and token.
        draws = torch.cat([torch.rand(1, generator=row) for row in self._generators])
        picked = pick(scores.float() / temperatures, draws.to(scores.device))
        return torch.full_like(scores, -torch.inf).scatter_(1, picked.unsqueeze(1), 0.0)


def pick(logits: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Choose one token for each row: shape (rows,), int64.

    ``logits`` is (rows, vocabulary) float32, ``draws`` is (rows,) in [0, 1). The nucleus is the
    smallest set of most probable tokens whose probabilities reach ``TOP_P`` (Holtzman et al.
    2020, §3.1); the draw is mapped through its cumulative distribution.
    """
    probabilities = torch.softmax(logits, dim=-1)
    top, tokens = torch.topk(probabilities, min(_CANDIDATES, logits.shape[-1]), dim=-1)
    cumulative = top.cumsum(dim=-1)
    # A token belongs to the nucleus if the ones before it do not reach TOP_P yet.
    nucleus = torch.where(cumulative - top < TOP_P, top, 0.0)
    mass = nucleus.cumsum(dim=-1)
    target = draws.unsqueeze(1) * mass[:, -1:]
    # Rounding can put the target on the last boundary, so stay inside the nucleus.
    last = (nucleus > 0).sum(dim=-1, keepdim=True) - 1
    index = torch.minimum((mass <= target).sum(dim=-1, keepdim=True), last)
    return tokens.gather(1, index).squeeze(1)
