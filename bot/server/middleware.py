"""Middleware for all routes: request ids, security headers, timeouts, access log and error handling."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.observability.tracing import bind_context, continue_trace, get_context, span
from bot.server.errors import error_response, to_http_error

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CLIENT_CLOSED_REQUEST = 499  # status in the log and metrics if the client disconnected, as in nginx
_MAX_METHOD_CHARS = 10  # in the log and traces: the method is text of the client
_PROBES = ("/healthz", "/readyz", "/metrics")
_ROUTES = ("/ask", *_PROBES, "/slack/events")
# Limits for reading the rest of a body that is not needed.
_MAX_DRAIN_BYTES, _DRAIN_SECONDS = 10_000_000, 2.0
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


class ClientDisconnectedError(Exception):
    """The client has disconnected."""


def route_label(path: str) -> str:
    """Return the metric label of a path, one of a fixed set: metrics must not grow with the requests."""
    if path in _ROUTES:
        return path
    return "/articles/{id}" if path.startswith("/articles/") else "other"


class RequestMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        timeout: float,
        on_request: Callable[[str, int], None] = lambda route, status: None,
        on_rejected: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """Wrap an application.

        Args:
            timeout: seconds for a request.
            on_request: called with the route label and status of each request.
            on_rejected: called with the reason of each error response.
        """
        self._app = app
        self._timeout = timeout
        self._on_request = on_request
        self._on_rejected = on_rejected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":  # a WebSocket, which no route accepts
            return
        headers = Headers(scope=scope)
        bind_context(clear=True, request_id=_request_id(headers))
        io = _RequestIO(headers, receive, send)
        route, started = route_label(scope["path"]), time.perf_counter()
        with (
            continue_trace(headers),
            span("request", method=scope["method"][:_MAX_METHOD_CHARS], route=route),
        ):
            await self._handle(scope, io)
        self._on_request(route, io.status)
        self._log_request(scope, route, io, time.perf_counter() - started)
        if io.broken:
            raise ResponseAbortedError

    async def _handle(self, scope: Scope, io: _RequestIO) -> None:
        request = Request(scope)
        try:
            async with asyncio.timeout(self._timeout):
                # With an app in the scope, the router raises HTTPException instead of responding.
                await self._app({**scope, "app": self}, io.receive, io.send)
        except ClientDisconnectedError:
            io.status = _CLIENT_CLOSED_REQUEST
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - no client sees a traceback
            error = to_http_error(exc)
            self._on_rejected(error.reason)
            io.broken = io.started
            if not io.started:
                await error_response(error, request)(scope, io.receive, io.send)

    def _log_request(self, scope: Scope, route: str, io: _RequestIO, seconds: float) -> None:
        is_quiet = route in _PROBES and io.status < 500
        client = scope.get("client")
        logger.log(
            logging.DEBUG if is_quiet else logging.INFO,
            "request",
            extra={
                "method": scope["method"][:_MAX_METHOD_CHARS],
                "route": route,
                "code": io.status,
                "ms": round(seconds * 1000, 1),
                "client": client[0] if client else "",
            },
        )


class ResponseAbortedError(Exception):
    """A response could not be completed, so the connection must be closed."""


class _RequestIO:
    """The `receive` and `send` of one request: adds headers, and tracks the status and the unread body."""

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._expects_continue = "expect" in headers  # the client sends the body only when asked to
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self.started = False
        self.broken = False
        self.status = _CLIENT_CLOSED_REQUEST

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._drain()
            self.started = True
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-ID"] = get_context()["request_id"]
            if self._unread:
                headers["Connection"] = "close"
        await self._send(message)

    async def _drain(self) -> None:
        """Read the rest of the body, within limits: a client that is still sending does not read the response."""
        remaining = _MAX_DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unread and not self._expects_continue and remaining > 0:
                    remaining -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def _request_id(headers: Headers) -> str:
    request_id = headers.get("x-request-id", "")
    return request_id if _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex[:16]
