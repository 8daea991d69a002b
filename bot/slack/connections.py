"""How Slack's events come in: over a socket that is opened to Slack, or as HTTP requests from it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.errors import SlackError, SlackRefusedError, SlackTroubleError
from bot.slack.api import refused
from bot.slack.web import told

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_PING = 10.0  # seconds between the SDK's looks at a socket, and before it tries again to open one


class Address(NamedTuple):
    """Where requests are taken in HTTP mode; port 0 lets the system pick one."""

    host: str
    port: int


@contextlib.asynccontextmanager
async def over_http(app: AsyncApp, address: Address, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Take requests at an address. Raises SlackError where it cannot be had."""

    async def receive(request: web.Request) -> web.Response:
        try:
            response = await app.async_dispatch(await to_bolt_request(request))
        except web.HTTPException:  # too large
            raise
        except Exception as exc:  # noqa: BLE001 - Bolt reads a body before it looks at the signature, and trusts its form
            log.warning("a request that is not Slack's: %s", type(exc).__name__)
            return web.Response(status=400)
        answered: web.Response = await to_aiohttp_response(response)
        return answered

    server = web.Application()
    server.add_routes([web.post(EVENTS_PATH, receive)])
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address)
        try:
            await site.start()
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise SlackError(
                f"port {address.port} cannot be opened: {reason}; name another with --port"
            ) from exc
        host, port = runner.addresses[0][:2]
        say(f"Listening for Slack at http://{host}:{port}{EVENTS_PATH}")
        yield
    finally:
        await runner.cleanup()


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
