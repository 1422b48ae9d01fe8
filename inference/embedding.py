"""Texts to unit vectors, with sentence-transformers."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.catalog import (
    DEFAULT_EMBEDDER,
    Progress,
    download,
    existing_directory,
    parse_model_name,
)
from inference.packaged import packaged_embedder
from inference.quiet import quiet_libraries

Vectors = npt.NDArray[np.float32]

_BATCH_WINDOWS = 32


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """How to load an embedding model; fields as in EngineSettings.

    The default device is the CPU: sixteen answers take a tenth of a second there, and the nodes of
    a network compare their similarities, which agree best on the same kind of device.
    """

    model: str = DEFAULT_EMBEDDER
    device: str = "cpu"
    threads: int | None = None


class Embedder:
    """A loaded embedding model; safe to use from several threads, one at a time runs."""

    def __init__(self, name: str, encoder: Any, threads: int | None) -> None:
        """``encoder`` is a SentenceTransformer; use ``load_embedder``."""
        self.model = name
        self._encoder = encoder
        self._threads = threads
        self._turn = threading.Lock()
        # Two places are taken by the tokens that mark beginning and end.
        self._window_tokens = max(8, int(encoder.max_seq_length or 512) - 2)

    @property
    def encoder(self) -> Any:
        """The SentenceTransformer."""
        return self._encoder

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: shape (len(texts), dim), float32, rows of length 1.

        A row depends on its text and, through floating-point order, on the batch: measured
        differences of a cosine stay below 1 basis point. The model reads 256 tokens at a time; a
        longer text is cut into windows and gets the mean of their vectors, weighted by their
        length, so that no part of an answer is ignored.
        """
        windows: list[str] = []
        owners: list[int] = []
        weights: list[int] = []
        for row, text in enumerate(texts):
            for window, tokens in self.windows(text):
                windows.append(window)
                owners.append(row)
                weights.append(tokens)
        with self._turn:
            vectors = self._encode(windows)
        sums = np.zeros((len(texts), vectors.shape[1]), dtype=np.float64)
        weighted = vectors.astype(np.float64) * np.asarray(weights, dtype=np.float64)[:, None]
        np.add.at(sums, np.asarray(owners, dtype=np.intp), weighted)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        unit: Vectors = (sums / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit

    def windows(self, text: str) -> list[tuple[str, int]]:
        """Pieces of the text that the model reads whole, with their lengths in tokens."""
        encoded = self._encoder.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        offsets: list[tuple[int, int]] = encoded["offset_mapping"]
        if len(offsets) <= self._window_tokens:
            return [(text, max(1, len(offsets)))]
        pieces = []
        for first in range(0, len(offsets), self._window_tokens):
            piece = offsets[first : first + self._window_tokens]
            pieces.append((text[piece[0][0] : piece[-1][1]], len(piece)))
        return pieces

    def _encode(self, windows: list[str]) -> Vectors:
        if not windows:
            dim = int(self._encoder.get_embedding_dimension())
            return np.zeros((0, dim), dtype=np.float32)
        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)  # kept per calling thread
        vectors: Vectors = self._encoder.encode(
            windows,
            batch_size=_BATCH_WINDOWS,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return vectors


def load_embedder(settings: EmbedderSettings, progress: Progress | None = None) -> Embedder:
    """Load an embedding model, in float32; raise ModelUnavailable with the next step."""
    tell = progress or (lambda _line: None)
    with quiet_libraries():
        from sentence_transformers import SentenceTransformer

        from inference.backends.sentences import load_sentences_model

        encoder = load_sentences_model(
            SentenceTransformer,
            "embedding",
            settings.model,
            _directory(settings.model, tell),
            settings.device,
            tell,
            wanted="one made for sentence-transformers",
        )
    if settings.threads is not None:
        import torch

        torch.set_num_threads(settings.threads)
    return Embedder(settings.model, encoder, settings.threads)


def _directory(name: str, progress: Progress) -> Path:
    reference = parse_model_name(name)
    if reference.kind == "packaged":
        return packaged_embedder(reference.location)
    if reference.kind == "directory":
        return existing_directory(reference.location)
    return download(reference, progress, f"use {DEFAULT_EMBEDDER}")
