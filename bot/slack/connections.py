"""How Slack's events come in: over a socket that is opened to Slack, or as HTTP requests from it."""

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
from bot.slack.doctor import refused

logger = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_MOST_BYTES = 1_000_000
_LONGEST = 30.0  # seconds that a request may take; Slack waits for three
_PING = 10.0  # seconds between the SDK's looks at a socket, and before it tries again to open one


@contextlib.asynccontextmanager
async def over_http(
    app: AsyncApp, address: BindAddress, say: Callable[[str], None], patience: Timeouts
) -> AsyncIterator[None]:
    """Take requests at an address. Raises BindError where it cannot be had."""
    front = RequestMiddleware(Router([slack_route(lambda: app)], redirect_slashes=False), longest=_LONGEST)
    async with serve_http(front, address, patience=patience) as url:
        say(f"Listening for Slack at {url}{EVENTS_PATH}")
        yield


@contextlib.asynccontextmanager
async def over_socket(app: AsyncApp, token: str, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Keep a socket to Slack open. Raises SlackError where Slack refuses the token or is not there at all."""
    client = AsyncSocketModeHandler(app, token, ping_interval=_PING).client
    tasks: list[asyncio.Task[None]] = []
    try:
        client.wss_uri = await _address(client, token)
        tasks += [
            asyncio.create_task(_connect(client, say)),
            asyncio.create_task(_drop_used_addresses(client)),
        ]
        yield
    finally:
        for task in tasks:
            task.cancel()
        await client.close()  # type: ignore[no-untyped-call]  # the SDK's


async def _address(client: SocketModeClient, token: str) -> str:
    """Ask for a socket's address, once: the SDK asks for ever, also with a token that is refused."""
    method = "apps.connections.open"
    try:
        opened = await call_api(client.web_client.apps_connections_open(app_token=token), method)
    except SlackRejectedError as exc:
        raise refused("SLACK_APP_TOKEN", exc) from exc
    except SlackUnavailableError as exc:
        raise SlackError(f"no socket to Slack could be opened: {exc}") from exc
    return str(opened["url"])


async def _connect(client: SocketModeClient, say: Callable[[str], None]) -> None:
    await client.connect()  # type: ignore[no-untyped-call]  # the SDK's
    say("Connected to Slack over a socket")


async def _drop_used_addresses(client: SocketModeClient) -> None:
    """Take away the address of a socket that does not open: it is good for one try.

    The SDK asks for another where it has none, and would else try the old one for ever.
    """
    while True:
        await asyncio.sleep(_PING / 2)
        if not await client.is_connected():
            client.wss_uri = None


def slack_route(current: Callable[[], AsyncApp | None]) -> Route:
    """Return the route of Slack's requests; `current` returns what takes them in, None where nothing does yet."""

    async def receive(request: Request) -> Response:
        body = await read_body(request, _MOST_BYTES)
        app = current()
        if app is None:  # who is meant cannot be told while we do not know who we are; Slack sends it again
            raise HttpError(503, "away", "Slack's API cannot be reached now; send it again in a moment")
        try:
            return to_starlette_response(await app.async_dispatch(to_async_bolt_request(request, body)))
        except Exception as exc:  # noqa: BLE001 - Bolt reads a body before it looks at the signature, and trusts its form
            logger.warning("a request that is not Slack's: %s", type(exc).__name__)
            raise HttpError(400, "input", "that is no request of Slack's") from None

    return Route(EVENTS_PATH, receive, methods=["POST"])
