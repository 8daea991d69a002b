"""A stand-in for Slack that speaks Slack's protocols over real sockets: Web API, Events API over HTTP, Socket Mode.

    with SlackServer() as slack:
        slack.deliver_to = "http://127.0.0.1:3000/slack/events"   # or let the app connect with Socket Mode
        ts = slack.say("C0NEWS", "U0ANN", "<@U0BOT> Who won?")
        slack.wait_for(lambda: slack.messages("C0NEWS", ts, by="U0BOT"))
        assert not slack.problems and not slack.unsafe

Every call is checked against Slack's documented limits and refused with Slack's own error code. `problems` lists what was
refused, and what Slack would accept and silently mishandle; `unsafe` every mention and link in what was sent that is not in
`allowed_mentions` and `allowed_links`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web
from slack_delivery import EVENTS, Ack, Courier, Delivery
from slack_limits import Refused, check_view, refuse
from slack_methods import METHODS, content_of, needed, response
from slack_people import People
from slack_safety import found
from slack_state import BOT, Message, Ticket

from bot.slack.scopes import BOT_SCOPES

T = TypeVar("T")

JSON_ARGUMENTS = {"blocks": "invalid_blocks_format", "view": "invalid_arguments", "metadata": "invalid_metadata_format",
                  "attachments": "invalid_attachments", "chunks": "invalid_chunks", "prompts": "invalid_arguments",
                  "loading_messages": "invalid_arguments"}  # fmt: skip
FLAGS = ("unfurl_links", "unfurl_media", "replace_original", "delete_original", "reply_broadcast")


@dataclass
class Call:
    """A call of the Web API, or `response_url`: `at` a time of `time.perf_counter()`, `error` what it was refused with."""

    method: str
    arguments: dict[str, Any]
    at: float
    error: str = ""
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """How a call shall fail."""

    error: str | None
    status: int
    retry_after: float | None
    drop: bool
    after_effect: bool


class SlackServer(People):
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
        self.scopes = set(BOT_SCOPES)  # as the manifest asks for
        self.app_scopes = {"connections:write"}
        self.groups = [
            {"id": "S0DESK", "team_id": "T0TEAM", "handle": "desk", "name": "Desk", "users": ["U0BEN"]}
        ]
        self.trigger_seconds = 3.0
        self.calls: list[Call] = []
        self.deliveries: dict[str, Delivery] = {}
        self.problems: list[str] = []
        self.unsafe: list[str] = []
        self.allowed_links: set[str] = set()
        self.allowed_mentions: set[str] = set()
        self.courier = Courier(signing_secret=signing_secret)
        self.courier.told = self._notify
        self._failures: defaultdict[str, deque[Failure]] = defaultdict(deque)
        self._delays: dict[str, float] = {}
        self._missing: dict[str, bool] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slack")
        self._port = 0
        self._runner: web.AppRunner | None = None

    # ---- life

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

    # ---- what a test sets and asks

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

    @property
    def connections(self) -> int:
        """How many Socket Mode connections stand open."""
        return len(self.courier.connections)

    def fail(
        self, method: str, error: str | None = None, *, status: int = 200, retry_after: float | None = None,
        times: int = 1, drop: bool = False, after_effect: bool = False,
    ) -> None:  # fmt: skip
        """Let the next calls of a method fail: with an error code, a status, or a dropped connection."""
        with self.changed:
            self._failures[method] += [Failure(error, status, retry_after, drop, after_effect)] * times

    def delay(self, method: str, seconds: float) -> None:
        """Let every call of a method take this long."""
        self._delays[method] = seconds

    def without(self, *methods: str, html: bool = True) -> None:
        """Be a server that lacks these methods: a 404 with a page, or Slack's `unknown_method`."""
        self._missing |= dict.fromkeys(methods, html)

    def called(self, *methods: str) -> list[Call]:
        """List the calls of these methods that took effect."""
        with self.changed:
            return [call for call in self.calls if call.method in methods and not call.error]

    def wait_for(self, predicate: Callable[[], T], timeout: float = 10) -> T:
        """Wait until it holds, looking again whenever something happened; give what it returned."""
        with self.changed:
            if self.changed.wait_for(predicate, timeout):
                return predicate()
            calls = "\n".join(f"  {call.method} {call.error}" for call in self.calls[-12:])
            raise AssertionError(
                f"It did not come about in {timeout} s. Problems: {self.problems}. Last calls:\n{calls}"
            )

    def redeliver(self, event_id: str, *, reason: str = "http_timeout") -> None:
        """Deliver an event again, as Slack does when it believes that nobody answered."""
        again = Delivery(event_id, EVENTS, self.deliveries[event_id].payload)
        self._loop.call_soon_threadsafe(lambda: self.courier.start(again, retry=1, reason=reason))

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Ask the app to reconnect (Socket Mode) and close its connections."""
        self._on_loop(self.courier.disconnect(reason))

    def drop_connections(self) -> None:
        """Cut the Socket Mode connections without a word."""
        self._loop.call_soon_threadsafe(self.courier.drop)

    def stop_stream(self, channel: str, ts: str, error: str = "stopped_by_user") -> None:
        """End a stream under the app's hands: by a person, or by age (`message_not_in_streaming_state`)."""
        with self.changed:
            self.streams[channel, ts].ended = error

    def problem(self, method: str, why: str) -> None:
        """Note what a real Slack would refuse or mishandle."""
        self.problems.append(f"{method}: {why}")

    def problem_if(self, holds: bool, method: str, why: str) -> None:
        """Note a problem when it holds."""
        if holds:
            self.problem(method, why)

    def need(self, *scopes: str) -> None:
        """Refuse unless the app has one of the scopes."""
        if scopes and not self.scopes & set(scopes):
            raise Refused("missing_scope", needed=scopes[0], provided=",".join(sorted(self.scopes)))

    # ---- what the app calls

    async def _serve_method(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        if self._missing.get(name):
            return web.Response(
                status=404, text="<!DOCTYPE html><title>Not found</title>", content_type="text/html"
            )
        raw, token = await _arguments(request)
        call = Call(name, raw, time.perf_counter())
        await asyncio.sleep(self._delays.get(name, 0))
        with self.changed:
            failure = self._failures[name].popleft() if self._failures[name] else None
            if failure is None or failure.after_effect:
                call.answer = self._answer(call, token)
                call.error = call.answer.get("error", "")
            if failure:
                call.error = call.error or (
                    "" if failure.after_effect else failure.error or f"status {failure.status}"
                )
            self.calls.append(call)
            self.changed.notify_all()
        return self._failed(request, failure) if failure else self._answered(call.answer)

    def _answered(self, answer: dict[str, Any]) -> web.Response:
        return web.json_response(answer, headers={"X-OAuth-Scopes": ",".join(sorted(self.scopes))})

    def _failed(self, request: web.Request, failure: Failure) -> web.Response:
        if failure.drop and request.transport:
            request.transport.abort()
        headers = {} if failure.retry_after is None else {"Retry-After": f"{failure.retry_after:g}"}
        default = {429: "ratelimited", 200: "internal_error"}.get(failure.status, "service_unavailable")
        answer = {"ok": False, "error": failure.error or default}
        return web.json_response(answer, status=failure.status, headers=headers)

    def _answer(self, call: Call, token: str) -> dict[str, Any]:
        try:
            self._admit(call, token)
            answer = {"ok": True} | METHODS[call.method].run(self, call.arguments)
        except Refused as refused:
            self.problem(call.method, str(refused))
            return refused.answer
        except Exception as fault:
            self.problem(call.method, f"the tests' server itself failed: {fault!r}")
            raise
        self.check_safety(call.method, call.arguments)
        return json.loads(json.dumps(answer))

    def _admit(self, call: Call, token: str) -> None:
        refuse(call.method not in METHODS or call.method in self._missing, "unknown_method", call.method)
        refuse(not token, "not_authed")
        by_app = call.method == "apps.connections.open"
        refuse(token not in (self.bot_token, self.app_token), "invalid_auth")
        refuse(token != (self.app_token if by_app else self.bot_token), "not_allowed_token_type")
        if by_app:
            refuse("connections:write" not in self.app_scopes, "missing_scope", "connections:write")
        call.arguments = decoded(call.arguments)
        missing = [name for name in METHODS[call.method].needs if not call.arguments.get(name)]
        refuse(bool(missing), "invalid_arguments", f"[ERROR] missing required field: {missing}")
        self.need(*needed(self, call.method, call.arguments))

    def check_safety(self, method: str, arguments: dict[str, Any]) -> None:
        """Note every mention and link that the app was not allowed to send."""
        allowed = {*self.allowed_links, *(f"<{each.strip('<>')}>" for each in self.allowed_mentions)}
        streamed = self.streams.get((arguments.get("channel", ""), arguments.get("ts", "")))
        whole = {"markdown_text": streamed.text} if streamed else {}
        for each in (*found(arguments), *found(whole)):
            note = f"{method}: {each}"
            if each not in allowed and note not in self.unsafe:
                self.unsafe.append(note)

    async def _serve_response(self, request: web.Request) -> web.Response:
        raw, _ = await _arguments(request)
        call = Call("response_url", raw, time.perf_counter())
        with self.changed:
            try:
                call.arguments = decoded(raw)
                response(self, request.match_info["token"], call.arguments)
                self.check_safety(call.method, call.arguments)
            except Refused as refused:
                self.problem(call.method, str(refused))
                call.error = refused.code
            self.calls.append(call)
            self.changed.notify_all()
        if call.error:
            return web.json_response(
                {"ok": False, "error": call.error}, status=404 if "url" in call.error else 400
            )
        return web.Response(text="ok")

    # ---- Socket Mode

    def socket_url(self) -> str:
        """Make a ticket for one connection."""
        return f"ws://127.0.0.1:{self._port}/socket/{uuid.uuid4().hex}"

    async def _serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(heartbeat=30)
        await connection.prepare(request)
        await self.courier.serve_socket(connection)
        return connection

    def send(self, kind: str, payload: dict[str, Any], name: str) -> Delivery:
        delivery = Delivery(name, kind, json.loads(json.dumps(payload)))
        self.deliveries[name] = delivery
        if kind != EVENTS:
            delivery.outcome.add_done_callback(lambda _: self._settled(delivery))
        self._loop.call_soon_threadsafe(self.courier.start, delivery)
        return delivery

    def _settled(self, delivery: Delivery) -> None:
        with self.changed:
            self.problem_if(not delivery.delivered, delivery.kind, f"{delivery.id} was not acknowledged")
            answer = delivery.outcome.result()
            if delivery.kind == "slash_commands" and answer:
                self.check_safety("ack", answer)
                self.show(delivery.payload["channel_id"], delivery.payload["user_id"], content_of(answer))

    # ---- ephemeral messages and answers by response_url

    def response_url(self, ticket: Ticket) -> str:
        token = uuid.uuid4().hex
        self.response_urls[token] = ticket
        return f"http://127.0.0.1:{self._port}/response/{token}"

    def show(self, channel: str, user: str, content: dict[str, Any]) -> Message:
        """Show somebody what only they see."""
        blocks = {"blocks": self.with_ids(content["blocks"])} if "blocks" in content else {}
        shown = {"type": "message", "user": BOT, "channel": channel, "only_for": user, "ts": self.next_ts()}
        self.ephemerals.append(shown | content | blocks)
        self.changed.notify_all()
        return self.ephemerals[-1]

    def _original(self, ticket: Ticket) -> Message:
        original = [
            each for each in self.ephemerals if each["ts"] == ticket.ts and each["only_for"] == ticket.user
        ]
        return original[0] if original else self.message(ticket.channel, ticket.ts)

    def replace_original(self, ticket: Ticket, content: dict[str, Any]) -> None:
        """Put something else in the place of the message that was clicked."""
        refuse(not ticket.ts, "no_original", "a command has no message to replace")
        message = self._original(ticket)
        blocks = {"blocks": self.with_ids(content["blocks"])} if "blocks" in content else {}
        message.pop("blocks", None)
        message.update(content | blocks)

    def take_back(self, ticket: Ticket) -> None:
        """Remove the message that was clicked."""
        refuse(not ticket.ts, "no_original", "a command has no message to delete")
        message = self._original(ticket)
        if message in self.ephemerals:
            self.ephemerals.remove(message)
        else:
            self.remove(self.channels[ticket.channel], message)

    # ---- views

    def open_view(self, view: dict[str, Any], user: str, *, below: str = "") -> dict[str, Any]:
        """Keep a view as Slack does: with ids, a hash and its place in the stack."""
        view_id = self.next_id("V")
        root = self.views[below]["root_view_id"] if below else view_id
        kept = {"callback_id": "", "private_metadata": "", "external_id": ""} | view | {
            "id": view_id, "team_id": "T0TEAM", "app_id": "A0APP", "bot_id": "B0BOT", "root_view_id": root,
            "previous_view_id": below or None, "state": {"values": {}}, "only_for": user,
            "blocks": self.with_ids(view["blocks"]), "hash": self._hash()}  # fmt: skip
        self.views[view_id] = kept
        return kept

    def push_view(self, view: dict[str, Any], user: str, below: str) -> dict[str, Any]:
        """Put a view upon another, three at most."""
        stack = [
            each for each in self.views.values() if each["root_view_id"] == self.views[below]["root_view_id"]
        ]
        refuse(len(stack) >= 3, "push_limit_reached")
        return self.open_view(view, user, below=below)

    def replace_view(self, view_id: str, view: dict[str, Any], expected: str | None) -> dict[str, Any]:
        """Change a view in place, if it still is the one that the app knows."""
        refuse(bool(expected) and expected != self.views[view_id]["hash"], "hash_conflict")
        self.views[view_id] |= view | {"blocks": self.with_ids(view["blocks"]), "hash": self._hash()}
        return self.views[view_id]

    def publish(self, user: str, view: dict[str, Any], expected: str | None) -> dict[str, Any]:
        """Show somebody their home tab."""
        if user in self.homes:
            return self.replace_view(self.homes[user], view, expected)
        published = self.open_view(view, user)
        self.homes[user] = published["id"]
        return published

    def _hash(self) -> str:
        return f"{time.time():.0f}.{hashlib.sha1(self.next_ts().encode()).hexdigest()[:8]}"

    def _submitted(self, view_id: str, user: str, answer: dict[str, Any]) -> None:
        """Do to a modal what the app answered to its submission."""
        with self.changed:
            action = answer.get("response_action")
            try:
                if action in {"update", "push"}:
                    check_view(answer["view"], kinds=("modal",))
                    self.check_safety("view_submission", answer)
                if action == "update":
                    self.replace_view(view_id, answer["view"], None)
                elif action == "push":
                    self.push_view(answer["view"], user, view_id)
                elif action == "clear":
                    root = self.views[view_id]["root_view_id"]
                    self.views = {
                        key: view for key, view in self.views.items() if view["root_view_id"] != root
                    }
                elif action != "errors":
                    self.views.pop(view_id)
            except Refused as refused:
                self.problem("view_submission", str(refused))
            self.changed.notify_all()


async def _arguments(request: web.Request) -> tuple[dict[str, Any], str]:
    """Give a request's arguments, from query, form or JSON, and its token."""
    given: dict[str, Any] = dict(request.query)
    if request.can_read_body and request.content_type == "application/json":
        given |= await request.json()
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
