"""Listens at an address and serves an app there, until the block ends; nobody holds a connection without using it."""

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

_LAST = 3  # seconds for what is under way when the block ends
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: 59\r\n\r\n"
    b'{"error": "too many connections; come again in a moment"}\r\n'
)


class BindAddress(NamedTuple):
    """Where requests are taken; port 0 lets the system pick one."""

    host: str
    port: int


class _Connection(H11Protocol):
    """A connection that ends when its other side is silent before a request, or does not take in the response."""

    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *, patience: Timeouts, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._patience = patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        if len(self.connections) > self._patience.max_connections:
            transport.write(_FULL)
            transport.close()
        self._set_timeout(self._patience.request_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_timeout(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        was_busy = self._busy
        super().data_received(data)
        if self._busy and not was_busy:
            self._set_timeout(None)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._timer is None and not self._busy:
            closing = self.transport.is_closing()
            self._set_timeout(self._patience.write_stall if closing else self._patience.request_head)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_timeout(self._patience.write_stall)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_timeout(None)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_timeout(self, seconds: float | None) -> None:
        """End the connection unless something happens in time; None: wait for nothing."""
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort) if seconds else None


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us: they do not mean that it ends at once."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve_http(
    app: ASGIApp, address: BindAddress, *, proxies: Sequence[str] = (), patience: Timeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[str]:
    """Serve `app` and give the address at which it is. Raises BindError where that cannot be had.

    Of `proxies`, addresses and networks, it is believed for whom they ask: anybody else could name any address.
    """
    bound = _bound(address)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the front tells what went wrong
    config = uvicorn.Config(
        app,
        http=partial(_Connection, patience=patience),  # type: ignore[arg-type]  # it is only ever called
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        server_header=False,
        timeout_graceful_shutdown=_LAST,
        reset_contextvars=True,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        host, port = bound.getsockname()[:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        server.should_exit = True
        await serving


def _bound(address: BindAddress) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(address, family=family, backlog=1024)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise BindError(f"port {address.port} cannot be opened: {reason}; name another with --port") from exc
