"""What stands before every route: ids, headers, limits of time and size, a line in the log, and no traceback ever."""

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
_GONE = 499  # the status in log and metrics of a request whose sender did not wait, as nginx has it
_METHOD = 10  # characters of a method: it is the sender's own word
_PROBES = ("/healthz", "/readyz", "/metrics")
_ROUTES = ("/ask", *_PROBES, "/slack/events")
_DRAINED, _DRAINING = 10_000_000, 2.0  # bytes and seconds of a body that nobody wants
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
    """Who has asked is not there any more."""


def route_label(path: str) -> str:
    """Return the route that a path takes, one of a few: what is counted must not grow with what is sent."""
    if path in _ROUTES:
        return path
    return "/articles/{id}" if path.startswith("/articles/") else "other"


class RequestMiddleware:
    """Runs an app behind itself. `count` is told each request's route and status, `refuse` the reasons of refusals."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        longest: float,
        count: Callable[[str, int], None] = lambda route, status: None,
        refuse: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """`longest`: seconds that any request may take."""
        self._app = app
        self._longest = longest
        self._count = count
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":  # a WebSocket: there is none here
            return
        headers = Headers(scope=scope)
        bind_context(clear=True, request_id=_request_id(headers))
        exchange = _RequestIO(headers, receive, send)
        route, begun = route_label(scope["path"]), time.perf_counter()
        with continue_trace(headers), span("request", method=scope["method"][:_METHOD], route=route):
            await self._handled(scope, exchange)
        self._count(route, exchange.status)
        self._note(scope, route, exchange, time.perf_counter() - begun)
        if exchange.broken:
            raise ResponseAbortedError

    async def _handled(self, scope: Scope, exchange: _RequestIO) -> None:
        request = Request(scope)
        try:
            async with asyncio.timeout(self._longest):
                # With an app in it, the router raises what it does not know instead of answering by itself.
                await self._app({**scope, "app": self}, exchange.receive, exchange.send)
        except ClientDisconnectedError:
            exchange.status = _GONE
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - nobody outside is shown where it failed
            refusal = to_http_error(exc)
            self._refuse(refusal.reason)
            exchange.broken = exchange.started
            if not exchange.started:
                await error_response(refusal, request)(scope, exchange.receive, exchange.send)

    def _note(self, scope: Scope, route: str, exchange: _RequestIO, seconds: float) -> None:
        quiet = route in _PROBES and exchange.status < 500
        client = scope.get("client")
        logger.log(
            logging.DEBUG if quiet else logging.INFO,
            "request",
            extra={
                "method": scope["method"][:_METHOD],
                "route": route,
                "code": exchange.status,
                "ms": round(seconds * 1000, 1),
                "client": client[0] if client else "",
            },
        )


class ResponseAbortedError(Exception):
    """A response could not be ended; the connection has to be."""


class _RequestIO:
    """One request's way in and out."""

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._expects = "expect" in headers  # the body is sent when it is wanted
        self._unread = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self.started = False
        self.broken = False
        self.status = _GONE

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
        """Read what is left of a body, within limits: who is still sending does not read the response."""
        left = _DRAINED
        try:
            async with asyncio.timeout(_DRAINING):
                while self._unread and not self._expects and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex[:16]
