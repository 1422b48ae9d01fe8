"""A small client of the node's HTTP port, for the command line and the demonstration."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from daemon.errors import NodeUnreachable, QnodeError

POLL_S = 0.15
_RESPONSE_BYTES_MAX = 64 * 1024 * 1024


class Client:
    """One node at `url`. Errors of the node are raised as `QnodeError` with its sentence."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def get(self, path: str) -> Any:
        return json.loads(self._fetch(path))

    def get_text(self, path: str) -> str:
        return self._fetch(path)

    def post(self, path: str, document: dict[str, Any], **headers: str) -> Any:
        return json.loads(self._fetch(path, json.dumps(document).encode(), headers))

    def ask(
        self, query: dict[str, Any], progress: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """The decision on a question; `progress` sees the record grow while the nodes think."""
        if query.get("mode") == "single":
            answer: dict[str, Any] = self.post("/api/ai/query", query)
            return answer
        accepted = self.post("/api/ai/query", query, Prefer="respond-async")
        while True:
            record: dict[str, Any] = self.get(f"/api/consensus/{accepted['request_id']}")
            progress(record)
            if record["status"] != "deciding":
                return record
            time.sleep(POLL_S)

    def _fetch(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> str:
        if not self.url.startswith(("http://", "https://")):
            raise QnodeError(f"{self.url} is not an http address of a node.")
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self.url + path, data=body, headers=headers or {}
        )
        # No proxy: a node listens on loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self._timeout_s) as response:
                data: bytes = response.read(_RESPONSE_BYTES_MAX)
        except urllib.error.HTTPError as error:
            raise QnodeError(_sentence(error)) from None
        except (OSError, http.client.HTTPException):
            raise NodeUnreachable(
                f"No node answers at {self.url}; start it with `qnode run`, or name another one "
                "with --node."
            ) from None
        return data.decode()


def _sentence(error: urllib.error.HTTPError) -> str:
    try:
        message = json.loads(error.read(65_536))["error"]["message"]
    except (ValueError, KeyError, TypeError, OSError):
        message = f"The node answered with HTTP status {error.code}."
    return str(message)
