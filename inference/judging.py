"""Put a judge together from the configured models.

The packaged English embedder gets the packaged multilingual one at its side, because it knows no
Chinese; any other embedder measures everything.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

from inference.catalog import DEFAULT_EMBEDDER, MULTILINGUAL_EMBEDDER, Progress
from inference.embedding import Embedder, EmbedderSettings, Vectors, load_embedder
from inference.equivalence import EntailmentJudge, Judge
from inference.nli import EntailmentSettings, load_entailment
from inference.packaged import packaged_embedder


class LazyEmbedder:
    """An embedder that is loaded when it is first used; safe to use from several threads."""

    def __init__(self, settings: EmbedderSettings, progress: Progress | None = None) -> None:
        self.model = settings.model
        self._settings = settings
        self._progress = progress
        self._turn = threading.Lock()
        self._loaded: Embedder | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder.embed``; the first call may also raise ModelUnavailable."""
        return self.load().embed(texts)

    def load(self) -> Embedder:
        """Load it if that was not done yet; may raise ModelUnavailable."""
        with self._turn:
            if self._loaded is None:
                self._loaded = load_embedder(self._settings, self._progress)
            return self._loaded


def load_judge(
    settings: EmbedderSettings,
    progress: Progress | None = None,
    entailment: EntailmentSettings | None = None,
    *,
    lazily: bool = False,
) -> Judge:
    """Load the embedder and, if configured, the model that judges entailment.

    ``lazily``: the second embedder only when the first pair with Chinese comes. A node must not:
    loading takes seconds, in which the others would take it for dead.

    Raises ModelUnavailable, also if the multilingual embedder that goes with the default one
    cannot be prepared: a node that measures Chinese differently would split the network.
    """
    embedder = load_embedder(settings, progress)
    second: LazyEmbedder | None = None
    if settings.model == DEFAULT_EMBEDDER:
        packaged_embedder(MULTILINGUAL_EMBEDDER.removeprefix("packaged:"))
        second = LazyEmbedder(replace(settings, model=MULTILINGUAL_EMBEDDER), progress)
        if not lazily:
            second.load()
    judge: EntailmentJudge | None = load_entailment(entailment, progress) if entailment else None
    return Judge(embedder, second, judge)
