"""Keep third-party progress bars and advice off the operator's terminal.

transformers, huggingface_hub and sentence-transformers write bars and warnings to stderr. A daemon
shows its own one-line progress instead, so every place that imports or calls their loading code
does so inside ``quiet_libraries()``.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    # The tokenizer's own thread pool gains nothing on single prompts, and warns after a fork.
    "TOKENIZERS_PARALLELISM": "false",
    # The GGUF reader uses tqdm directly, past the switches of transformers.
    "TQDM_DISABLE": "1",
}
_NOISY_LOGGERS = ("huggingface_hub", "sentence_transformers", "filelock", "httpx")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the model libraries while loading; an operator's own settings win.

    The environment must be set before their first import, because they read it then, and stays
    set: the libraries read parts of it late. Warning filters are restored on exit.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _NOISY_LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as transformers_logging

        switches: Any = transformers_logging  # its functions carry no annotations
        switches.disable_progress_bar()
        switches.set_verbosity_error()
        yield
