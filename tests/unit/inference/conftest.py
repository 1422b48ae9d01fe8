"""The packaged models, loaded at most once for all tests of this folder."""

import pytest

from inference.embedding import Embedder, EmbedderSettings, load_embedder
from inference.engine import Engine, EngineSettings, load_engine


@pytest.fixture(scope="session")
def packaged_engine() -> Engine:
    """SmolLM2-135M on the CPU; the conversion stays in the user's cache for the next run."""
    return load_engine(EngineSettings(device="cpu", threads=2))


@pytest.fixture(scope="session")
def packaged_embedder() -> Embedder:
    """all-MiniLM-L6-v2 on the CPU."""
    return load_embedder(EmbedderSettings(threads=2))
