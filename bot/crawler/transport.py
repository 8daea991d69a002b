"""The way to the network: httpx over connections that go where the guard has looked, and end in time."""

from __future__ import annotations

import ssl
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

from bot.crawler.ssrf import AddressPolicy
from bot.errors import FetchError

CONNECT_SECONDS = 10.0
GZIP = b"\x1f\x8b"
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, as the data itself says
_BARE = -zlib.MAX_WBITS  # what some servers take "deflate" for


class Deadline(threading.local):
    """When what this thread asks for has to be there: a host that sends a byte now and then must end too."""

    at = float("inf")

    def start(self, seconds: float) -> None:
        """Give this thread's next request so many seconds."""
        self.at = time.monotonic() + seconds

    def left(self, timeout: float | None) -> float:
        """Return the seconds that one read or write may take. Raises httpcore.ReadTimeout when none are left."""
        rest = self.at - time.monotonic()
        if rest <= 0:
            raise httpcore.ReadTimeout("it took too long")
        return rest if timeout is None else min(rest, timeout)


class _Stream(httpcore.NetworkStream):
    """A connection whose every read and write ends by the deadline of the thread that uses it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to the very addresses that were checked: a name may lead elsewhere the next time it is asked."""

    def __init__(self, guard: AddressPolicy, deadline: Deadline) -> None:
        self._guard = guard
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        problem: Exception = httpcore.ConnectError("no address")
        for address in self._guard.resolve(host, port).addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                problem = exc
            else:
                return _Stream(stream, self._deadline)
        raise problem


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close:
            close()


class GuardedTransport(httpx.BaseTransport):
    """What httpx sends its requests with. The environment's proxies are not used: they would connect unguarded."""

    def __init__(self, guard: AddressPolicy) -> None:
        self.deadline = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=16,
            keepalive_expiry=5.0,
            network_backend=_Backend(guard, self.deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; errors are httpcore's, and the guard's."""
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(response.stream, Iterable)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """End all connections."""
        self._pool.close()


def read_body(chunks: Iterable[bytes], *, packed: str, limit: int) -> bytes:
    """Return the body of an answer whose Content-Encoding is `packed`. Raises FetchError above `limit` bytes."""
    if packed in ("", "identity"):
        return _joined(chunks, limit)
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise FetchError(f"its body is packed in a way that was not asked for ({packed[:40]})")
    return _unpacked(chunks, limit, deflated=packed == "deflate")


def unpack(data: bytes, *, limit: int) -> bytes:
    """Return what a gzip file holds, and other data as it is. Raises FetchError above `limit` bytes."""
    return _unpacked([data], limit) if data.startswith(GZIP) else data


def _joined(chunks: Iterable[bytes], limit: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        _refuse_large(len(body), limit)
    return bytes(body)


def _unpacked(chunks: Iterable[bytes], limit: int, *, deflated: bool = False) -> bytes:
    body = bytearray()
    unpacker = zlib.decompressobj(_EITHER)
    try:
        for number, chunk in enumerate(chunks):
            rest = chunk
            if deflated and not number and chunk and chunk[0] & 15 != zlib.DEFLATED:
                unpacker = zlib.decompressobj(_BARE)
            while rest and not unpacker.eof:
                body += unpacker.decompress(rest, limit + 1 - len(body))
                _refuse_large(len(body), limit)
                rest = unpacker.unconsumed_tail
                if unpacker.eof and unpacker.unused_data.startswith(GZIP):  # a file of several parts
                    rest, unpacker = unpacker.unused_data, zlib.decompressobj(_EITHER)
    except zlib.error as exc:
        raise FetchError(f"its body cannot be unpacked ({exc})") from exc
    if not unpacker.eof:
        raise FetchError("its body breaks off")
    return bytes(body)


def _refuse_large(size: int, limit: int) -> None:
    if size > limit:
        raise FetchError(f"larger than {limit / 1e6:g} MB, the limit")
