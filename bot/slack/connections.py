"""Event delivery from Slack: Socket Mode and HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from bot.errors import SlackError, SlackRejectedError, SlackUnavailableError
from bot.server.ask_request import read_body
from bot.server.errors import HttpError
from bot.server.middleware import RequestMiddleware
from bot.server.runner import BindAddress, serve_http
from bot.server.timeouts import Timeouts
from bot.slack.client import call_api
from bot.slack.doctor import build_token_error

logger = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_MAX_BODY_BYTES = 1_000_000
_REQUEST_TIMEOUT_SECONDS = 30.0  # for handling a request; Slack waits for three
# Between two checks of the socket by the SDK, and before it tries again to open one.
_PING_INTERVAL_SECONDS = 10.0


@contextlib.asynccontextmanager
async def receive_over_http(
    app: AsyncApp, address: BindAddress, on_listening: Callable[[str], None], timeouts: Timeouts
) -> AsyncIterator[None]:
    """Receive events over HTTP during the block.

    Args:
        on_listening: called with a line of text that contains the URL.

    Raises:
        BindError: if the address is not available.
    """
    middleware = RequestMiddleware(
        Router([slack_route(lambda: app)], redirect_slashes=False), timeout=_REQUEST_TIMEOUT_SECONDS
    )
    async with serve_http(middleware, address, timeouts=timeouts) as url:
        on_listening(f"Listening for Slack at {url}{EVENTS_PATH}")
        yield


@contextlib.asynccontextmanager
async def receive_over_socket(
    app: AsyncApp, token: str, on_listening: Callable[[str], None]
) -> AsyncIterator[None]:
    """Receive events over a socket to Slack during the block, and reopen it if it is closed.

    Args:
        token: app-level token.
        on_listening: called with a line of text when the socket is connected.

    Raises:
        SlackError: if Slack is unavailable or rejects the token.
    """
    client = AsyncSocketModeHandler(app, token, ping_interval=_PING_INTERVAL_SECONDS).client
    tasks: list[asyncio.Task[None]] = []
    try:
        client.wss_uri = await _request_socket_url(client, token)
        tasks += [
            asyncio.create_task(_connect(client, on_listening)),
            asyncio.create_task(_drop_used_urls(client)),
        ]
        yield
    finally:
        for task in tasks:
            task.cancel()
        await client.close()  # type: ignore[no-untyped-call]  # the SDK's


async def _request_socket_url(client: SocketModeClient, token: str) -> str:
    """Request the URL of a socket, once: the SDK retries indefinitely, even if the token is rejected.

    Raises:
        SlackError: if Slack is unavailable or rejects the token.
    """
    method = "apps.connections.open"
    try:
        response = await call_api(client.web_client.apps_connections_open(app_token=token), method)
    except SlackRejectedError as exc:
        raise build_token_error("SLACK_APP_TOKEN", exc) from exc
    except SlackUnavailableError as exc:
        raise SlackError(f"no socket to Slack could be opened: {exc}") from exc
    return str(response["url"])


async def _connect(client: SocketModeClient, on_listening: Callable[[str], None]) -> None:
    await client.connect()  # type: ignore[no-untyped-call]  # the SDK's
    on_listening("Connected to Slack over a socket")


async def _drop_used_urls(client: SocketModeClient) -> None:
    """Drop the URL of a socket that is not connected, because a URL can be used once.

    Without a URL, the SDK requests a new one; otherwise it would retry the old one indefinitely.
    """
    while True:
        await asyncio.sleep(_PING_INTERVAL_SECONDS / 2)
        if not await client.is_connected():
            client.wss_uri = None


def slack_route(get_app: Callable[[], AsyncApp | None]) -> Route:
    """Return the route for the requests of Slack.

    Args:
        get_app: returns the app that handles them, or None if there is none yet.
    """

    async def receive(request: Request) -> Response:
        body = await read_body(request, _MAX_BODY_BYTES)
        app = get_app()
        if app is None:  # before the id of the bot is known, mentions cannot be recognized; Slack retries
            raise HttpError(503, "away", "Slack's API cannot be reached now; send it again in a moment")
        try:
            return to_starlette_response(await app.async_dispatch(to_async_bolt_request(request, body)))
        except Exception as exc:  # noqa: BLE001 - Bolt parses the unvalidated body before it checks the signature
            logger.warning("a request that is not Slack's: %s", type(exc).__name__)
            raise HttpError(400, "input", "that is no request of Slack's") from None

    return Route(EVENTS_PATH, receive, methods=["POST"])
