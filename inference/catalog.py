"""What a model name means, and where its files are.

A name is one of

- ``packaged:NAME``: a small model that ships inside a Python package and is never downloaded;
- a directory on this machine: an absolute path, or one that starts with ``.`` or ``~``;
- ``owner/name`` or ``owner/name@revision``: a model of the Hugging Face hub. The members of a
  network should pin a revision, so that all of them run the same weights.
"""

import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inference.errors import ModelUnavailable

DEFAULT_CPU_MODEL = "packaged:smollm2-135m-instruct"
DEFAULT_CUDA_MODEL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
DEFAULT_EMBEDDER = "packaged:all-minilm-l6-v2"
MULTILINGUAL_EMBEDDER = "packaged:multilingual-e5-small"

Progress = Callable[[str], None]
"""Receives one short line for the operator whenever something slow begins."""

_PACKAGED_PREFIX = "packaged:"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", re.ASCII)
_WEIGHTS_AND_TEXT = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model name taken apart; ``location`` is a packaged name, a path or ``owner/name``."""

    kind: Literal["packaged", "directory", "hub"]
    location: str
    revision: str | None = None


def default_model(cuda: bool) -> str:
    """The generation model for a machine with or without a CUDA device."""
    return DEFAULT_CUDA_MODEL if cuda else DEFAULT_CPU_MODEL


def default_cache_dir() -> Path:
    """``$QNODE_CACHE``, else ``$XDG_CACHE_HOME/qnode``, else ``~/.cache/qnode``."""
    if chosen := os.environ.get("QNODE_CACHE"):
        return Path(chosen).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "qnode"
    return Path.home() / ".cache" / "qnode"


def parse_model_name(name: str) -> ModelReference:
    """Decide which kind of name this is; raise ModelUnavailable for one that is none of them."""
    if name.startswith(_PACKAGED_PREFIX):
        return ModelReference("packaged", name.removeprefix(_PACKAGED_PREFIX))
    if name.startswith(("/", ".", "~")):
        return ModelReference("directory", name)
    if _HUB_NAME.fullmatch(name) and ".." not in name:
        location, _, revision = name.partition("@")
        return ModelReference("hub", location, revision or None)
    raise ModelUnavailable(
        f"“{name}” is not a model name; write packaged:NAME, a directory such as ./model, "
        "or owner/name[@revision] of the Hugging Face hub."
    )


def installed_package_dir(package: str, wanted_by: str) -> Path:
    """The folder of an installed package, found without importing (its imports are heavy)."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            f"The model {wanted_by} ships in the Python package {package.replace('_', '-')}, "
            "which is not installed; install it with pip (--no-deps), or name another model."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def existing_directory(location: str) -> Path:
    """A model directory named by the operator; raise ModelUnavailable unless it holds a model."""
    path = Path(location).expanduser()
    if not (path / "config.json").is_file():
        raise ModelUnavailable(
            f"The directory {path} does not hold a model (no config.json); check the path."
        )
    return path


def download(
    reference: ModelReference, progress: Progress, instead: str = f"use {DEFAULT_CPU_MODEL}"
) -> Path:
    """Fetch a hub model, or find it in the hub's own cache; return its directory.

    ``instead`` says what can be done without it. Only safetensors weights are fetched: the older
    formats are pickles, which can run code.
    Raises ModelUnavailable with the next step for the operator.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = reference.location
    progress(f"fetching {name} from the Hugging Face hub, or from its cache")
    try:
        found = snapshot_download(
            name, revision=reference.revision, allow_patterns=_WEIGHTS_AND_TEXT
        )
    except GatedRepoError as error:
        raise ModelUnavailable(
            f"The hub gives {name} only to accounts that accepted its terms; accept them on "
            "its page and set HF_TOKEN, or name another model."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelUnavailable(
            f"The hub has no revision {reference.revision} of {name}; check what follows the @."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelUnavailable(
            f"The hub has no model {name}; check the spelling, or set HF_TOKEN if it is private."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise ModelUnavailable(
            f"The model {name} is not on this machine and the hub cannot be reached; connect to "
            f"the internet, copy the model here and give its path, or {instead}."
        ) from error
    return existing_directory(found)
