"""Sends calls to a Chroma server, and says in plain words what came between.

Not by chromadb's own client: that takes more than a second to import, waits without end and knows no certificates
but public ones. Nor by httpx, whose import alone takes longer than an answer; urllib3 takes a tenth of that.
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

_READ, _WRITE = 30.0, 120.0  # seconds without a word from the server
_CONNECT = 5.0
_CONNECTIONS = 8  # Chroma Cloud lets 10 at once read a collection
# A server that was killed while it wrote a collection's index may die of each question to it (seen with 1.5.9).
_RETRY_HINT = "try again, see its log, and where that does not help run `citewire reindex`"
_SHOWN = 300  # characters of what a server says
# A kept connection that a router on the way has forgotten is noticed before the next question waits for it.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class ChromaClient:
    """A server's address with what every call to it bears; safe between threads, its connections are kept."""

    def __init__(self, url: str, *, headers: Mapping[str, str], ca_file: Path | None) -> None:
        """Name the server; nothing is sent yet. Raises SettingsError for a `ca_file` that holds no certificate.

        `headers` are secret: no error repeats their values, even where the server does.
        """
        self.url = url.rstrip("/")
        self._secrets = [word for value in headers.values() for word in (value, *value.split()) if word]
        own = {"Content-Type": "application/json", "User-Agent": f"citewire/{__version__}"}
        self._manager = _manager(self.url, ca_file, {**headers, **own})

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, writing: bool = False
    ) -> Any:
        """Return what the server answers. Raises VectorStoreError, of the kind that it is.

        It may be sent twice, and so may only be what has the same effect twice.
        """
        content = None if body is None else json.dumps(body).encode()
        patience = _WRITE if writing else _READ
        with self._translated(patience):
            try:
                response = self._send(method, path, content, patience)
            except exceptions.ProtocolError:  # kept from before the server was started anew
                response = self._send(method, path, content, patience)
        if response.status >= 300:
            raise self._refusal(response)
        with self.validate_response():
            return json.loads(response.data)

    @contextlib.contextmanager
    def validate_response(self) -> Iterator[None]:
        """Turn what it means that an answer has not Chroma's form into a VectorStoreError."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError) as exc:
            raise VectorStoreError(
                f"what answers at {self.url} does not answer as Chroma does; check CITEWIRE_CHROMA_URL"
            ) from exc

    def close(self) -> None:
        """Give back the connections."""
        self._manager.clear()

    def _send(
        self, method: str, path: str, content: bytes | None, patience: float
    ) -> urllib3.BaseHTTPResponse:
        return self._manager.request(
            method,
            self.url + path,
            body=content,
            retries=False,
            redirect=False,  # another address is not to be shown the headers
            timeout=urllib3.Timeout(connect=_CONNECT, read=patience),
            pool_timeout=patience,
        )

    @contextlib.contextmanager
    def _translated(self, patience: float) -> Iterator[None]:
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
                f"Chroma at {self.url} does not answer: {_reason(exc, patience)}; {remedy}"
            ) from exc

    def _refusal(self, response: urllib3.BaseHTTPResponse) -> VectorStoreError:
        kind, said = _error_details(response)
        for secret in self._secrets:
            said = said.replace(secret, "…")
        told = f"status {response.status}" + (f": {clean_line(said)[:_SHOWN]}" if said else "")
        if response.status == 404 and kind == "NotFoundError":
            return CollectionNotFoundError(
                f"Chroma at {self.url} does not have the vectors ({told}); run `citewire reindex`"
            )
        if response.status in (401, 403):
            return VectorStoreError(
                f"Chroma at {self.url} refuses the credentials (status {response.status}); check "
                "CITEWIRE_CHROMA_HEADERS, CITEWIRE_CHROMA_TENANT and CITEWIRE_CHROMA_DATABASE"
            )
        if response.status == 429 or response.status >= 500:
            return VectorStoreUnavailableError(
                f"Chroma at {self.url} cannot answer now ({told}); {_RETRY_HINT}"
            )
        if kind:
            return VectorStoreRequestError(
                f"Chroma at {self.url} refuses a call ({told}); `citewire doctor` says more"
            )
        return VectorStoreError(
            f"there is no Chroma with version 2 of its API at {self.url} ({told}); check CITEWIRE_CHROMA_URL"
        )


def _manager(url: str, ca_file: Path | None, headers: Mapping[str, str]) -> urllib3.PoolManager:
    """Return what keeps the connections, through the proxy that the environment names for this address."""
    parts = urlsplit(url)
    try:
        context = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
    except OSError as exc:  # ssl.SSLError is one
        raise SettingsError(f"CITEWIRE_CHROMA_CA_FILE: {ca_file} holds no certificate: {exc}") from exc
    options: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": _CONNECTIONS,
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
        if hasattr(socket, name)  # not on every system
    ]
    return [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *timing]


def _error_details(response: urllib3.BaseHTTPResponse) -> tuple[str, str]:
    """Return the kind of error and its words as Chroma writes them; "" where it is not Chroma that speaks."""
    try:
        told = json.loads(response.data)
        return str(told["error"]), str(told["message"])
    except (ValueError, TypeError, LookupError):
        return "", ""


def _reason(exc: exceptions.HTTPError, patience: float) -> str:
    if isinstance(exc, exceptions.ProxyError):
        return "the proxy on the way to it does not let it through"
    if isinstance(exc, exceptions.NameResolutionError):
        return "its name is not known"
    if isinstance(exc, exceptions.NewConnectionError):
        return getattr(exc.__cause__, "strerror", "") or "no connection"
    if isinstance(exc, exceptions.ConnectTimeoutError):
        return f"no connection within {_CONNECT:.0f} seconds"
    if isinstance(exc, exceptions.ReadTimeoutError):
        return f"no answer within {patience:.0f} seconds"
    return "the connection broke off"
