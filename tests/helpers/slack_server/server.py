"""The server itself: its life, and the bytes that go in and out."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from slack_server import chat, conversations, streams, views
from slack_server.api import METHODS, needed
from slack_server.controls import Call, Controls, Failure
from slack_server.delivery import EVENTS, Ack, Courier, Delivery
from slack_server.refusal import Refused, refuse
from slack_server.state import Ticket

T = TypeVar("T")

# The modules whose functions stand in METHODS.
API = (chat, conversations, streams, views)
JSON_ARGUMENTS = {"blocks": "invalid_blocks_format", "view": "invalid_arguments", "metadata": "invalid_metadata_format",
                  "attachments": "invalid_attachments", "chunks": "invalid_chunks", "prompts": "invalid_arguments",
                  "loading_messages": "invalid_arguments"}  # fmt: skip
FLAGS = ("unfurl_links", "unfurl_media", "replace_original", "delete_original", "reply_broadcast")
PAGE = "<!DOCTYPE html><title>Not found</title>"


class SlackServer(Controls):
    """Serves on 127.0.0.1 from `with` to its end, on its own loop in a thread, on a port picked by the system."""

    def __init__(
        self,
        *,
        bot_token: str = "xoxb-test-bot",
        app_token: str = "xapp-test-app",
        signing_secret: str = "test-signing-secret",
    ) -> None:
        super().__init__()
        self.bot_token, self.app_token, self.signing_secret = bot_token, app_token, signing_secret
        self.deliveries: dict[str, Delivery] = {}
        self.courier = Courier(signing_secret=signing_secret)
        self.courier.told = self._notify
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slack")
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._tickets: set[str] = set()  # of addresses for connections

    @property
    def url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self._port}/api/"

    def __enter__(self) -> Self:
        self._thread.start()
        self._on_loop(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_route("*", "/api/{method}", self._serve_method)
        app.router.add_post("/response/{token}", self._serve_response)
        app.router.add_get("/socket/{ticket}", self._serve_socket)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        await self.courier.close()
        if self._runner:
            await self._runner.cleanup()

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    # ---- what goes to the app

    @property
    def deliver_to(self) -> str | list[str]:
        """Where events go over HTTP: an address, or several that take turns; empty: Socket Mode."""
        return self.courier.urls

    @deliver_to.setter
    def deliver_to(self, urls: str | list[str]) -> None:
        self.courier.urls = [urls] if isinstance(urls, str) and urls else list(urls)

    @property
    def acks(self) -> list[Ack]:
        """Every attempt to deliver, with the seconds that it took."""
        return self.courier.acks

    def ack_seconds(self, share: float) -> float:
        """Give the time within which this share of the first deliveries was acknowledged."""
        times = sorted(ack.seconds for ack in self.acks if not ack.failure and not ack.attempt)
        return times[max(0, math.ceil(share * len(times)) - 1)]

    def sign(self, body: bytes, *, at: float | None = None) -> dict[str, str]:
        """Give the headers with which Slack signs a body, at a time of one's choice."""
        return self.courier.sign(body, at=at)

    def challenge(self) -> Delivery:
        """Ask the app whether its address is its own, as Slack does when it is set up."""
        return self.send(
            EVENTS, {"type": "url_verification", "token": "t", "challenge": uuid.uuid4().hex}, "challenge"
        )

    @property
    def connections(self) -> int:
        """How many Socket Mode connections stand open."""
        return len(self.courier.connections)

    def send(self, kind: str, payload: dict[str, Any], name: str) -> Delivery:
        delivery = Delivery(name, kind, json.loads(json.dumps(payload)))
        self.deliveries[name] = delivery
        if kind != EVENTS:
            delivery.outcome.add_done_callback(lambda _: self._settled(delivery))
        self._loop.call_soon_threadsafe(self.courier.start, delivery)
        return delivery

    def redeliver(self, event_id: str, *, reason: str = "http_timeout") -> Delivery:
        """Deliver an event again, as Slack does when it believes that nobody answered."""
        again = Delivery(event_id, EVENTS, self.deliveries[event_id].payload)
        self._loop.call_soon_threadsafe(lambda: self.courier.start(again, retry=1, reason=reason))
        return again

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to reconnect (Socket Mode) and close its connections."""
        self._on_loop(self.courier.disconnect(reason))

    def drop_connections(self) -> None:
        """Cut the Socket Mode connections without a word."""
        self._loop.call_soon_threadsafe(self.courier.drop)

    def _settled(self, delivery: Delivery) -> None:
        """Do what follows from the acknowledgement of a click or a command."""
        with self.changed:
            try:
                refuse(not delivery.delivered, "not acknowledged", delivery.id)
                self._follow(delivery.payload, delivery.outcome.result())
            except (Refused, LookupError) as fault:
                self.problem(str(delivery.payload.get("type", "command")), str(fault))
            self.changed.notify_all()

    def _follow(self, payload: dict[str, Any], answer: dict[str, Any]) -> None:
        if payload.get("type") == "view_submission":
            self.submitted(payload["view"]["id"], payload["user"]["id"], answer)
        elif "command" in payload and answer:
            chat.check_content(self, answer, name="command")
            self.check_safety("command", answer)
            self.show(payload["channel_id"], payload["user_id"], chat.content_of(answer))

    def response_url(self, ticket: Ticket) -> str:
        token = uuid.uuid4().hex
        self.response_urls[token] = ticket
        return f"http://127.0.0.1:{self._port}/response/{token}"

    def socket_url(self) -> str:
        """Make an address for a connection."""
        ticket = uuid.uuid4().hex
        self._tickets.add(ticket)
        return f"ws://127.0.0.1:{self._port}/socket/{ticket}"

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        """Open a connection: once for each address; `fail("socket", …)` breaks it."""
        ticket = request.match_info["ticket"]
        if ticket not in self._tickets or self.next_failure("socket"):
            self._tickets.discard(ticket)
            return web.Response(status=408)
        self._tickets.remove(ticket)
        connection = web.WebSocketResponse(heartbeat=30)
        await connection.prepare(request)
        await self.courier.serve_socket(connection)
        return connection

    # ---- what comes from the app

    async def _serve_method(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, request.match_info["method"], self._run_method)

    async def _serve_response(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]

        def run(call: Call, _: str) -> dict[str, Any]:
            views.response(self, token, call.arguments)
            return {}

        return await self._serve(request, "response_url", run)

    async def _serve(
        self, request: web.Request, name: str, run: Callable[[Call, str], dict[str, Any]]
    ) -> web.StreamResponse:
        given, token = await _arguments(request)
        call = Call(name, given, time.perf_counter())
        await asyncio.sleep(self.delays.get(name, 0))
        with self.changed:
            no_page = self.missing.get(name, False)
            failure = Failure("status 404", status=404) if no_page else self.next_failure(name)
            if failure and not failure.after_effect:
                call.error = failure.code
            else:
                call.answer = self._answer(call, lambda: run(call, token))
                call.error = call.answer.get("error", "")
            self.calls.append(call)
            self.changed.notify_all()
        if no_page:
            return web.Response(status=404, text=PAGE, content_type="text/html")
        return self._failed(request, failure) if failure else self._answered(call)

    def _answer(self, call: Call, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            call.arguments = decoded(call.arguments)
            answer = {"ok": True} | run()
        except Refused as refused:
            self.problem(call.method, str(refused))
            return refused.answer
        except Exception as fault:
            self.problem(call.method, f"the tests' server itself failed: {fault!r}")
            raise
        self.check_safety(call.method, call.arguments)
        return json.loads(json.dumps(answer))

    def _run_method(self, call: Call, token: str) -> dict[str, Any]:
        refuse(call.method not in METHODS or call.method in self.missing, "unknown_method", call.method)
        refuse(not token, "not_authed")
        by_app = call.method == "apps.connections.open"
        refuse(token not in (self.bot_token, self.app_token), "invalid_auth")
        refuse(token != (self.app_token if by_app else self.bot_token), "not_allowed_token_type")
        refuse(by_app and "connections:write" not in self.app_scopes, "missing_scope", "connections:write")
        missing = [name for name in METHODS[call.method].needs if not call.arguments.get(name)]
        refuse(bool(missing), "invalid_arguments", f"missing required field: {missing}")
        self.need(*needed(self, call.method, call.arguments))
        return METHODS[call.method].run(self, call.arguments)

    def _answered(self, call: Call) -> web.Response:
        if call.method == "response_url":
            status = 404 if call.error.endswith("_url") else 400 if call.error else 200
            return web.json_response(call.answer, status=status)
        return web.json_response(call.answer, headers={"X-OAuth-Scopes": ",".join(sorted(self.scopes))})

    def _failed(self, request: web.Request, failure: Failure) -> web.Response:
        if failure.drop and request.transport:
            request.transport.abort()
        headers = {} if failure.retry_after is None else {"Retry-After": f"{failure.retry_after:g}"}
        return web.json_response({"ok": False, "error": failure.code}, status=failure.status, headers=headers)


async def _arguments(request: web.Request) -> tuple[dict[str, Any], str]:
    """Give a request's arguments, from query, form or JSON, and its token."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        given |= json.loads(await request.text() or "{}")  # clients say JSON of an empty body too
    elif request.can_read_body:
        given |= dict(await request.post())
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    in_form = given.pop("token", "")
    return given, token if scheme == "Bearer" else in_form


def decoded(given: dict[str, Any]) -> dict[str, Any]:
    """Read what a form holds as JSON or as a flag."""
    arguments = dict(given)
    for name, error in JSON_ARGUMENTS.items():
        if isinstance(arguments.get(name), str) and arguments[name]:
            try:
                arguments[name] = json.loads(arguments[name])
            except ValueError:
                raise Refused(error, f"{name} is no JSON") from None
    for name in FLAGS:
        if isinstance(arguments.get(name), str):
            arguments[name] = {"true": True, "1": True, "false": False, "0": False}.get(
                arguments[name].lower()
            )
    return arguments
