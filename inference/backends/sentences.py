"""Load a model of sentence-transformers from a directory."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from inference.backends.loading import choose_device
from inference.catalog import Progress
from inference.errors import ModelUnavailable


def load_sentences_model(
    kind: type, role: str, name: str, directory: Path, device: str, tell: Progress, wanted: str
) -> Any:
    """A `kind` (SentenceTransformer or CrossEncoder) in float32, without code from the model.

    ``role`` and ``wanted`` are words for ModelUnavailable: what the model is for, and what to name
    instead.
    """
    chosen = choose_device(device)
    tell(f"loading {name} on {chosen}")
    try:
        return kind(
            str(directory),
            device=str(chosen),
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": "float32"},
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelUnavailable(
            f"The {role} model {name} in {directory} could not be loaded ({reason}); name {wanted}."
        ) from error
