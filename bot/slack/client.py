"""Slack's Web API: the client, what it does about limits, and what its errors mean."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import CitewireError, SlackRejectedError, SlackUnavailableError
from bot.observability.tracing import span
from bot.settings import Settings
from bot.slack.rendering.answer import Message

_TIMEOUT = 10  # seconds a call may take: half of a lease on a job, so that nobody posts past its end
_KEPT = 4.0  # seconds for a connection that nobody uses: servers close theirs after five, and a call could meet that
_RATE_RETRIES = 10  # Slack says how long to wait; a channel takes about a message a second
_PAGE = 200
# What Slack says when it has failed itself, of any method; "some aspect of the operation" may have succeeded.
_OWN_TROUBLE = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
_NO_SUCH_METHOD = frozenset({"unknown_method", "method_deprecated", "not_implemented", "feature_not_enabled"})

logger = logging.getLogger(__name__)
FINAL_MESSAGE_TIMEOUT = 5.0  # seconds for each of the last things said before the end of the process
_NO_STREAMS = 30.0  # seconds without streams after Slack has refused one


def open_session() -> aiohttp.ClientSession:
    """Return what the calls of all clients go through, so that not each has to greet Slack anew."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(keepalive_timeout=_KEPT),
        timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def open_client(
    settings: Settings, session: aiohttp.ClientSession, *, patient: bool = True
) -> AsyncWebClient:
    """Return a client for the bot's token. After 429 a patient one waits as long as Slack says, and sends it again.

    It never sends again by itself what may have had its effect: a broken connection would post an answer twice.
    """
    return AsyncWebClient(
        token=settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url,
        session=session,
        retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=_RATE_RETRIES)] if patient else [],
    )


async def call_api(call: Awaitable[Any], method: str) -> Any:
    """Await a call; translate what the SDK raises into SlackRejectedError or SlackUnavailableError."""
    try:
        with span(f"slack {method}"):
            return await call
    except SlackApiError as exc:
        status, reason = _status(exc), _reason(exc)
        if status == 404 or reason in _NO_SUCH_METHOD:
            raise SlackRejectedError(method, reason or "no such method", missing=True) from exc
        if status >= 500 or not reason or reason in _OWN_TROUBLE:
            raise SlackUnavailableError(f"{method}: {reason or f'status {status}'}") from exc
        raise SlackRejectedError(method, reason) from exc
    except (TimeoutError, aiohttp.ClientError, OSError, SlackClientError) as exc:
        raise SlackUnavailableError(f"{method}: {type(exc).__name__}") from exc


async def try_call(call: Awaitable[Any], method: str) -> bool:
    """Await a call that nothing depends on; say whether it succeeded, and log it where it did not."""
    try:
        await call_api(call, method)
    except (SlackRejectedError, SlackUnavailableError) as exc:
        logger.info("not done: %s", exc)
        return False
    return True


async def post(client: AsyncWebClient, message: Message, *, channel: str, **more: Any) -> str:
    """Post a message and return its ts. Nothing in it is unfurled. Raises SlackRejectedError, SlackUnavailableError."""
    call = client.chat_postMessage(
        channel=channel,
        text=message.text,
        blocks=list(message.blocks),
        unfurl_links=False,
        unfurl_media=False,
        **more,
    )
    return str((await call_api(call, "chat.postMessage"))["ts"])


async def iter_thread(
    client: AsyncWebClient, channel: str, thread: str, **more: Any
) -> AsyncIterator[dict[str, Any]]:
    """Yield the messages of a thread, its first included, page by page. Raises SlackRejectedError, SlackUnavailableError."""
    cursor: str | None = None
    while cursor != "":
        asked = {"channel": channel, "ts": thread, "limit": _PAGE, "cursor": cursor, **more}
        page = await ask(client, "conversations.replies", asked)
        for message in page.get("messages") or ():
            yield message
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""


async def ask(client: AsyncWebClient, method: str, asked: Mapping[str, Any]) -> Any:
    """Call a method that only reads; by POST, which every server of Slack's API takes, where the SDK would GET."""
    params = {name: value for name, value in asked.items() if value is not None}
    return await call_api(client.api_call(method, params=params), method)


async def post_ephemeral(
    client: AsyncWebClient, message: Message, *, channel: str, person: str, thread: str = ""
) -> None:
    """Say something that only one person sees; nothing depends on it."""
    call = client.chat_postEphemeral(
        channel=channel, user=person, text=message.text, blocks=list(message.blocks), thread_ts=thread or None
    )
    await try_call(call, "chat.postEphemeral")


def _status(exc: SlackApiError) -> int:
    return int(getattr(exc.response, "status_code", 0) or getattr(exc.response, "status", 200))


def _reason(exc: SlackApiError) -> str:
    data = getattr(exc.response, "data", exc.response)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


class SlackClient:
    """What this process says things with: the client, who it is, and what the server was found not to have."""

    def __init__(
        self, client: AsyncWebClient, impatient: AsyncWebClient, me: str, *, team: str = "", helpers: bool
    ) -> None:
        """Speak as the bot user `me`, of one `team` or of many (""); `helpers`: a button of answers calls a person.

        After 429 `client` waits for as long as Slack says, and the `impatient` one does not: a stream that may not
        begin yet, or a status that may not be shown, is no reason to keep a whole answer back.
        """
        self.client = client
        self.no_retry_client = impatient
        self.bot_user_id = me
        self.team = team
        self.helpers = helpers
        self.lacks: set[str] = set()
        self._streams_from = 0.0  # by the monotonic clock
        self._said: set[asyncio.Task[None]] = set()

    def is_home_team(self, team: str | None) -> bool:
        """Say whether this is the team that the app is installed in, as far as that is known."""
        return not team or not self.team or team == self.team

    @property
    def streams(self) -> bool:
        """Whether a stream may be begun."""
        return time.monotonic() >= self._streams_from

    def disable_streaming(self, exc: SlackRejectedError) -> None:
        """Begin no stream for a while: Slack takes about 20 a minute, and some servers take none."""
        self._streams_from = math.inf if exc.missing else time.monotonic() + _NO_STREAMS

    def run_in_background(self, said: Coroutine[Any, Any, None]) -> None:
        """Say something in the background."""
        task = asyncio.create_task(_logged(said))
        self._said.add(task)  # the loop itself keeps no hold of it
        task.add_done_callback(self._said.discard)

    async def close(self) -> None:
        """Give what is still being said a moment, and end."""
        if self._said:
            await asyncio.wait(self._said, timeout=FINAL_MESSAGE_TIMEOUT)
        if self.client.session:
            await self.client.session.close()

    async def open_view(self, trigger: str, view: dict[str, Any]) -> str:
        """Open a modal and return its id, at once or not at all: what triggered it is good for three seconds."""
        opened = await call_api(self.no_retry_client.views_open(trigger_id=trigger, view=view), "views.open")
        return str(opened["view"]["id"])

    async def attempt(self, method: str, call: str, **arguments: Any) -> None:
        """Make a call that nothing depends on, unless the server is known not to have it."""
        if method in self.lacks:
            return
        try:
            await call_api(getattr(self.no_retry_client, call)(**arguments), method)
        except SlackRejectedError as exc:
            if exc.missing:
                self.lacks.add(method)
        except SlackUnavailableError:
            pass


async def _logged(said: Coroutine[Any, Any, None]) -> None:
    try:
        await said
    except CitewireError as exc:
        logger.warning("not said: %s", exc)
    except Exception as exc:  # noqa: BLE001 - its words may hold what somebody said
        logger.error("not said: %s", type(exc).__name__)
