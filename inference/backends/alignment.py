"""A network that lays two answers beside each other, token by token.

Decomposable attention (Parikh, Täckström, Das and Uszkoreit, EMNLP 2016) over the vectors that an
embedder gives the tokens of each answer: every token is set against what corresponds to it in the
other answer, the comparisons are pooled, and a small layer decides whether the two say the same,
contradict each other, or neither. An answer is embedded once, however many it is compared with.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

INNER = 96
SAME, CONTRADICTION, OTHER = range(3)

Prepared = tuple[Tensor, Tensor]
"""Of n texts of at most t tokens: two tensors (n, t, INNER), to compare and to attend with."""


class Alignment(nn.Module):
    """Symmetric: it gives the same for (a, b) and (b, a), up to floating-point order."""

    def __init__(self, width: int, inner: int = INNER, dropout: float = 0.0) -> None:
        """``width`` is the embedder's; dropout is for training only."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, inner)
        self.attend = nn.Linear(width, inner)
        self.compare = nn.Sequential(
            nn.Linear(4 * inner, inner), nn.GELU(), nn.Linear(inner, inner), nn.GELU()
        )
        self.decide = nn.Sequential(
            nn.Linear(4 * inner, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, 3)
        )
        self.scale = 2 / math.sqrt(inner)

    def prepare(self, tokens: Tensor) -> Prepared:
        """``tokens``: (n, t, width)."""
        tokens = self.dropout(self.norm(tokens))
        return self.project(tokens), self.attend(tokens)

    def forward(self, a: Prepared, a_mask: Tensor, b: Prepared, b_mask: Tensor) -> Tensor:
        """Logits (pairs, 3) of the pairs (a[n], b[n]); masks (pairs, t) are true for tokens."""
        energy = torch.einsum("nid,njd->nij", a[1], b[1]) * self.scale
        left = self._side(a[0], a_mask, b[0], b_mask, energy)
        right = self._side(b[0], b_mask, a[0], a_mask, energy.transpose(1, 2))
        return cast(Tensor, self.decide(torch.cat([left + right, (left - right).abs()], dim=-1)))

    def _side(
        self, own: Tensor, own_mask: Tensor, other: Tensor, other_mask: Tensor, energy: Tensor
    ) -> Tensor:
        """How each token of one answer compares with the other answer, pooled: (pairs, 2 inner)."""
        weights = energy.masked_fill(~other_mask[:, None, :], -1e4).softmax(dim=-1)
        found = weights @ other
        compared = self.compare(torch.cat([own, found, own - found, own * found], dim=-1))
        mask = own_mask[..., None]
        mean = (compared * mask).sum(dim=1) / mask.sum(dim=1)
        most = compared.masked_fill(~mask, -1e4).amax(dim=1)
        return torch.cat([mean, most], dim=-1)
