"""How Slack's events come in: over a socket that is opened to Slack, or as HTTP requests from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from starlette.routing import Router

from bot.errors import SlackError, SlackRefusedError, SlackTroubleError
from bot.server.front import Front
from bot.server.listening import Address, listening
from bot.server.patience import Patience
from bot.server.slack_events import EVENTS_PATH, slack_route
from bot.slack.api import refused
from bot.slack.web import told

_LONGEST = 30.0  # seconds that a request may take; Slack waits for three
_PING = 10.0  # seconds between the SDK's looks at a socket, and before it tries again to open one


@contextlib.asynccontextmanager
async def over_http(
    app: AsyncApp, address: Address, say: Callable[[str], None], patience: Patience
) -> AsyncIterator[None]:
    """Take requests at an address. Raises ServiceError where it cannot be had."""
    front = Front(Router([slack_route(lambda: app)], redirect_slashes=False), longest=_LONGEST)
    async with listening(front, address, patience=patience) as url:
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
        opened = await told(client.web_client.apps_connections_open(app_token=token), method)
    except SlackRefusedError as exc:
        raise refused("SLACK_APP_TOKEN", exc) from exc
    except SlackTroubleError as exc:
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
