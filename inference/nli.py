"""A second opinion by a model that judges entailment; optional.

Two answers mean the same if each follows from the other (bidirectional entailment: Farquhar,
Kossen, Kuhn and Gal, Nature 2024). A cross-encoder reads both answers at once, so it sees what
embeddings and word lists miss; it costs a pass for each direction of each pair, which wants a GPU.

Its verdicts are floats and differ a little between devices, so they never set a flag, which must be
equal on every node. They lower the similarity, which the protocol compares within a tolerance: by
nothing while contradiction is less likely than ``start``, then along a straight line, up to
``depth`` at certainty. The slope bounds what an error of the model can do: with the defaults, one
percent of probability moves the similarity by 60 basis points, well within 200.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.catalog import Progress, download, existing_directory, parse_model_name
from inference.errors import ModelUnavailable
from inference.quiet import quiet_libraries

RECOMMENDED = "MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7"
"""Speaks both languages of the product; MIT licence."""

_CONTRADICTION = "contradiction"
_BATCH_PAIRS = 32


@dataclass(frozen=True, slots=True)
class EntailmentSettings:
    """How to load and weigh a model that judges entailment.

    ``model`` and ``device`` are as in EngineSettings. ``start_bp`` is the probability of
    contradiction, in basis points, from which the similarity is lowered, ``depth_bp`` by how much
    at certainty.
    """

    model: str = RECOMMENDED
    device: str = "auto"
    start_bp: int = 4_000
    depth_bp: int = 3_600


class EntailmentModel:
    """A loaded cross-encoder; safe to use from several threads, one at a time runs."""

    def __init__(self, encoder: Any, settings: EntailmentSettings) -> None:
        """``encoder`` is a CrossEncoder with a label called "contradiction".

        Raises ModelUnavailable if it has none: then it is no model of entailment.
        """
        labels = {
            str(name).lower(): int(number) for number, name in encoder.model.config.id2label.items()
        }
        if _CONTRADICTION not in labels:
            raise ModelUnavailable(
                f"The model {settings.model} has no label “contradiction”, so it does not judge "
                "entailment; name a cross-encoder trained for natural language inference."
            )
        self._encoder = encoder
        self._settings = settings
        self._column = labels[_CONTRADICTION]
        self._turn = threading.Lock()

    def penalties_bp(self, question: str, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """By how much to lower the similarity of each pair, 0 to ``depth_bp``.

        Each answer is read behind the question, in both directions; the more certain of the two
        contradictions counts. The result does not depend on the order within a pair.
        """
        if not pairs:
            return []
        texts = []
        for a, b in pairs:
            first, second = f"{question} {a}".strip(), f"{question} {b}".strip()
            texts += [(first, second), (second, first)]
        with self._turn:
            logits = np.asarray(
                self._encoder.predict(
                    texts, batch_size=_BATCH_PAIRS, show_progress_bar=False, apply_softmax=False
                ),
                dtype=np.float64,
            )
        chance = _softmax(logits)[:, self._column].reshape(-1, 2).max(axis=1)
        return [self._penalty_bp(float(p)) for p in chance]

    def _penalty_bp(self, chance: float) -> int:
        settings = self._settings
        beyond = max(0, round(chance * 10_000) - settings.start_bp)
        return settings.depth_bp * beyond // (10_000 - settings.start_bp)


def load_entailment(
    settings: EntailmentSettings, progress: Progress | None = None
) -> EntailmentModel:
    """Load a cross-encoder in float32; raise ModelUnavailable with the next step."""
    tell = progress or (lambda _line: None)
    with quiet_libraries():
        from sentence_transformers import CrossEncoder

        from inference.backends.sentences import load_sentences_model

        encoder = load_sentences_model(
            CrossEncoder,
            "entailment",
            settings.model,
            _directory(settings.model, tell),
            settings.device,
            tell,
            wanted="a cross-encoder for natural language inference",
        )
    return EntailmentModel(encoder, settings)


def _directory(name: str, progress: Progress) -> Path:
    reference = parse_model_name(name)
    if reference.kind == "packaged":
        raise ModelUnavailable(
            f"No packaged model judges entailment ({name}); name a directory or a model of the hub."
        )
    if reference.kind == "directory":
        return existing_directory(reference.location)
    return download(reference, progress, "do without a model of entailment")


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: npt.NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return found
