"""How the tests' Slack brings what happened to an app: signed HTTP requests, or envelopes over WebSockets.

Both deliver again what was not acknowledged in time, as Slack does; each attempt is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import random
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

EVENTS, COMMANDS, INTERACTIVE = "events_api", "slash_commands", "interactive"


@dataclass(frozen=True)
class Ack:
    """An attempt to deliver: how long the app took, and why it does not count where it failed."""

    id: str
    seconds: float
    attempt: int
    failure: str = ""


@dataclass
class Delivery:
    """Something on its way to the app; `answer()` waits for what the app acknowledged it with."""

    id: str
    kind: str
    payload: dict[str, Any]
    attempts: list[Ack] = field(default_factory=list)
    outcome: Future[Any] = field(default_factory=Future)

    def answer(self, timeout: float = 30) -> Any:
        """Wait for the acknowledgement and give its payload ({} where it has none)."""
        return self.outcome.result(timeout)

    @property
    def delivered(self) -> bool:
        return any(not attempt.failure for attempt in self.attempts)


class Courier:
    """Delivers on the server's own loop; its settings may be changed at any time."""

    def __init__(self, *, signing_secret: str) -> None:
        self.signing_secret = signing_secret
        self.urls: list[str] = []
        self.retry_delays = [0.01, 0.05, 0.2]  # Slack's: at once, one minute, five minutes
        self.ack_timeout = 3.0
        self.redeliver_share = 0.0
        self.redeliver_within = 0.2  # seconds after the first delivery
        self.chance = random.Random(0)
        self.connections: list[web.WebSocketResponse] = []
        self.acks: list[Ack] = []
        self.lost: list[Delivery] = []
        self.told = lambda: None  # whom to tell that something changed
        self._turn = itertools.count()
        self._waiting: dict[str, tuple[web.WebSocketResponse, asyncio.Future[Any]]] = {}
        self._connected = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Stop everything under way and take nothing more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self.connections):
            await connection.close()
        if self._session:
            await self._session.close()

    @property
    def under_way(self) -> int:
        """How many envelopes were sent over a socket and are not acknowledged yet."""
        return len(self._waiting)

    def start(self, delivery: Delivery, *, retry: int = 0, reason: str = "") -> None:
        """Deliver in the background; called on the server's loop."""
        if self._closed:
            return
        task = asyncio.ensure_future(self._deliver(delivery, retry=retry, reason=reason))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery, *, retry: int, reason: str) -> None:
        delays = self.retry_delays if delivery.kind == EVENTS else []
        for attempt, delay in enumerate([0.0, *delays], start=retry):
            await asyncio.sleep(delay)
            reason, answer = await self._attempt(delivery, attempt, reason)
            if reason in ("", _NO_RETRY):
                break
        if reason:
            self.lost.append(delivery)
        if not delivery.outcome.done():
            delivery.outcome.set_result(answer)
        self.told()
        again = delivery.kind == EVENTS and not retry and self.chance.random() < self.redeliver_share
        if again and not reason:
            await asyncio.sleep(self.chance.random() * self.redeliver_within)
            await self._attempt(delivery, 1, "http_timeout")

    async def _attempt(self, delivery: Delivery, attempt: int, reason: str) -> tuple[str, Any]:
        send = self._over_http if self.urls else self._over_socket
        began = time.perf_counter()
        failure, answer = await send(delivery, attempt, reason)
        ack = Ack(delivery.id, time.perf_counter() - began, attempt, failure)
        delivery.attempts.append(ack)
        self.acks.append(ack)
        self.told()
        return failure, answer

    async def _over_http(self, delivery: Delivery, attempt: int, reason: str) -> tuple[str, Any]:
        url = self.urls[next(self._turn) % len(self.urls)]
        body = self.body(delivery)
        headers = self.sign(body) | {"Content-Type": _CONTENT[delivery.kind], "User-Agent": _AGENT}
        if attempt:
            headers |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason or "unknown_error"}
        try:
            timeout = aiohttp.ClientTimeout(total=self.ack_timeout)
            async with self._http().post(url, data=body, headers=headers, timeout=timeout) as response:
                text = await response.text()
                if response.ok:
                    return "", _payload(text)
                return _NO_RETRY if response.headers.get("X-Slack-No-Retry") == "1" else "http_error", {}
        except TimeoutError:
            return "http_timeout", {}
        except aiohttp.ClientError:
            return "connection_failed", {}

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    @staticmethod
    def body(delivery: Delivery) -> bytes:
        """Give the request's body: JSON for events, a form for commands, a form with JSON for clicks."""
        if delivery.kind == EVENTS:
            return json.dumps(delivery.payload).encode()
        form = delivery.payload if delivery.kind == COMMANDS else {"payload": json.dumps(delivery.payload)}
        return urlencode(form).encode()

    def sign(self, body: bytes, *, at: float | None = None) -> dict[str, str]:
        """Sign a body as Slack does: HMAC-SHA256 over version, time and body."""
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(self.signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}"}

    async def _over_socket(self, delivery: Delivery, attempt: int, reason: str) -> tuple[str, Any]:
        connection = await self._connection()
        envelope = {"envelope_id": str(uuid.uuid4()), "type": delivery.kind, "payload": delivery.payload,
                    "accepts_response_payload": delivery.kind != EVENTS}  # fmt: skip
        if delivery.kind == EVENTS:
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        acknowledged = asyncio.get_running_loop().create_future()
        self._waiting[envelope["envelope_id"]] = (connection, acknowledged)
        try:
            await connection.send_json(envelope)
            self.told()
            return "", await asyncio.wait_for(acknowledged, self.ack_timeout)
        except TimeoutError:
            return "timeout", {}
        except ConnectionError:
            return "connection_failed", {}
        finally:
            del self._waiting[envelope["envelope_id"]]

    async def _connection(self) -> web.WebSocketResponse:
        while not self.connections:
            self._connected.clear()
            await self._connected.wait()
        return self.connections[next(self._turn) % len(self.connections)]

    async def serve_socket(self, connection: web.WebSocketResponse) -> None:
        """Say hello and take acknowledgements until the connection ends; what it leaves open goes elsewhere."""
        self.connections.append(connection)
        await connection.send_json(self._hello())
        self._connected.set()
        self.told()
        try:
            async for message in connection:
                if message.type == aiohttp.WSMsgType.TEXT:
                    self._acknowledge(json.loads(message.data))
        finally:
            with contextlib.suppress(ValueError):  # told to go before
                self.connections.remove(connection)
            for owner, acknowledged in list(self._waiting.values()):
                if owner is connection and not acknowledged.done():
                    acknowledged.set_exception(ConnectionError("closed before it was acknowledged"))
            self.told()

    def _hello(self) -> dict[str, Any]:
        info = {"host": "applink-test", "build_number": 1, "approximate_connection_time": 18060}
        return {"type": "hello", "num_connections": len(self.connections), "debug_info": info,
                "connection_info": {"app_id": "A0APP"}}  # fmt: skip

    def _acknowledge(self, message: dict[str, Any]) -> None:
        _, acknowledged = self._waiting.get(message.get("envelope_id", ""), (None, None))
        if acknowledged and not acknowledged.done():
            acknowledged.set_result(message.get("payload") or {})

    async def disconnect(self, reason: str) -> None:
        """Tell every connection to go, as Slack does before it refreshes them, and close it."""
        going, self.connections = self.connections, []
        for connection in going:
            await connection.send_json(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "test"}}
            )
            await connection.close()

    def drop(self) -> None:
        """Cut every connection without a word."""
        going, self.connections = self.connections, []
        for connection in going:
            transport = connection._req.transport if connection._req else None
            if transport:
                transport.abort()


_CONTENT = {
    EVENTS: "application/json",
    COMMANDS: "application/x-www-form-urlencoded",
    INTERACTIVE: "application/x-www-form-urlencoded",
}
_NO_RETRY = "no retry wanted"
_AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"


def _payload(text: str) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(text) if text else {}
    return {"text": text}
