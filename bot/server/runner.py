"""Serve an ASGI app with uvicorn; close idle and stalled connections."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.errors import BindError
from bot.server.timeouts import DEFAULT_TIMEOUTS, Timeouts

_SHUTDOWN_SECONDS = 3  # for requests in flight when the block ends
_TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: 59\r\n\r\n"
    b'{"error": "too many connections; come again in a moment"}\r\n'
)


class BindAddress(NamedTuple):
    """Address to listen at; port 0 lets the system choose a port."""

    host: str
    port: int


class _Connection(H11Protocol):
    """HTTP connection that is closed if the client sends no request or does not read the response."""

    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *, timeouts: Timeouts, **options: Any) -> None:
        super().__init__(**options)
        self._timeouts = timeouts

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > self._timeouts.max_connections:
            transport.write(_TOO_MANY_CONNECTIONS)
            transport.close()
        self._set_timeout(self._timeouts.request_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timeout(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        was_busy = self._is_busy
        super().data_received(data)
        if self._is_busy and not was_busy:
            self._set_timeout(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._timer is None and not self._is_busy:
            closing = self.transport.is_closing()
            self._set_timeout(self._timeouts.write_stall if closing else self._timeouts.request_head)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_timeout(self._timeouts.write_stall)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_timeout(None)

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_timeout(self, seconds: float | None) -> None:
        """Replace the timer that closes the connection.

        Args:
            seconds: time until the connection is closed, or None for no timer.
        """
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort) if seconds else None


class _Server(uvicorn.Server):
    """uvicorn server without signal handlers: on a signal, the requests in flight are finished first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve_http(
    app: ASGIApp, address: BindAddress, *, proxies: Sequence[str] = (), timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[str]:
    """Serve an app during the block and yield its URL.

    Args:
        proxies: addresses and networks whose X-Forwarded-For header is trusted; others could claim any address.

    Raises:
        BindError: if the address is not available.
    """
    server_socket = _bind(address)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # errors are logged by the middleware
    config = uvicorn.Config(
        app,
        http=partial(_Connection, timeouts=timeouts),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        reset_contextvars=True,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[server_socket]))
    try:
        host, port = server_socket.getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        await serving


def _bind(address: BindAddress) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BindError(f"port {address.port} cannot be opened: {reason}; name another with --port") from exc
