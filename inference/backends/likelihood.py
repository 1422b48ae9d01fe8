"""How likely a model is to go on with each of some choices, without having it write one."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from inference.backends.loading import LoadedModel
from inference.errors import GenerationCancelled, GenerationFailed

_ROWS_MAX = 16
"""Choices that go through the model together."""


def log_likelihoods(
    loaded: LoadedModel,
    prompt: torch.Tensor,
    choices: Sequence[str],
    cancelled: Callable[[], bool],
) -> tuple[float, ...]:
    """Natural logarithm of the probability that the model, after ``prompt`` ((1, n) token ids),
    writes each choice and then ends its answer.

    The end is part of it, so that a choice which begins another ("no", "not sure") is not
    favoured, and no correction for length is needed. ``cancelled`` is called between groups of
    choices. Raises GenerationCancelled, GenerationFailed.
    """
    end = loaded.model.generation_config.eos_token_id[0]
    rows = [
        [*loaded.tokenizer(choice, add_special_tokens=False)["input_ids"], end]
        for choice in choices
    ]
    found: list[float] = []
    try:
        with torch.inference_mode():
            # The prompt goes through the model once, the choices go on from there.
            begun = loaded.model(prompt, use_cache=True, logits_to_keep=1)
            for start in range(0, len(rows), _ROWS_MAX):
                if cancelled():
                    raise GenerationCancelled("The request was cancelled while the model chose.")
                found += _score(loaded, begun, rows[start : start + _ROWS_MAX])
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise GenerationFailed(
            f"{loaded.device} ran out of memory during a choice; lower max_context_tokens."
        ) from error
    return tuple(found)


def _score(loaded: LoadedModel, begun: Any, rows: list[list[int]]) -> list[float]:
    """One pass over several continuations of the prompt; shorter ones are filled up behind their
    end, where a causal model's earlier positions don't look."""
    longest = max(map(len, rows))
    filled = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows])
    tokens = filled.to(loaded.device)
    cache = copy.deepcopy(begun.past_key_values)  # the pass adds to it
    cache.batch_repeat_interleave(len(rows))
    later = loaded.model(tokens[:, :-1], past_key_values=cache, use_cache=True).logits
    logits = torch.cat([begun.logits.expand(len(rows), -1, -1), later], dim=1)
    steps = logits.float().log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return [float(row_steps[: len(row)].sum()) for row, row_steps in zip(rows, steps, strict=True)]
