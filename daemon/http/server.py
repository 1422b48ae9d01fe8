"""The HTTP port: aiohttp on an event loop in a thread of its own.

aiohttp needs asyncio and the node runs on trio. A thread with one crossing point (`bridge`) keeps
cancellation and shutdown of the two apart: the node stops the server by closing it, and the server
reaches the node only through `Bridge.call` (docs/adr/0004).
"""

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hmac import compare_digest
from typing import Any

import trio
from aiohttp import ClientPayloadError, web

from daemon.config import HttpConfig
from daemon.errors import AlreadyRunning, StorageFailed, UsageError
from daemon.http import OPERATOR_HEADER
from daemon.http.bridge import Bridge, NodeStopping
from daemon.http.requests import (
    BODY_BYTES_MAX,
    parse_object,
    parse_query,
    parse_request_id,
)
from daemon.queries import Queries
from daemon.queryerror import QueryError

log = logging.getLogger("qnode.http")


_CLOSE_TIMEOUT_S = 2.0
_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """A running server; `url` is where it listens."""

    def __init__(
        self, config: HttpConfig, queries: Queries, operator_token: str, bridge: Bridge
    ) -> None:
        self._config = config
        self._queries = queries
        self._operator_token = operator_token
        self._bridge = bridge
        self._socket = _listen(config)
        port = self._socket.getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        self.url = f"http://{host}:{port}"
        self._hosts = _LOOPBACK_NAMES | {config.host}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, config: HttpConfig, queries: Queries, operator_token: str
    ) -> AsyncIterator["HttpServer"]:
        """`operator_token` is what a request must show that changes the network."""
        async with trio.open_nursery() as nursery:
            server = cls(config, queries, operator_token, Bridge(nursery))
            loop = asyncio.new_event_loop()
            stopping = asyncio.Event()
            started = threading.Event()
            thread = threading.Thread(
                target=server._run, args=(loop, stopping, started), name="http", daemon=True
            )
            thread.start()
            await trio.to_thread.run_sync(started.wait)
            try:
                yield server
            finally:
                loop.call_soon_threadsafe(stopping.set)
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(thread.join, 2 * _CLOSE_TIMEOUT_S)

    def _run(
        self, loop: asyncio.AbstractEventLoop, stopping: asyncio.Event, started: threading.Event
    ) -> None:
        try:
            loop.run_until_complete(self._serve(stopping, started))
        finally:
            loop.close()

    async def _serve(self, stopping: asyncio.Event, started: threading.Event) -> None:
        application = web.Application(
            client_max_size=BODY_BYTES_MAX, middlewares=[self._errors_as_json]
        )
        application.add_routes(
            [
                web.post("/api/ai/query", self._query),
                web.get("/api/ai/status", self._status),
                web.get("/api/ai/models", self._models),
                web.get("/api/consensus/{request_id}", self._consensus),
                web.get("/api/certificates/{request_id}", self._certificate),
                web.get("/api/cluster/members", self._members),
                web.get("/api/cluster/history", self._history),
                web.post("/api/cluster/changes", self._change),
            ]
        )
        runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=_CLOSE_TIMEOUT_S,
            handle_signals=False,
            handler_cancellation=True,  # a client that hangs up stops its question
        )
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        started.set()
        await stopping.wait()
        await runner.cleanup()

    # --- handlers ------------------------------------------------------------------------------

    async def _query(self, request: web.Request) -> web.StreamResponse:
        query = parse_query(await request.read())
        if "respond-async" in request.headers.get("Prefer", "") and query.mode == "consensus":
            accepted = await self._bridge.call(self._queries.begin, query)
            location = f"/api/consensus/{accepted['request_id']}"
            return web.json_response(accepted, status=202, headers={"Location": location})
        return web.json_response(await self._bridge.call(self._queries.ask, query))

    async def _status(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(await self._look_up(self._queries.status))

    async def _models(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(await self._look_up(self._queries.models))

    async def _consensus(self, request: web.Request) -> web.StreamResponse:
        request_id = parse_request_id(request.match_info["request_id"])
        return web.json_response(await self._look_up(self._queries.consensus_record, request_id))

    async def _certificate(self, request: web.Request) -> web.StreamResponse:
        request_id = parse_request_id(request.match_info["request_id"])
        text = await self._look_up(self._queries.certificate_text, request_id)
        return web.Response(text=text, content_type="application/json")

    async def _members(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(await self._look_up(self._queries.governance.members))

    async def _history(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(await self._look_up(self._queries.governance.history))

    async def _change(self, request: web.Request) -> web.StreamResponse:
        shown = request.headers.get(OPERATOR_HEADER, "")
        if not compare_digest(shown.encode(), self._operator_token.encode()):
            raise QueryError(
                403,
                "operator_only",
                "Only this node's operator may do that: run `qnode members` where the node's "
                "data folder is.",
            )
        document = parse_object(await request.read())
        return web.json_response(
            await self._bridge.call(self._queries.governance.endorse, document)
        )

    async def _look_up(self, function: Callable[..., Any], *args: Any) -> Any:
        async def run() -> Any:
            return function(*args)

        return await self._bridge.call(run)

    # --- errors --------------------------------------------------------------------------------

    @property
    def _errors_as_json(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._check_host(request)
                return await handler(request)
            except QueryError as error:
                return _error(error.status, error.code, str(error), **error.details)
            except NodeStopping:
                return _error(503, "stopping", "The node is stopping; ask another one.")
            except web.HTTPRequestEntityTooLarge:
                return _error(
                    413, "body_too_large", f"The body is larger than {BODY_BYTES_MAX} bytes."
                )
            except web.HTTPMethodNotAllowed as error:
                allowed = ", ".join(sorted(error.allowed_methods))
                refusal = _error(405, "method_not_allowed", f"Use {allowed} here.")
                refusal.headers["Allow"] = allowed
                return refusal
            except web.HTTPNotFound:
                return _error(404, "not_found", f"There is nothing at {request.path[:128]}.")
            except (web.HTTPBadRequest, web.RequestPayloadError, ClientPayloadError):
                return _error(400, "bad_request", "The body is not what its headers promise.")
            except StorageFailed as error:
                return _error(500, "storage", str(error))
            except Exception:
                log.exception("a request failed: %s %s", request.method, request.path)
                return _error(
                    500, "internal", "The node failed on this request; its log says more."
                )

        return middleware

    def _check_host(self, request: web.Request) -> None:
        """A page from elsewhere must not reach this port by making its own name resolve to it
        (DNS rebinding), nor by a form that a browser sends across origins."""
        try:
            host = request.url.host
        except ValueError:
            raise QueryError(400, "bad_request", "The Host header is no host.") from None
        origin = request.headers.get("Origin")
        if host not in self._hosts or (origin is not None and origin != f"http://{request.host}"):
            raise QueryError(
                403, "foreign_host", f"This port answers only to {', '.join(sorted(self._hosts))}."
            )


def _error(status: int, code: str, message: str, **details: Any) -> web.Response:
    return web.json_response(
        {"error": {"code": code, "message": message}, **details}, status=status
    )


def _listen(config: HttpConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(128)
        listener.setblocking(False)
    except (TypeError, ValueError):
        listener.close()
        raise UsageError(
            f"The HTTP port cannot listen on {config.host!r}: http.host must be a host."
        ) from None
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunning(
                f"Port {config.port} of {config.host} is in use by another program; stop it, or "
                "choose another http.port in qnode.toml."
            ) from None
        raise UsageError(
            f"The HTTP port cannot listen on {config.host}:{config.port}: {error.strerror}."
        ) from None
    return listener
