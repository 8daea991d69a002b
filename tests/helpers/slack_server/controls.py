"""What a test sets, asks and waits for."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.slack.scopes import BOT_SCOPES
from slack_server.refusal import Refused
from slack_server.safety import found
from slack_server.scripted_user import Hands

T = TypeVar("T")


@dataclass
class Call:
    """A call of the Web API, or of a `response_url`: `at` a time of `time.perf_counter()`.

    `error` is what it was refused with, or how it was made to fail before it took effect.
    """

    method: str
    arguments: dict[str, Any]
    at: float
    error: str = ""
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """How a call shall fail."""

    error: str | None = None
    status: int = 200
    retry_after: float | None = None
    drop: bool = False
    after_effect: bool = False

    @property
    def code(self) -> str:
        """The error code in the answer."""
        default = {429: "ratelimited", 200: "internal_error"}.get(self.status, "service_unavailable")
        return self.error or ("connection dropped" if self.drop else default)


class Controls(Hands):
    """The test's side of the server."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes = set(BOT_SCOPES)  # as the manifest asks for
        self.app_scopes = {"connections:write"}
        self.groups = [
            {"id": "S0DESK", "team_id": "T0TEAM", "handle": "desk", "name": "Desk", "users": ["U0BEN"]}
        ]
        self.trigger_seconds = 3.0
        self.calls: list[Call] = []
        self.problems: list[str] = []
        self.unsafe: list[str] = []
        self.allowed_links: set[str] = set()
        self.allowed_mentions: set[str] = set()
        self.missing: dict[str, bool] = {}
        self.delays: dict[str, float] = {}
        self._failures: defaultdict[str, deque[Failure]] = defaultdict(deque)
        self._rates: dict[str, tuple[int, float, deque[float]]] = {}

    def fail(self, method: str, error: str | None = None, *, times: int = 1, **how: Any) -> None:
        """Let the next calls of a method fail.

        `error`: with this code; `status`, `retry_after`: as HTTP says it; `drop`: the connection ends without an
        answer; `after_effect`: what was asked for has been done before.
        """
        with self.changed:
            self._failures[method] += [Failure(error, **how)] * times

    def mend(self, method: str) -> None:
        """Let a method work again."""
        with self.changed:
            self._failures[method].clear()

    def rate(self, method: str, calls: int, *, per: float = 60.0) -> None:
        """Answer 429 with Retry-After to whatever goes beyond so many calls in `per` seconds."""
        self._rates[method] = (calls, per, deque())

    def delay(self, method: str, seconds: float) -> None:
        """Let every call of a method take this long."""
        self.delays[method] = seconds

    def without(self, *methods: str, html: bool = True) -> None:
        """Be a server that lacks these methods: a 404 with a page, or Slack's `unknown_method`."""
        self.missing |= dict.fromkeys(methods, html)

    def next_failure(self, method: str) -> Failure | None:
        """Say how the call that has just come shall fail, if it shall."""
        if self._failures[method]:
            return self._failures[method].popleft()
        calls, per, times = self._rates.get(method, (0, 0.0, deque()))
        now = time.monotonic()
        while times and now - times[0] >= per:
            times.popleft()
        if calls and len(times) >= calls:
            return Failure(status=429, retry_after=max(1, round(per - (now - times[0]))))
        times.append(now)
        return None

    def called(self, *methods: str) -> list[Call]:
        """List the calls of these methods that took effect."""
        with self.changed:
            return [call for call in self.calls if call.method in methods and not call.error]

    def wait_for(self, predicate: Callable[[], T], timeout: float = 30) -> T:
        """Wait until it holds, looking again whenever something happened; give what it returned."""
        with self.changed:
            if held := self.changed.wait_for(predicate, timeout):
                return held
            calls = "\n".join(f"  {call.method} {call.error}" for call in self.calls[-12:])
            raise AssertionError(f"Not within {timeout} s. Problems: {self.problems}. Last calls:\n{calls}")

    async def until(self, predicate: Callable[[], T], timeout: float = 30) -> T:
        """Wait like `wait_for`, while the caller's loop goes on."""
        return await asyncio.to_thread(self.wait_for, predicate, timeout)

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

    def check_safety(self, method: str, arguments: dict[str, Any]) -> None:
        """Note every mention and link that the app was not allowed to send, a stream's text as a whole."""
        allowed = {*self.allowed_links, *(f"<{each.strip('<>')}>" for each in self.allowed_mentions)}
        stream = self.streams.get((arguments.get("channel", ""), arguments.get("ts", "")))
        whole = {"markdown_text": stream.text} if stream else {}
        for each in (*found(arguments), *found(whole)):
            note = f"{method}: {each}"
            if each not in allowed and note not in self.unsafe:
                self.unsafe.append(note)
