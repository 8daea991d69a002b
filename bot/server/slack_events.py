"""`POST /slack/events`: what Slack sends, taken to Bolt, which looks at its signature."""

from __future__ import annotations

import logging
from collections.abc import Callable

from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.server.refusal import Refusal
from bot.server.wanted import read_body

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
_MOST_BYTES = 1_000_000


def slack_route(current: Callable[[], AsyncApp | None]) -> Route:
    """Return the route of Slack's requests; `current` returns what takes them in, None where nothing does yet."""

    async def receive(request: Request) -> Response:
        body = await read_body(request, _MOST_BYTES)
        app = current()
        if app is None:  # who is meant cannot be told while we do not know who we are; Slack sends it again
            raise Refusal(503, "away", "Slack's API cannot be reached now; send it again in a moment")
        try:
            return to_starlette_response(await app.async_dispatch(to_async_bolt_request(request, body)))
        except Exception as exc:  # noqa: BLE001 - Bolt reads a body before it looks at the signature, and trusts its form
            log.warning("a request that is not Slack's: %s", type(exc).__name__)
            raise Refusal(400, "input", "that is no request of Slack's") from None

    return Route(EVENTS_PATH, receive, methods=["POST"])
