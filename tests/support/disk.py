"""A disk that fails when a test says so, below the functions of `os` that the storage uses."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

Broken = Callable[..., int]


@contextmanager
def full_after(bytes_left: int) -> Iterator[None]:
    """`os.write` takes that many bytes more, a short write at the end, then ENOSPC."""
    real = os.write
    left = bytes_left

    def write(descriptor: int, data: bytes) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, data[:left])
        left -= written
        return written

    with patch.object(os, "write", write):
        yield


@contextmanager
def failing(name: str, number: int = errno.EIO) -> Iterator[None]:
    """The function `name` of `os` raises the error."""

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with patch.object(os, name, fail):
        yield
