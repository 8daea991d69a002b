"""httpx transport with SSRF protection, a total deadline and decompression limits."""

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
_GZIP_OR_ZLIB_BITS = zlib.MAX_WBITS | 32  # detected from the data
_RAW_DEFLATE_BITS = -zlib.MAX_WBITS  # sent by some servers as "deflate"


class Deadline(threading.local):
    """Total deadline of the current thread's request, because a slow host could send a byte now and then forever."""

    at = float("inf")

    def start(self, seconds: float) -> None:
        """Start the deadline of this thread's next request."""
        self.at = time.monotonic() + seconds

    def remaining(self, timeout: float | None) -> float:
        """Return the timeout for one read or write, in seconds.

        Raises:
            httpcore.ReadTimeout: if the deadline has passed.
        """
        rest = self.at - time.monotonic()
        if rest <= 0:
            raise httpcore.ReadTimeout("it took too long")
        return rest if timeout is None else min(rest, timeout)


class _DeadlineStream(httpcore.NetworkStream):
    """Connection whose reads and writes respect the deadline of the current thread."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.remaining(timeout))
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to exactly the addresses that were checked, because a name can resolve differently the next time."""

    def __init__(self, policy: AddressPolicy, deadline: Deadline) -> None:
        self._policy = policy
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
        for address in self._policy.resolve(host, port).addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.remaining(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                problem = exc
            else:
                return _DeadlineStream(stream, self._deadline)
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
    """httpx transport that checks addresses. Proxies from the environment would bypass the check and are ignored."""

    def __init__(self, policy: AddressPolicy) -> None:
        self.deadline = Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=16,
            keepalive_expiry=5.0,
            network_backend=_Backend(policy, self.deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; raises the errors of httpcore and of the address policy."""
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
        """Close all connections."""
        self._pool.close()


def read_body(chunks: Iterable[bytes], *, content_encoding: str, limit: int) -> bytes:
    """Read and decompress the body of a response.

    Args:
        chunks: the body as received.
        content_encoding: value of the Content-Encoding header.
        limit: maximum size of the decompressed body in bytes.

    Raises:
        FetchError: if the body exceeds the limit or cannot be decompressed.
    """
    if content_encoding in ("", "identity"):
        return _read_within_limit(chunks, limit)
    if content_encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchError(f"its body is packed in a way that was not asked for ({content_encoding[:40]})")
    return _decompress_within_limit(chunks, limit, deflated=content_encoding == "deflate")


def decompress(data: bytes, *, limit: int) -> bytes:
    """Decompress gzip data; return other data unchanged.

    Raises:
        FetchError: if the decompressed data exceeds `limit` bytes or cannot be decompressed.
    """
    return _decompress_within_limit([data], limit) if data.startswith(GZIP) else data


def _read_within_limit(chunks: Iterable[bytes], limit: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        _check_size(len(body), limit)
    return bytes(body)


def _decompress_within_limit(chunks: Iterable[bytes], limit: int, *, deflated: bool = False) -> bytes:
    body = bytearray()
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB_BITS)
    try:
        for number, chunk in enumerate(chunks):
            rest = chunk
            if deflated and not number and chunk and chunk[0] & 15 != zlib.DEFLATED:
                decompressor = zlib.decompressobj(_RAW_DEFLATE_BITS)
            while rest and not decompressor.eof:
                body += decompressor.decompress(rest, limit + 1 - len(body))
                _check_size(len(body), limit)
                rest = decompressor.unconsumed_tail
                if decompressor.eof and decompressor.unused_data.startswith(GZIP):  # another gzip member
                    rest, decompressor = decompressor.unused_data, zlib.decompressobj(_GZIP_OR_ZLIB_BITS)
    except zlib.error as exc:
        raise FetchError(f"its body cannot be unpacked ({exc})") from exc
    if not decompressor.eof:
        raise FetchError("its body breaks off")
    return bytes(body)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise FetchError(f"larger than {limit / 1e6:g} MB, the limit")
