"""The error of the HTTP port."""

from typing import Any


class QueryError(Exception):
    """The query has no answer. `status` is the HTTP status, `code` a constant word, `str()` a
    sentence with a next step."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details
