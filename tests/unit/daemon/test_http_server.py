"""The HTTP port: every answer is JSON, every bad input a 4xx with a sentence."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio

from daemon.config import HttpConfig
from daemon.ending import _leaves
from daemon.errors import AlreadyRunning, StorageFailed, UsageError
from daemon.http.requests import BODY_BYTES_MAX
from daemon.http.server import HttpServer
from daemon.queries import Query, QueryError
from tests.support.serving import TOKEN, WAIT_S, StubQueries, call, serving

ID = "ab" * 32
QUESTION = {"question": "Capital of France?"}


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[StubQueries, str]]:
    queries = StubQueries()
    with serving(queries) as url:
        yield queries, url


@pytest.fixture
def queries(running: tuple[StubQueries, str]) -> StubQueries:
    """As new for each test."""
    running[0].__init__()  # type: ignore[misc]
    return running[0]


@pytest.fixture
def url(running: tuple[StubQueries, str], queries: StubQueries) -> str:
    return running[1]


def test_a_question_is_answered(queries: StubQueries, url: str) -> None:
    """The record comes as JSON with status 200."""
    reply = call(url, "POST", "/api/ai/query", {**QUESTION, "max_tokens": 7})
    assert (reply.status, reply.json) == (200, {"answer": "Paris"})
    assert queries.asked == [Query("Capital of France?", max_tokens=7)]


def test_a_question_that_does_not_wait(url: str) -> None:
    """`Prefer: respond-async` is 202 with the place to look at; single mode answers at once."""
    reply = call(url, "POST", "/api/ai/query", QUESTION, Prefer="respond-async")
    assert reply.status == 202
    assert reply.json == {"request_id": ID, "status": "accepted"}
    assert reply.headers["Location"] == f"/api/consensus/{ID}"
    single = {**QUESTION, "mode": "single"}
    assert call(url, "POST", "/api/ai/query", single, Prefer="respond-async").status == 200


@pytest.mark.parametrize(
    "path",
    ["/api/ai/status", "/api/ai/models", f"/api/consensus/{ID}", f"/api/certificates/{ID}"],
)
def test_what_can_be_looked_up(url: str, path: str) -> None:
    """Each is JSON."""
    reply = call(url, "GET", path)
    assert reply.status == 200
    assert reply.headers.get_content_type() == "application/json"
    assert reply.json


def test_a_certificate_is_sent_as_it_is(url: str) -> None:
    """Its text is canonical: not one byte may be added on the way."""
    assert call(url, "GET", f"/api/certificates/{ID}").body == b'{"format": "certificate"}\n'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b"[]", 400, "bad_request"),
        (b"{}", 400, "bad_request"),
        (b'{"question": ""}', 400, "bad_request"),
        (b'{"question": "a", "question": "b"}', 400, "bad_request"),
        (b'{"question": "a", "timeout_s": NaN}', 400, "bad_request"),
        (b'{"question": "\\ud800"}', 400, "bad_request"),
        (b"[" * 100_000, 400, "bad_request"),
        (b'{"question": "a", "mode": "x"}', 400, "bad_request"),
        (b'{"question": "a", "max_tokens": "many"}', 400, "bad_request"),
        (b'{"question": "a", "unknown": 1}', 400, "bad_request"),
        (json.dumps({"question": "a" * 20_000}).encode(), 413, "question_too_long"),
        (json.dumps({"question": "a" * 1_000_000}).encode(), 413, "body_too_large"),
        (b" " * (BODY_BYTES_MAX + 1), 413, "body_too_large"),
    ],
)
def test_bad_questions(queries: StubQueries, url: str, body: bytes, status: int, code: str) -> None:
    """None of them reaches the node."""
    reply = call(url, "POST", "/api/ai/query", body)
    assert (reply.status, reply.error["code"]) == (status, code)
    assert queries.asked == []


def test_an_endless_body_is_cut_off(url: str) -> None:
    """Without a length given beforehand, too."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=WAIT_S) as connection:
        head = f"POST /api/ai/query HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
        answer = b""
        try:
            for _ in range(64):
                connection.sendall(chunk)
            answer = connection.recv(65_536)
        except OSError:
            answer = answer or connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in answer


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/ai/query/", "/api/ai/x", "/api/consensus", "/%ff", "/%00", "//", "/%C3%A9"],
)
def test_unknown_paths(url: str, path: str) -> None:
    """404, whatever they are made of."""
    reply = call(url, "GET", path)
    assert reply.status == 404
    assert reply.error["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/ai/query", "POST"),
        ("DELETE", "/api/ai/query", "POST"),
        ("POST", "/api/ai/status", "GET"),
        ("PUT", f"/api/certificates/{ID}", "GET"),
    ],
)
def test_wrong_methods(url: str, method: str, path: str, allowed: str) -> None:
    """405 with the method to use, also in the header that the standard asks for."""
    reply = call(url, method, path)
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert allowed in reply.error["message"]
    assert allowed in (reply.headers["Allow"] or "")


@pytest.mark.parametrize("place", ["consensus", "certificates"])
@pytest.mark.parametrize("name", ["x", "0" * 63, "AB" * 32, "%20", ID + "0", "..%2F"])
def test_what_is_no_request_id(url: str, place: str, name: str) -> None:
    """400 or 404, in a sentence."""
    reply = call(url, "GET", f"/api/{place}/{name}")
    assert reply.status in (400, 404)
    assert reply.error


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.0.2.1", "localhost."]
)
def test_foreign_names_of_this_port(queries: StubQueries, url: str, host: str) -> None:
    """A page whose name was made to resolve to this machine gets nothing (DNS rebinding)."""
    reply = call(url, "POST", "/api/ai/query", QUESTION, Host=host)
    assert (reply.status, reply.error["code"]) == (403, "foreign_host")
    assert queries.asked == []


@pytest.mark.parametrize("host", ["[::", "127.0.0.1:99999", "127.0.0.1:x", "a b", "", "[]", "%"])
def test_hosts_that_are_no_hosts(queries: StubQueries, url: str, host: str) -> None:
    """A header that cannot be parsed is the client's fault, not an internal error."""
    reply = call(url, "POST", "/api/ai/query", QUESTION, Host=host)
    assert 400 <= reply.status < 500
    assert reply.error
    assert queries.asked == []


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://evil.example", "file://"]
)
def test_forms_of_foreign_pages(queries: StubQueries, url: str, origin: str) -> None:
    """A browser sends the page's origin along; only this port's own is taken."""
    reply = call(url, "POST", "/api/ai/query", QUESTION, Origin=origin)
    assert (reply.status, reply.error["code"]) == (403, "foreign_host")
    assert queries.asked == []


def test_the_ports_own_names(url: str) -> None:
    """Loopback by any of its names, and pages served from it."""
    port = urlsplit(url).port
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "LOCALHOST"):
        assert call(url, "GET", "/api/ai/status", Host=host).status == 200
    assert call(url, "GET", "/api/ai/status", Origin=url).status == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (QueryError(503, "no_quorum", "Too few."), 503, "no_quorum"),
        (QueryError(429, "rejected", "Too many."), 429, "rejected"),
        (StorageFailed("The ledger cannot be used."), 500, "storage"),
        (ValueError("a bug"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("path", ["/api/ai/query", "/api/ai/status", f"/api/certificates/{ID}"])
def test_what_the_node_cannot_answer(
    queries: StubQueries, url: str, path: str, error: Exception, status: int, code: str
) -> None:
    """Refusals, a broken disk and even a bug have the form of an error, without a traceback."""

    def fail(*_: Any) -> Any:
        raise error

    queries.on_ask = queries.on_look_up = fail
    post = path.endswith("query")
    reply = call(url, "POST" if post else "GET", path, QUESTION if post else None)
    assert reply.error
    assert b"Traceback" not in reply.body
    if isinstance(error, QueryError):
        assert (reply.status, reply.error["code"]) == (status, code)
    else:
        assert reply.status in (status, 503)


def test_details_stand_beside_the_error(queries: StubQueries, url: str) -> None:
    """A question that takes too long says under which id it goes on."""

    def slow(_: Query) -> Any:
        raise QueryError(504, "still_deciding", "Not yet.", request_id=ID)

    queries.on_ask = slow
    reply = call(url, "POST", "/api/ai/query", QUESTION)
    assert reply.status == 504
    assert reply.json["request_id"] == ID
    assert reply.error["code"] == "still_deciding"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/ai/status HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /api/ai/status HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/ai/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["header", "line", "version", "path", "length", "both", "tls"],
)
def test_what_is_not_http(url: str, head: bytes) -> None:
    """Refused by the parser with a 400 in plain text, and the port goes on."""
    answer = exchange(url, head)
    assert call(url, "GET", "/api/ai/status").status == 200
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")) or not answer
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"Content-Encoding: nonsense\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["gzip", "nonsense"],
)
def test_headers_that_promise_what_is_not_kept(url: str, head: bytes) -> None:
    """A 4xx in the form of an error."""
    start = b"POST /api/ai/query HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = exchange(url, start + head)
    assert answer.startswith(b"HTTP/1.1 4")
    text = answer.partition(b"\r\n\r\n")[2]
    assert set(json.loads(text)["error"]) == {"code", "message"}


def exchange(url: str, data: bytes) -> bytes:
    """Everything that comes back until the port closes the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=WAIT_S) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while received := connection.recv(65_536):
                answer += received
        except ConnectionResetError:
            pass
    return answer


def test_a_client_that_hangs_up_stops_its_question(queries: StubQueries, url: str) -> None:
    """The model does not go on for nobody."""
    began: list[bool] = []
    cancelled: list[bool] = []

    async def forever() -> None:
        began.append(True)
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(True)

    queries.on_ask = lambda _query: forever()
    parts = urlsplit(url)
    body = json.dumps(QUESTION).encode()
    with socket.create_connection((parts.hostname, parts.port), timeout=WAIT_S) as connection:
        head = f"POST /api/ai/query HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_for(began)
    wait_for(cancelled)


def wait_for(happened: list[bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not happened:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_closing_does_not_wait_for_a_client() -> None:
    """A question under way when the node stops is answered with 503, and the port is closed."""
    queries = StubQueries()
    began: list[bool] = []

    async def forever() -> None:
        began.append(True)
        await trio.sleep_forever()

    queries.on_ask = lambda _query: forever()
    with serving(queries) as url:
        parts = urlsplit(url)
        body = json.dumps(QUESTION).encode()
        connection = socket.create_connection((parts.hostname, parts.port), timeout=WAIT_S)
        head = f"POST /api/ai/query HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_for(began)
    with connection:
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"stopping"' in answer
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((parts.hostname, parts.port), timeout=1)


# --- listening ---------------------------------------------------------------------------------


def faults_of_opening(config: HttpConfig) -> list[BaseException]:
    """What the command line would find in the group of exceptions that leaves the nurseries."""

    async def main() -> None:
        async with HttpServer.open(config, StubQueries(), TOKEN):  # type: ignore[arg-type]
            pass

    try:
        trio.run(main)
    except BaseExceptionGroup as group:
        return list(_leaves(group))
    return []


def test_a_port_in_use_is_said_to_be_so() -> None:
    """By name, with the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (fault,) = faults_of_opening(HttpConfig("127.0.0.1", port))
    assert isinstance(fault, AlreadyRunning)
    assert f"Port {port} of 127.0.0.1 is in use" in str(fault)


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "no.such.name.invalid", "a..b", "x" * 300, "ü..", "a b", "::zz", "a\x00b"]
)
def test_a_host_that_is_not_this_machines(host: str) -> None:
    """One sentence, whatever the name resolution raises."""
    (fault,) = faults_of_opening(HttpConfig(host, 0))
    assert isinstance(fault, UsageError), repr(fault)
    assert "cannot listen on" in str(fault)
    assert "\n" not in str(fault)


def test_ipv6_loopback() -> None:
    """The URL has the brackets that IPv6 needs."""

    async def main() -> str:
        async with HttpServer.open(HttpConfig("::1", 0), StubQueries(), TOKEN) as server:  # type: ignore[arg-type]
            reply = await trio.to_thread.run_sync(call, server.url, "GET", "/api/ai/status")
            return f"{server.url} {reply.status}"

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert trio.run(main).startswith("http://[::1]:")
