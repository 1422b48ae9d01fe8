"""Model names, cache folders, and whether a model fits; every refusal says what to do."""

import json
from pathlib import Path

import pytest

from inference.catalog import (
    DEFAULT_CPU_MODEL,
    DEFAULT_CUDA_MODEL,
    ModelReference,
    default_cache_dir,
    default_model,
    existing_directory,
    installed_package_dir,
    parse_model_name,
)
from inference.errors import ModelUnavailable
from inference.memory import host_available_bytes, parameter_count, require_fit
from inference.packaged import packaged_embedder, packaged_generator


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("packaged:smollm2-135m-instruct", ("packaged", "smollm2-135m-instruct", None)),
        ("/srv/model", ("directory", "/srv/model", None)),
        ("./model", ("directory", "./model", None)),
        ("~/model", ("directory", "~/model", None)),
        (DEFAULT_CUDA_MODEL, ("hub", DEFAULT_CUDA_MODEL, None)),
        ("owner/name@0123abc", ("hub", "owner/name", "0123abc")),
    ],
)
def test_names(name: str, reference: tuple[str, str, str | None]) -> None:
    """The three kinds of names are told apart by their form alone."""
    found = parse_model_name(name)
    assert (found.kind, found.location, found.revision) == reference
    assert isinstance(found, ModelReference)


@pytest.mark.parametrize(
    "name", ["", "gpt2", "a/b/c", "a b/c", "http://x/y", "owner/na..me", "包/名"]
)
def test_other_names_are_refused_with_the_ways_to_write_one(name: str) -> None:
    """The sentence lists all three forms."""
    with pytest.raises(ModelUnavailable, match=r"packaged:NAME.*directory.*owner/name"):
        parse_model_name(name)


def test_default_models() -> None:
    """A GPU gets the large model, a CPU the packaged one."""
    assert default_model(cuda=True) == DEFAULT_CUDA_MODEL
    assert default_model(cuda=False) == DEFAULT_CPU_MODEL


def test_cache_dir_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own variable wins over the shared one, and that over the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("QNODE_CACHE", raising=False)
    assert default_cache_dir() == tmp_path / ".cache" / "qnode"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache_dir() == Path("/x/qnode")
    monkeypatch.setenv("QNODE_CACHE", "/q")
    assert default_cache_dir() == Path("/q")


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """The operator learns what to install."""
    with pytest.raises(ModelUnavailable, match=r"no-such-package.*install"):
        installed_package_dir("no_such_package", "x")


def test_unknown_packaged_names(tmp_path: Path) -> None:
    """The existing ones are named instead."""
    with pytest.raises(ModelUnavailable, match="packaged:smollm2-135m-instruct"):
        packaged_generator("gpt5", tmp_path, print)
    with pytest.raises(ModelUnavailable, match="packaged:all-minilm-l6-v2"):
        packaged_embedder("gpt5")


def test_a_directory_without_a_model(tmp_path: Path) -> None:
    """An empty or missing directory is refused before anything heavy is imported."""
    with pytest.raises(ModelUnavailable, match=r"config\.json"):
        existing_directory(str(tmp_path / "absent"))


def _safetensors(path: Path, header: object) -> None:
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded)


def test_parameters_are_counted_from_headers(tmp_path: Path) -> None:
    """Over all shards, without the metadata entry."""
    _safetensors(tmp_path / "a.safetensors", {"__metadata__": {}, "w": {"shape": [3, 5]}})
    _safetensors(tmp_path / "b.safetensors", {"v": {"shape": [7]}, "s": {"shape": []}})
    assert parameter_count(tmp_path) == 3 * 5 + 7 + 1


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x05\0\0\0\0\0\0\0{"]
)
def test_damaged_weights_are_named(tmp_path: Path, content: bytes) -> None:
    """A cut or foreign file gives a sentence, not a traceback."""
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"a\.safetensors is damaged"):
        parameter_count(tmp_path)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """Loading a pickle can run code, so such a model is not loaded at all."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelUnavailable, match=r"no \.safetensors"):
        parameter_count(tmp_path)


def test_a_model_that_does_not_fit_is_refused() -> None:
    """With both sizes and a way out; unknown memory passes."""
    with pytest.raises(ModelUnavailable, match=r"needs 14\.2 GiB and 8\.0 GiB are free.*smaller"):
        require_fit("m", 7_500_000_000, 2, 8 << 30)
    require_fit("m", 7_500_000_000, 2, None)
    require_fit("m", 135_000_000, 2, 1 << 30)


def test_available_memory_is_plausible() -> None:
    """On Linux a number is found; elsewhere None is allowed."""
    available = host_available_bytes()
    assert available is None or available > 0
