"""HTTP client for a Chroma server: pooling, timeouts, error translation.

chromadb's own client takes more than a second to import, has no timeout and accepts only certificates of public
authorities. The import of httpx alone takes longer than an answer; urllib3 takes a tenth of that.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection

from bot import __version__
from bot.articles.article import clean_line
from bot.errors import (
    CollectionNotFoundError,
    SettingsError,
    VectorStoreError,
    VectorStoreRequestError,
    VectorStoreUnavailableError,
)

# Seconds without data from the server.
_READ_TIMEOUT = 30.0
_WRITE_TIMEOUT = 120.0
_CONNECT_TIMEOUT = 5.0
_MAX_CONNECTIONS = 8  # Chroma Cloud allows 10 concurrent reads of a collection
# A server that was killed while writing a collection's index may crash on every query of it (seen with
# 1.5.9).
_RETRY_HINT = "try again, see its log, and where that does not help run `citewire reindex`"
_MAX_DETAIL_CHARS = 300  # of a server's error message
# Detects pooled connections that a router has dropped before the next question waits for one of them.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class ChromaClient:
    """HTTP client for one Chroma server with pooled connections; safe to share between threads."""

    def __init__(self, url: str, *, headers: Mapping[str, str], ca_file: Path | None) -> None:
        """Configure the client without connecting.

        Args:
            url: the address of the server.
            headers: sent with every request. Their values are secret and removed from error messages, even if the
                server repeats them.
            ca_file: certificates to trust instead of the public authorities.

        Raises:
            SettingsError: if `ca_file` contains no certificate.
        """
        self.url = url.rstrip("/")
        self._secrets = [word for value in headers.values() for word in (value, *value.split()) if word]
        own = {"Content-Type": "application/json", "User-Agent": f"citewire/{__version__}"}
        self._build_pool = _build_pool(self.url, ca_file, {**headers, **own})

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, is_write: bool = False
    ) -> Any:
        """Send a request and return the parsed JSON response.

        The request must be idempotent, because it may be sent twice.

        Args:
            method: the HTTP method.
            path: path and query, appended to the URL of the server.
            body: sent as JSON.
            is_write: use the timeout for writes.

        Raises:
            VectorStoreError: if the request fails; a subclass tells the reason.
        """
        content = None if body is None else json.dumps(body).encode()
        timeout = _WRITE_TIMEOUT if is_write else _READ_TIMEOUT
        with self._translate_errors(timeout):
            try:
                response = self._send(method, path, content, timeout)
            except exceptions.ProtocolError:  # a pooled connection from before a restart of the server
                response = self._send(method, path, content, timeout)
        if response.status >= 300:
            raise self._build_error(response)
        with self.validate_response():
            return json.loads(response.data)

    @contextlib.contextmanager
    def validate_response(self) -> Iterator[None]:
        """Convert exceptions from reading a response that does not have Chroma's format to a VectorStoreError."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError) as exc:
            raise VectorStoreError(
                f"what answers at {self.url} does not answer as Chroma does; check CITEWIRE_CHROMA_URL"
            ) from exc

    def close(self) -> None:
        """Close all connections."""
        self._build_pool.clear()

    def _send(
        self, method: str, path: str, content: bytes | None, timeout: float
    ) -> urllib3.BaseHTTPResponse:
        return self._build_pool.request(
            method,
            self.url + path,
            body=content,
            retries=False,
            redirect=False,  # headers must not be sent to another address
            timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=timeout),
            pool_timeout=timeout,
        )

    @contextlib.contextmanager
    def _translate_errors(self, timeout: float) -> Iterator[None]:
        try:
            yield
        except exceptions.SSLError as exc:
            reason = getattr(exc.args[0], "verify_message", "") or "no TLS is spoken there"
            raise VectorStoreError(
                f"Chroma at {self.url} cannot be trusted: {reason}; check CITEWIRE_CHROMA_URL, and name a "
                "private authority's certificate in CITEWIRE_CHROMA_CA_FILE"
            ) from exc
        except exceptions.HTTPError as exc:
            remedy = (
                _RETRY_HINT
                if type(exc) is exceptions.ProtocolError
                else "start it, or check CITEWIRE_CHROMA_URL"
            )
            raise VectorStoreUnavailableError(
                f"Chroma at {self.url} does not answer: {_describe_failure(exc, timeout)}; {remedy}"
            ) from exc

    def _build_error(self, response: urllib3.BaseHTTPResponse) -> VectorStoreError:
        kind, message = _error_details(response)
        for secret in self._secrets:
            message = message.replace(secret, "…")
        details = f"status {response.status}" + (
            f": {clean_line(message)[:_MAX_DETAIL_CHARS]}" if message else ""
        )
        if response.status == 404 and kind == "NotFoundError":
            return CollectionNotFoundError(
                f"Chroma at {self.url} does not have the vectors ({details}); run `citewire reindex`"
            )
        if response.status in (401, 403):
            return VectorStoreError(
                f"Chroma at {self.url} refuses the credentials (status {response.status}); check "
                "CITEWIRE_CHROMA_HEADERS, CITEWIRE_CHROMA_TENANT and CITEWIRE_CHROMA_DATABASE"
            )
        if response.status == 429 or response.status >= 500:
            return VectorStoreUnavailableError(
                f"Chroma at {self.url} cannot answer now ({details}); {_RETRY_HINT}"
            )
        if kind:
            return VectorStoreRequestError(
                f"Chroma at {self.url} refuses a call ({details}); `citewire doctor` says more"
            )
        return VectorStoreError(
            f"there is no Chroma with version 2 of its API at {self.url} ({details}); check CITEWIRE_CHROMA_URL"
        )


def _build_pool(url: str, ca_file: Path | None, headers: Mapping[str, str]) -> urllib3.PoolManager:
    """Build the connection pool, with the proxy that the environment sets for this URL."""
    parts = urlsplit(url)
    try:
        context = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
    except OSError as exc:  # includes ssl.SSLError
        raise SettingsError(f"CITEWIRE_CHROMA_CA_FILE: {ca_file} holds no certificate: {exc}") from exc
    options: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": _MAX_CONNECTIONS,
        "block": True,
        "headers": dict(headers),
        "ssl_context": context,
        "socket_options": _socket_options(),
    }
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    if not proxy:
        return urllib3.PoolManager(**options)
    credentials = urllib3.make_headers(proxy_basic_auth=urllib3.util.parse_url(proxy).auth)
    return urllib3.ProxyManager(proxy, proxy_headers=credentials, **options)


def _socket_options() -> list[tuple[int, int, int]]:
    timing = [
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE.items()
        if hasattr(socket, name)  # not available on every system
    ]
    return [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *timing]


def _error_details(response: urllib3.BaseHTTPResponse) -> tuple[str, str]:
    """Return kind and message of a Chroma error, or two empty strings if the response is not from Chroma."""
    try:
        details = json.loads(response.data)
        return str(details["error"]), str(details["message"])
    except (ValueError, TypeError, LookupError):
        return "", ""


def _describe_failure(exc: exceptions.HTTPError, timeout: float) -> str:
    if isinstance(exc, exceptions.ProxyError):
        return "the proxy on the way to it does not let it through"
    if isinstance(exc, exceptions.NameResolutionError):
        return "its name is not known"
    if isinstance(exc, exceptions.NewConnectionError):
        return getattr(exc.__cause__, "strerror", "") or "no connection"
    if isinstance(exc, exceptions.ConnectTimeoutError):
        return f"no connection within {_CONNECT_TIMEOUT:.0f} seconds"
    if isinstance(exc, exceptions.ReadTimeoutError):
        return f"no answer within {timeout:.0f} seconds"
    return "the connection broke off"
