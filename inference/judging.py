"""Put a judge together from the configured models.

The packaged English embedder is taught to read pairs (``reader``); any other one gives cosines. It
gets the packaged multilingual one at its side, because it knows no Chinese; any other embedder
measures everything. The second one takes seconds to load and much memory, and many networks never
need it: it is loaded by the ``Judge.preparation`` of a Chinese
question, which a node does while its model is thinking, or else by the first Chinese answer.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

from inference.catalog import DEFAULT_EMBEDDER, MULTILINGUAL_EMBEDDER, Progress
from inference.embedding import Embedder, EmbedderSettings, Vectors, load_embedder
from inference.equivalence import EntailmentJudge, Gauge, Judge
from inference.nli import EntailmentSettings, load_entailment
from inference.packaged import packaged_embedder
from inference.reader import ADAPTERS, load_reader


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
        return self._ready().embed(texts)

    @property
    def loaded(self) -> bool:
        """Whether it is."""
        return self._loaded is not None

    def load(self) -> None:
        """Load it unless that was done; may raise ModelUnavailable."""
        self._ready()

    def _ready(self) -> Embedder:
        with self._turn:
            if self._loaded is None:
                self._loaded = load_embedder(self._settings, self._progress)
            return self._loaded


def load_judge(
    settings: EmbedderSettings,
    progress: Progress | None = None,
    entailment: EntailmentSettings | None = None,
) -> Judge:
    """Load the embedder and, if configured, the model that judges entailment.

    Raises ModelUnavailable, also if the multilingual embedder that goes with the default one
    cannot be prepared: a node that measures Chinese differently would split the network.
    """
    load = load_reader if settings.model in ADAPTERS else load_embedder
    first: Gauge = load(settings, progress)
    second: LazyEmbedder | None = None
    if settings.model == DEFAULT_EMBEDDER:
        packaged_embedder(MULTILINGUAL_EMBEDDER.removeprefix("packaged:"))
        second = LazyEmbedder(replace(settings, model=MULTILINGUAL_EMBEDDER), progress)
    judge: EntailmentJudge | None = load_entailment(entailment, progress) if entailment else None
    return Judge(first, second, judge)
