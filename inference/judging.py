"""Put a judge together from the configured models.

The two packaged embedders are taught to read pairs (``reader``): the default one English, and at
its side the multilingual one Chinese, which the first does not know. Any other embedder gives
cosines for everything. The second reader takes seconds to load and much memory, and many networks
never need it: it is loaded by the ``Judge.preparation`` of a Chinese question, which a node does
while its model is thinking, or else by the first Chinese answer.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

from inference.analysis import Analysis
from inference.calibration import Likeness
from inference.catalog import DEFAULT_EMBEDDER, MULTILINGUAL_EMBEDDER, Progress
from inference.embedding import EmbedderSettings, load_embedder
from inference.equivalence import EntailmentJudge, Judge
from inference.nli import EntailmentSettings, load_entailment
from inference.packaged import packaged_embedder
from inference.reader import Reader, load_reader


class LazyReader:
    """A reader that is loaded when it is first used; safe to use from several threads."""

    def __init__(self, settings: EmbedderSettings, progress: Progress | None = None) -> None:
        self.model = settings.model
        self._settings = settings
        self._progress = progress
        self._turn = threading.Lock()
        self._loaded: Reader | None = None

    def likeness(
        self, asked: str, analyses: Sequence[Analysis], pairs: Sequence[tuple[int, int]]
    ) -> list[Likeness]:
        """See ``Reader.likeness``; the first call may also raise ModelUnavailable."""
        return self._ready().likeness(asked, analyses, pairs)

    @property
    def loaded(self) -> bool:
        """Whether it is."""
        return self._loaded is not None

    def load(self) -> None:
        """Load it unless that was done; may raise ModelUnavailable."""
        self._ready()

    def _ready(self) -> Reader:
        with self._turn:
            if self._loaded is None:
                self._loaded = load_reader(self._settings, self._progress)
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
    judge: EntailmentJudge | None = load_entailment(entailment, progress) if entailment else None
    if settings.model != DEFAULT_EMBEDDER:
        return Judge(load_embedder(settings, progress), None, judge)
    packaged_embedder(MULTILINGUAL_EMBEDDER.removeprefix("packaged:"))
    chinese = LazyReader(replace(settings, model=MULTILINGUAL_EMBEDDER), progress)
    return Judge(load_reader(settings, progress), chinese, judge)
