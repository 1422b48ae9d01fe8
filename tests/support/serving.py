"""The HTTP port with a stand-in for the node behind it, in a thread beside the test."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import trio

from daemon.config import HttpConfig
from daemon.http.server import HttpServer
from daemon.queries import Query

WAIT_S = 10.0
TOKEN = "ab" * 32


class StubQueries:
    """Answers everything; a test puts functions in place of what should behave otherwise."""

    def __init__(self) -> None:
        self.asked: list[Query] = []
        self.on_ask: Callable[[Query], Any] = lambda _query: {"answer": "Paris"}
        self.on_look_up: Callable[[], Any] = lambda: {"found": True}

    async def ask(self, query: Query) -> Any:
        self.asked.append(query)
        result = self.on_ask(query)
        return await result if hasattr(result, "__await__") else result

    async def begin(self, query: Query) -> Any:
        self.asked.append(query)
        return {"request_id": "ab" * 32, "status": "accepted"}

    def status(self) -> Any:
        return self.on_look_up()

    def models(self) -> Any:
        return self.on_look_up()

    def consensus_record(self, _request_id: bytes) -> Any:
        return self.on_look_up()

    @property
    def governance(self) -> Any:
        return self

    def members(self) -> Any:
        return self.on_look_up()

    def history(self) -> Any:
        return self.on_look_up()

    async def endorse(self, document: dict[str, Any]) -> Any:
        return document

    def certificate_text(self, _request_id: bytes) -> str:
        self.on_look_up()
        return '{"format": "certificate"}\n'


@contextmanager
def serving(queries: StubQueries) -> Iterator[str]:
    """The URL of a running port; it is closed when the block is left."""
    ready: Queue[Any] = Queue()

    async def main() -> None:
        stop = trio.Event()
        async with HttpServer.open(HttpConfig(port=0), queries, TOKEN) as server:  # type: ignore[arg-type]
            ready.put((server.url, trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            ready.put(error)
        else:
            ready.put(None)

    thread = threading.Thread(target=run)
    thread.start()
    started = ready.get(timeout=WAIT_S)
    if isinstance(started, BaseException):
        raise started
    url, token, stop = started
    try:
        yield url
    finally:
        token.run_sync_soon(stop.set)
        thread.join(WAIT_S)
        ended = ready.get(timeout=WAIT_S)
        assert not thread.is_alive()
        if ended is not None:
            raise ended


class Reply:
    """A response, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """The error, which must have the documented form."""
        assert self.headers.get_content_type() == "application/json", self.body[:500]
        error: dict[str, str] = self.json["error"]
        assert set(error) == {"code", "message"}
        assert error["code"].replace("_", "").isalpha()
        assert "\n" not in error["message"]
        assert error["message"].endswith(".")
        return error


def call(
    url: str,
    method: str,
    path: str,
    body: bytes | dict[str, Any] | None = None,
    timeout_s: float = WAIT_S,
    **headers: str,
) -> Reply:
    """One request over a connection of its own. Header names are given with underscores."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout_s)
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=data, headers=named)
        return Reply(connection.getresponse())
    finally:
        connection.close()
