"""Load a causal language model with transformers, whatever kind of name it has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from inference.catalog import (
    Progress,
    default_model,
    download,
    existing_directory,
    parse_model_name,
)
from inference.engine import EngineSettings
from inference.errors import ModelUnavailable
from inference.memory import host_available_bytes, parameter_count, require_fit
from inference.packaged import packaged_generator
from inference.quiet import quiet_libraries

_DTYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to generate. ``model`` and ``tokenizer`` are transformers objects."""

    name: str
    device: torch.device
    model: Any
    tokenizer: Any
    context_tokens: int


def load_model(settings: EngineSettings, progress: Progress) -> LoadedModel:
    """Find, check and load the model; raise ModelUnavailable with the next step."""
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.dtype, device)
    name = settings.model or default_model(device.type == "cuda")
    directory = model_directory(name, settings.cache_dir, progress)
    require_fit(name, parameter_count(directory), dtype.itemsize, available_bytes(device))
    progress(f"loading {name} on {device}")
    try:
        model, tokenizer = _from_directory(directory, dtype, device)
    except torch.OutOfMemoryError as error:
        raise ModelUnavailable(
            f"The model {name} does not fit the memory of {device}; name a smaller model, or free "
            "the device."
        ) from error
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelUnavailable(
            f"The model {name} in {directory} could not be loaded ({reason}); it may be incomplete "
            "or of a kind that the installed transformers does not know."
        ) from error
    published = getattr(model.config, "max_position_embeddings", None)
    context = min(settings.max_context_tokens, published or settings.max_context_tokens)
    return LoadedModel(name, device, model, tokenizer, context)


def model_directory(name: str, cache_dir: Path, progress: Progress) -> Path:
    """The files of a language model; ``packaged:`` names never touch the network."""
    reference = parse_model_name(name)
    if reference.kind == "packaged":
        return packaged_generator(reference.location, cache_dir, progress)
    if reference.kind == "directory":
        return existing_directory(reference.location)
    with quiet_libraries():
        return download(reference, progress)


def choose_device(wanted: str) -> torch.device:
    """``auto`` prefers CUDA; raise ModelUnavailable for a device that is not there."""
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ModelUnavailable(
            f"“{wanted}” is not a device; write auto, cpu, cuda or cuda:1."
        ) from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ModelUnavailable(
                "This machine has no usable CUDA device; check the driver, or set the device to "
                "auto or cpu."
            )
        index = device.index or 0
        if index >= torch.cuda.device_count():
            raise ModelUnavailable(
                f"There is no device cuda:{index}; this machine has {torch.cuda.device_count()}."
            )
        return torch.device("cuda", index)
    return device


def choose_dtype(wanted: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16, and float16 on the older CUDA devices that lack it.

    On a CPU, bfloat16 halves the memory traffic that bounds generation (measured on two cores
    with the packaged model: 19 tokens/s, against 13 in float32).
    """
    if wanted != "auto":
        return _DTYPES[wanted]
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16


def available_bytes(device: torch.device) -> int | None:
    """Free memory of the device in bytes; None if it cannot be told."""
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        return free
    return host_available_bytes() if device.type == "cpu" else None


def _from_directory(directory: Path, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    with quiet_libraries():
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            # Straight to the GPU: a large model need not fit the host's memory first.
            device_map={"": device} if device.type == "cuda" else None,
        )
    model.to(device).eval()
    published = model.generation_config
    configuration: Any = GenerationConfig  # its constructor carries no annotations
    # Keep what the authors tuned; drop their sampling defaults, which a request decides.
    model.generation_config = configuration(
        bos_token_id=published.bos_token_id,
        eos_token_id=_end_tokens(published.eos_token_id, tokenizer.eos_token_id),
        pad_token_id=_first(published.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id),
        repetition_penalty=published.repetition_penalty,
    )
    return model, tokenizer


def _end_tokens(published: int | list[int] | None, tokenizer_end: int | None) -> list[int]:
    """Every token that ends an answer; the two sources of one model sometimes differ."""
    listed = published if isinstance(published, list) else [published]
    return sorted({token for token in (*listed, tokenizer_end) if token is not None})


def _first(*candidates: int | None) -> int | None:
    return next((candidate for candidate in candidates if candidate is not None), None)
