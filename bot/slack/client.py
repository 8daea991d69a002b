"""Async client for Slack's Web API: rate limits, retries and error translation."""

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
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.errors import CitewireError, SlackRejectedError, SlackUnavailableError
from bot.observability.tracing import span
from bot.settings import Settings
from bot.slack.rendering.answer import Message

# Half of the lease of a job, so that no message is posted after the lease has expired.
_CALL_TIMEOUT_SECONDS = 10
# For an idle connection: servers close it after five seconds, and a call sent at that moment would fail.
_KEEPALIVE_SECONDS = 4.0
# Each waits as long as Slack requests; a channel accepts about one message per second.
_MAX_RATE_LIMIT_RETRIES = 10
_PAGE_SIZE = 200
# Errors of Slack itself, from any method; according to its documentation, "some aspect of the operation" may have
# succeeded.
_SERVER_ERRORS = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
_MISSING_METHOD_ERRORS = frozenset(
    {"unknown_method", "method_deprecated", "not_implemented", "feature_not_enabled"}
)

logger = logging.getLogger(__name__)
FINAL_MESSAGE_TIMEOUT = 5.0  # seconds for each of the last messages at shutdown
_STREAM_PAUSE_SECONDS = 30.0  # without streams after Slack has rejected one


def open_session() -> aiohttp.ClientSession:
    """Return an HTTP session to share between clients, so that they reuse connections to Slack."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(keepalive_timeout=_KEEPALIVE_SECONDS),
        timeout=aiohttp.ClientTimeout(total=_CALL_TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def open_client(settings: Settings, session: aiohttp.ClientSession, *, retry: bool = True) -> AsyncWebClient:
    """Return a client with the token of the bot.

    Calls that may have succeeded are never retried automatically: after a broken connection, an answer would be posted
    twice.

    Args:
        retry: after a 429 response, wait as long as Slack requests and send the call again.
    """
    rate_limit_handler = AsyncRateLimitErrorRetryHandler(max_retry_count=_MAX_RATE_LIMIT_RETRIES)
    return AsyncWebClient(
        token=settings.slack_bot_token.get_secret_value(),
        base_url=settings.slack_api_url,
        session=session,
        retry_handlers=[rate_limit_handler] if retry else [],
    )


async def call_api(call: Awaitable[Any], method: str) -> Any:
    """Await a call of the SDK and translate its errors.

    Args:
        call: call of the SDK.
        method: name of the API method, for errors and spans.

    Raises:
        SlackRejectedError: if Slack rejects the call.
        SlackUnavailableError: if Slack is unavailable or reports an error of its own.
    """
    try:
        with span(f"slack {method}"):
            return await call
    except SlackApiError as exc:
        status, reason = _get_status(exc), _get_reason(exc)
        if status == 404 or reason in _MISSING_METHOD_ERRORS:
            raise SlackRejectedError(method, reason or "no such method", missing=True) from exc
        if status >= 500 or not reason or reason in _SERVER_ERRORS:
            raise SlackUnavailableError(f"{method}: {reason or f'status {status}'}") from exc
        raise SlackRejectedError(method, reason) from exc
    except (TimeoutError, aiohttp.ClientError, OSError, SlackClientError) as exc:
        raise SlackUnavailableError(f"{method}: {type(exc).__name__}") from exc


async def try_call(call: Awaitable[Any], method: str) -> bool:
    """Await an optional call: return True if it succeeded, otherwise log the error."""
    try:
        await call_api(call, method)
    except (SlackRejectedError, SlackUnavailableError) as exc:
        logger.info("not done: %s", exc)
        return False
    return True


async def post(client: AsyncWebClient, message: Message, *, channel: str, **more: Any) -> str:
    """Post a message, without unfurling its links, and return its ts.

    Raises:
        SlackRejectedError: if Slack rejects the message.
        SlackUnavailableError: if Slack is unavailable.
    """
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
    """Yield the messages of a thread, including the first; pages are requested as needed.

    Raises:
        SlackRejectedError: if Slack rejects the request.
        SlackUnavailableError: if Slack is unavailable.
    """
    cursor: str | None = None
    while cursor != "":
        arguments = {"channel": channel, "ts": thread, "limit": _PAGE_SIZE, "cursor": cursor, **more}
        page = await call_read_api(client, "conversations.replies", arguments)
        for message in page.get("messages") or ():
            yield message
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""


async def call_read_api(client: AsyncWebClient, method: str, arguments: Mapping[str, Any]) -> Any:
    """Call a method that only reads data, by POST: the SDK would use GET, which not every Slack API server accepts.

    Raises:
        SlackRejectedError: if Slack rejects the call.
        SlackUnavailableError: if Slack is unavailable.
    """
    params = {name: value for name, value in arguments.items() if value is not None}
    return await call_api(client.api_call(method, params=params), method)


async def post_ephemeral(
    client: AsyncWebClient, message: Message, *, channel: str, person: str, thread: str = ""
) -> None:
    """Post a message that only one user sees; log errors instead of raising them."""
    call = client.chat_postEphemeral(
        channel=channel, user=person, text=message.text, blocks=list(message.blocks), thread_ts=thread or None
    )
    await try_call(call, "chat.postEphemeral")


def _get_status(exc: SlackApiError) -> int:
    return int(getattr(exc.response, "status_code", 0) or getattr(exc.response, "status", 200))


def _get_reason(exc: SlackApiError) -> str:
    data = getattr(exc.response, "data", exc.response)
    return str(data.get("error", "")) if isinstance(data, dict) else ""


async def respond(url: str, message: Message, *, public: bool = False) -> bool:
    """Send a message to the response URL of a command or an action.

    Args:
        public: show it to the whole channel, not only to the user.

    Returns:
        True if Slack accepted the message.

    Raises:
        SlackUnavailableError: if Slack cannot be reached or fails.
    """
    webhook = AsyncWebhookClient(
        url, timeout=_CALL_TIMEOUT_SECONDS, retry_handlers=[AsyncRateLimitErrorRetryHandler()]
    )
    sent = await call_api(
        webhook.send(
            text=message.text,
            blocks=list(message.blocks),
            response_type="in_channel" if public else "ephemeral",
            replace_original=False,
            unfurl_links=False,
            unfurl_media=False,
        ),
        "response_url",
    )
    if sent.status_code >= 500:
        raise SlackUnavailableError(f"response_url: status {sent.status_code}")
    return bool(sent.status_code == 200)


class SlackClient:
    """Slack client with the identity of the bot and the detected capabilities of the server."""

    def __init__(
        self,
        client: AsyncWebClient,
        no_retry_client: AsyncWebClient,
        bot_user_id: str,
        *,
        team: str = "",
        helpers: bool,
    ) -> None:
        """Create the client.

        Args:
            client: client that waits as long as Slack requests after a 429 response, and sends the call again.
            no_retry_client: client that does not, so that a rate-limited stream or status does not delay an answer.
            bot_user_id: user id of the bot.
            team: team in which the app is installed, or an empty string for an organization with many teams.
            helpers: True if answers have a button that asks a person.
        """
        self.client = client
        self.no_retry_client = no_retry_client
        self.bot_user_id = bot_user_id
        self.team = team
        self.helpers = helpers
        self.missing_methods: set[str] = set()
        self._streaming_from = 0.0  # monotonic time
        self._background_tasks: set[asyncio.Task[None]] = set()

    def is_home_team(self, team: str | None) -> bool:
        """Return True if this is the team in which the app is installed, or if either team is unknown."""
        return not team or not self.team or team == self.team

    @property
    def can_stream(self) -> bool:
        """True if a stream may be started."""
        return time.monotonic() >= self._streaming_from

    def disable_streaming(self, exc: SlackRejectedError) -> None:
        """Disable streams for a while (Slack allows about 20 per minute), or permanently if the server has none."""
        self._streaming_from = math.inf if exc.missing else time.monotonic() + _STREAM_PAUSE_SECONDS

    def run_in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the background and log its errors."""
        task = asyncio.create_task(_log_errors(coroutine))
        self._background_tasks.add(task)  # the event loop only has a weak reference to it
        task.add_done_callback(self._background_tasks.discard)

    async def close(self) -> None:
        """Wait for the background tasks, at most `FINAL_MESSAGE_TIMEOUT` seconds, and close the session."""
        if self._background_tasks:
            await asyncio.wait(self._background_tasks, timeout=FINAL_MESSAGE_TIMEOUT)
        if self.client.session:
            await self.client.session.close()

    async def open_view(self, trigger: str, view: dict[str, Any]) -> str:
        """Open a modal and return its id.

        There are no retries, because the trigger is valid for three seconds.

        Raises:
            SlackRejectedError: if Slack rejects the call.
            SlackUnavailableError: if Slack is unavailable.
        """
        opened = await call_api(self.no_retry_client.views_open(trigger_id=trigger, view=view), "views.open")
        return str(opened["view"]["id"])

    async def attempt(self, method: str, call: str, **arguments: Any) -> None:
        """Make an optional call and ignore its errors; skip it if the server is known not to have the method."""
        if method in self.missing_methods:
            return
        try:
            await call_api(getattr(self.no_retry_client, call)(**arguments), method)
        except SlackRejectedError as exc:
            if exc.missing:
                self.missing_methods.add(method)
        except SlackUnavailableError:
            pass


async def _log_errors(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        await coroutine
    except CitewireError as exc:
        logger.warning("not said: %s", exc)
    except Exception as exc:  # noqa: BLE001 - its message may contain text of a user
        logger.error("not said: %s", type(exc).__name__)
