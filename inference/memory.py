"""Will a model fit? Asked before loading, because the kernel kills what does not."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from inference.errors import ModelUnavailable

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
# Activations, the key-value cache of one request and the allocator's slack.
_WORKING_BYTES = 256 << 20
_SAFETENSORS_HEADER_BYTES_MAX = 100 << 20


def parameter_count(directory: Path) -> int:
    """Parameters in a model's safetensors files, from their headers; nothing is loaded.

    Raises ModelUnavailable if there are no such files or a header is damaged.
    Format: https://github.com/huggingface/safetensors#format
    """
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise ModelUnavailable(
            f"The model in {directory} has no .safetensors weights; older formats can run code "
            "when loaded, so convert it or name another model."
        )
    return sum(sum(map(math.prod, _shapes(path))) for path in files)


def require_fit(
    name: str, parameters: int, bytes_per_parameter: int, available: int | None
) -> None:
    """Raise ModelUnavailable if the weights and some working room exceed ``available`` bytes.

    None for ``available`` means unknown, and passes.
    """
    needed = parameters * bytes_per_parameter + _WORKING_BYTES
    if available is not None and needed > available:
        raise ModelUnavailable(
            f"The model {name} needs {needed / 2**30:.1f} GiB and {available / 2**30:.1f} GiB are "
            "free; free some memory, use a larger machine, or name a smaller model."
        )


def host_available_bytes() -> int | None:
    """Memory that this process could still get: the machine's, or its container's if less."""
    candidates = [found for found in (_machine_bytes(), _container_bytes()) if found is not None]
    return min(candidates, default=None)


def _machine_bytes() -> int | None:
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass  # not Linux
    return None


def _container_bytes() -> int | None:
    """What the control group (version 2) leaves, counting file cache as free."""
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        statistics = (_CGROUP / "memory.stat").read_text(encoding="ascii").split()
        file_cache = int(statistics[statistics.index("inactive_file") + 1])
    except (OSError, ValueError, IndexError):
        return None  # no limit ("max"), another layout, or not Linux
    return limit - used + file_cache


def _shapes(path: Path) -> Iterator[list[int]]:
    try:
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            # A damaged length reads as a header cut short, which is not JSON.
            header = json.loads(file.read(min(header_bytes, _SAFETENSORS_HEADER_BYTES_MAX)))
        yield from (entry["shape"] for name, entry in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(
            f"The weights file {path} is damaged or incomplete; delete it and fetch it again."
        ) from error
