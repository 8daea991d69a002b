"""Requests as anybody may send them, whole or not, and what came back: bytes over a socket, nothing repaired."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote

_PATIENCE = 30.0  # seconds
_HUGE = 5_000_000  # bytes


class Target(NamedTuple):
    """What is put under load, and what good requests to it are made of."""

    host: str
    port: int
    tokens: Sequence[str]
    questions: Sequence[str]
    pages: Sequence[str]  # paths of evidence pages, sealed


class Outcome(NamedTuple):
    """What became of a request; status 0: there was no response, 499: we hung up, as was meant."""

    kind: str
    status: int
    seconds: float
    retry_after: bool
    whole: bool


class Sent(NamedTuple):
    """A request: its parts with pauses before each, and after how long it is given up on purpose."""

    parts: Sequence[tuple[float, bytes]]
    hang_up: float | None = None


def _request(target: Target, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    named = {"Host": target.host, "Connection": "close", "Content-Length": str(len(body)), **headers}
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name.replace('_', '-')}: {value}" for name, value in named.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _ask(target: Target, body: bytes | None = None, *, token: str = "", **headers: str) -> bytes:
    named = {
        "Content_Type": "application/json",
        "Authorization": f"Bearer {token or random.choice(target.tokens)}",
    }
    question = json.dumps({"question": random.choice(target.questions)}).encode()
    return _request(target, "POST", "/ask", question if body is None else body, **{**named, **headers})


def _whole(make: Callable[[Target], bytes]) -> Callable[[Target], Sent]:
    return lambda target: Sent([(0, make(target))])


def _slow(target: Target) -> Sent:
    head, _, body = _ask(target).partition(b"\r\n\r\n")
    return Sent(
        [
            (0, head[:30]),
            (0.3, head[30:] + b"\r\n\r\n"),
            *((0.2, body[n : n + 4]) for n in range(0, len(body), 4)),
        ]
    )


def _huge_in_chunks(target: Target) -> Sent:
    head = _ask(target, b"", Transfer_Encoding="chunked").replace(b"Content-Length: 0\r\n", b"")
    return Sent([(0, head), *((0, b"10000\r\n" + b" " * 0x10000 + b"\r\n") for _ in range(_HUGE // 0x10000))])


_BAD = (b"{", b"", b"[]", b'{"question": 5}', b'{"question": ""}', b'{"question": "x", "y": 1}', b"\xff\x00", b"[" * 50_000, b'{"question": NaN}',
        json.dumps({"question": "who " * 3_000}).encode())  # fmt: skip
_PATHS = ("/articles/../../etc/passwd", "/articles/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/..%2f..%2flibrary.sqlite", "/articles/%00", "/articles/a%0d%0aX: y",
          "//evil.example/ask", "/articles/" + "a" * 3_000, "/articles/x?v=1&q=9999999999-1", "/%ff%fe", "/articles/%ff?v=0", "/ask/../metrics")  # fmt: skip
_GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"A" * 100_000,
    b"GET / HTTP/1.1\r\nA: " + b"b" * 90_000,
)

# Each kind with its share of all.
KINDS: dict[str, tuple[int, Callable[[Target], Sent]]] = {
    "ask": (24, _whole(_ask)),
    "ask as events": (10, _whole(lambda target: _ask(target, Accept="text/event-stream"))),
    "evidence page": (16, _whole(lambda target: _request(target, "GET", random.choice(target.pages), Accept="text/html"))),
    "evidence, wrong seal": (4, _whole(lambda target: _request(target, "GET", random.choice(target.pages)[:-1] + "!", Accept="text/html"))),
    "healthz": (6, _whole(lambda target: _request(target, "GET", "/healthz"))),
    "readyz": (5, _whole(lambda target: _request(target, "GET", "/readyz"))),
    "metrics": (2, _whole(lambda target: _request(target, "GET", "/metrics", Authorization=f"Bearer {target.tokens[0]}"))),
    "bad body": (8, _whole(lambda target: _ask(target, random.choice(_BAD)))),
    "huge body": (2, lambda target: Sent([(0, _ask(target, b" " * _HUGE))])),
    "huge body in chunks": (1, _huge_in_chunks),
    "wrong token": (6, _whole(lambda target: _ask(target, token="x" * random.randrange(1, 40)))),
    "slow client": (2, _slow),
    "hangs up": (5, lambda target: Sent([(0, _ask(target))], hang_up=random.random() / 10)),
    "hangs up within": (1, lambda target: Sent([(0, _ask(target)[:-10])], hang_up=random.random() / 10)),
    "odd path": (4, _whole(lambda target: _request(target, "GET", random.choice(_PATHS), Authorization=f"Bearer {random.choice(target.tokens)}"))),
    "wrong method": (3, _whole(lambda target: _request(target, random.choice(["PUT", "DELETE", "OPTIONS", "BREW"]), quote(random.choice(["/ask", "/metrics", "/articles/x"]))))),
    "no HTTP": (1, lambda target: Sent([(0, random.choice(_GARBAGE))], hang_up=5.0)),
}  # fmt: skip


async def send(kind: str, target: Target) -> Outcome:
    """Send one request of a kind over a connection of its own."""
    sent = KINDS[kind][1](target)
    begun = time.perf_counter()
    received = b""
    try:
        async with asyncio.timeout(sent.hang_up or _PATIENCE):
            received = await _exchanged(target, sent)
    except TimeoutError:
        status = 499 if sent.hang_up else 0
        return Outcome(kind, status, time.perf_counter() - begun, retry_after=False, whole=False)
    except OSError:
        pass
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head[9:12]) if head.startswith(b"HTTP/1.1 ") else 0
    whole = b"event: answer" in body or b"event: error" in body or b"text/event-stream" not in head
    return Outcome(kind, status, time.perf_counter() - begun, b"retry-after" in head.lower(), whole)


async def _exchanged(target: Target, sent: Sent) -> bytes:
    reader, writer = await asyncio.open_connection(target.host, target.port)
    received = bytearray()
    reading = asyncio.create_task(_read(reader, received))
    try:
        for pause, part in sent.parts:
            await asyncio.sleep(pause)
            if reading.done():
                break
            writer.write(part)
            try:
                await writer.drain()
            except OSError:  # it has answered and does not listen any more
                break
        await reading
        return bytes(received)
    finally:
        reading.cancel()
        writer.close()


async def _read(reader: asyncio.StreamReader, received: bytearray) -> None:
    """Read to the end; what came before a reset counts."""
    try:
        while part := await reader.read(65_536):
            received += part
    except OSError:
        return
