"""What stands before a Chroma server: a proxy that may speak TLS, ask for a token, or misbehave as it is told."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Call:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]


class Front:
    """Passes each request on to `behind`; `answers`, where it is set, says what to do instead."""

    def __init__(self, behind: str, *, prefix: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self.answers: Callable[[_Handler], bool] | None = None
        self.prefix = prefix
        self.behind = urlsplit(behind)
        self._tls = tls
        self._server = _Server(("127.0.0.1", 0), _Handler, bind_and_activate=True)
        self._server.front = self
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="front")

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        scheme, host = (
            ("https", self.address.replace("127.0.0.1", "localhost")) if self._tls else ("http", self.address)
        )
        return f"{scheme}://{host}{self.prefix}"

    def __enter__(self) -> Front:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    front: Front
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Who hangs up in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.front.connections += 1

    def _handle(self) -> None:
        front = self.server.front
        front.calls.append(Call(self.command, self.path, dict(self.headers.items())))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if front.answers and front.answers(self):
            return
        path = self.path.removeprefix(f"http://{front.behind.netloc}")  # as a proxy is asked
        if not path.startswith(front.prefix):
            self.say(404, b"nothing here", kind="text/plain")
            return
        behind = http.client.HTTPConnection(front.behind.hostname or "", front.behind.port, timeout=60)
        try:
            kind = {"Content-Type": "application/json"} if body else {}
            behind.request(self.command, path.removeprefix(front.prefix), body or None, kind)
            answer = behind.getresponse()
            self.say(answer.status, answer.read())
        finally:
            behind.close()

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - their names in the base class

    def say(self, status: int, body: bytes, *, kind: str = "application/json", **headers: str) -> bool:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        return True

    def hang(self, seconds: float = 60) -> bool:
        """Say nothing, and then hang up."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.server.front.answers:
            time.sleep(0.02)
        self.close_connection = True
        return True

    def break_off(self) -> bool:
        """Hang up in the middle of an answer."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[")
        self.close_connection = True
        return True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing."""
