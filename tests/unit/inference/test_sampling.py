"""The sampler: the nucleus, the seed, and torch's global generator."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.sampling import SeededNucleus, pick


def _logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities]).log()


@pytest.mark.parametrize(
    ("draw", "token"), [(0.0, 1), (0.49, 1), (0.51, 0), (0.79, 0), (0.81, 3), (0.999999, 3)]
)
def test_a_draw_maps_through_the_cumulative_distribution(draw: float, token: int) -> None:
    """Most probable tokens first, each with its share."""
    logits = _logits(0.3, 0.5, 0.0, 0.2)
    assert pick(logits, torch.tensor([draw])).tolist() == [token]


@given(st.floats(0, 1, exclude_max=True, width=32))
def test_tokens_outside_the_nucleus_are_never_picked(draw: float) -> None:
    """The last 5 % of the probability are cut off, for any draw."""
    logits = _logits(0.6, 0.36, 0.03, 0.01)
    assert pick(logits, torch.tensor([draw])).item() in (0, 1)


def test_rows_do_not_influence_each_other() -> None:
    """A row's tokens depend on its own seed only, alone or in a batch."""
    scores = torch.randn(1, 50, generator=torch.Generator().manual_seed(0))
    alone = SeededNucleus([7], [1.0])
    batch = SeededNucleus([3, 7], [0.5, 1.0])
    for _ in range(20):
        in_batch = batch(torch.empty(2, 0), scores.repeat(2, 1))
        assert torch.equal(alone(torch.empty(1, 0), scores)[0], in_batch[1])


def test_the_global_generator_is_left_alone() -> None:
    """Neither drawn from nor reseeded."""
    before = torch.random.get_rng_state()
    SeededNucleus([1], [1.0])(torch.empty(1, 0), torch.zeros(1, 10))
    assert torch.equal(before, torch.random.get_rng_state())
