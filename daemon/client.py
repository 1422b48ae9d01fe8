"""A small client of the node's HTTP port, for the command line and the demonstration."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from daemon.errors import NodeUnreachable, QnodeError, UsageError

POLL_S = 0.15
_RESPONSE_BYTES_MAX = 64 * 1024 * 1024


class Client:
    """One node at `url`. Errors of the node are raised as `QnodeError` with its sentence."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def get(self, path: str) -> dict[str, Any]:
        return self._object(self._fetch(path))

    def get_text(self, path: str) -> str:
        return self._fetch(path)

    def post(self, path: str, document: dict[str, Any], **headers: str) -> dict[str, Any]:
        return self._object(self._fetch(path, json.dumps(document).encode(), headers))

    def _object(self, text: str) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._no_node()
        return document

    def _no_node(self) -> NodeUnreachable:
        return NodeUnreachable(
            f"What answers at {self.url} is no qnode; name the node's address with --node."
        )

    def ask(
        self, query: dict[str, Any], progress: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """The decision on a question; `progress` sees the record grow while the nodes think."""
        if query.get("mode") == "single":
            return self.post("/api/ai/query", query)
        accepted = self.post("/api/ai/query", query, Prefer="respond-async")
        if "request_id" not in accepted:
            raise self._no_node()
        while True:
            record = self.get(f"/api/consensus/{accepted['request_id']}")
            progress(record)
            if record.get("status") != "deciding":
                return record
            time.sleep(POLL_S)

    def _fetch(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> str:
        try:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
                raise ValueError(self.url)
            parts.hostname.encode("idna")
            request = urllib.request.Request(  # noqa: S310 - the scheme was checked
                self.url + path, data=body, headers=headers or {}
            )
        except ValueError:
            raise UsageError(
                f"{self.url!r} is no address of a node; write it as http://127.0.0.1:8080."
            ) from None
        # No proxy: a node listens on loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self._timeout_s) as response:
                return str(response.read(_RESPONSE_BYTES_MAX).decode())
        except urllib.error.HTTPError as error:
            sentence = _sentence(error)
            if 400 <= error.code < 500:
                raise UsageError(sentence) from None
            raise QnodeError(sentence) from None
        except UnicodeDecodeError:
            raise self._no_node() from None
        except (OSError, ValueError, http.client.HTTPException):
            raise NodeUnreachable(
                f"No node answers at {self.url}; start it with `qnode run`, or name another one "
                "with --node."
            ) from None


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        message = json.loads(error.read(65_536))["error"]["message"]
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        message = f"The node answered with HTTP status {error.code}."
    return str(message)
