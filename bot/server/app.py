"""`citewire serve`: connects everything, and runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from bot.background import keep_warm
from bot.observability.tracing import tracing
from bot.server.ask import AskEndpoint
from bot.server.auth import Authenticator
from bot.server.concurrency import ConcurrencyLimiter
from bot.server.evidence import EvidencePages
from bot.server.health import Readiness
from bot.server.metrics import CONTENT_TYPE, GaugeCollector, Metrics
from bot.server.middleware import RequestMiddleware
from bot.server.rate_limit import RateLimiter
from bot.server.runner import BindAddress, serve_http
from bot.server.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from bot.answering.observer import AnswerObserver
    from bot.services import Services

_BEYOND = 15.0  # seconds that any request may take beyond what an answer may
_PAGES = 10  # evidence pages for each question that is allowed


class SlackBot(Protocol):
    """The Slack bot beside the service, implemented by `bot.slack.supervisor`."""

    @property
    def route(self) -> Route:
        """Return the route of Slack's requests."""

    @property
    def is_connected(self) -> bool:
        """Return True if Slack answered the last request."""

    @property
    def ended(self) -> asyncio.Task[None]:
        """Return the task that ends only by an error of the bot, which it raises."""

    def queue(self) -> tuple[int, int]:
        """Return how many requests are queued, on any machine, and how many are in flight here."""

    async def stop(self) -> None:
        """Start no more jobs, and finish those in flight."""


OpenSlack = Callable[["Services", "AnswerObserver", Timeouts], AbstractAsyncContextManager[SlackBot | None]]


class Service:
    """Everything that requests are answered with, and the routes to it."""

    def __init__(
        self, workspace: Services, slack: SlackBot | None, metrics: Metrics, patience: Timeouts
    ) -> None:
        """`slack` is there where it is set up, whether it can be reached or not."""
        settings = workspace.settings
        self.access = Authenticator(settings)
        self.readiness = Readiness(workspace)
        self.places = ConcurrencyLimiter(
            settings.serve_concurrency, settings.serve_waiting, longest=settings.serve_timeout
        )
        self._slack = slack
        self._metrics = metrics
        self._state = GaugeCollector(workspace.articles, self.readiness, self._queue, self._slack_is_there)
        rate = RateLimiter(settings.serve_rate)
        asking = AskEndpoint(workspace, self.access, self.places, rate, metrics, patience)
        pages = EvidencePages(
            workspace.articles, workspace.signed_links, self.access, RateLimiter(settings.serve_rate * _PAGES)
        )
        routes = [
            Route("/ask", asking, methods=["POST"]),
            Route("/articles/{article_id:path}", pages.show, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/readyz", self._ready, methods=["GET"]),
            Route("/metrics", self._show_metrics, methods=["GET"]),
        ]
        if slack:
            routes.append(slack.route)
        self.app = RequestMiddleware(
            Router(routes, redirect_slashes=False),
            longest=settings.serve_timeout + _BEYOND,
            count=metrics.request,
            refuse=metrics.refused,
        )

    def _queue(self) -> tuple[int, int]:
        waiting, running = self._slack.queue() if self._slack else (0, 0)
        return self.places.waiting + waiting, self.places.running + running

    def _slack_is_there(self) -> bool | None:
        return self._slack.is_connected if self._slack else None

    async def _health(self, _: Request) -> Response:
        """Say that the process lives, and nothing else."""
        return JSONResponse({"ok": True})

    async def _ready(self, _: Request) -> Response:
        """Say whether questions can be answered; which part is not there, but not why: that is for the log."""
        failing = ["stopping"] if self.places.stopping else list(await self.readiness.failing_components())
        if failing:
            return JSONResponse({"ready": False, "failing": failing}, 503, {"Retry-After": "1"})
        return JSONResponse({"ready": True, "failing": []})

    async def _show_metrics(self, request: Request) -> Response:
        """Return the metrics, to who may ask."""
        self.access.authenticate(request)
        return Response(self._metrics.text(await self._state.look()), media_type=CONTENT_TYPE)


def run_server(
    workspace: Services,
    address: BindAddress,
    *,
    say: Callable[[str], None],
    open_slack: OpenSlack | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way.

    Raises SettingsError where others than this machine could ask without a token, BindError where the address
    cannot be had, SlackError where Slack is set up and refuses its token.
    """

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await serve(workspace, address, stopped=stopped, say=say, open_slack=open_slack)

    Authenticator(workspace.settings).check_host(address.host)
    with tracing():
        asyncio.run(run())


async def serve(
    workspace: Services,
    address: BindAddress,
    *,
    stopped: asyncio.Event,
    say: Callable[[str], None],
    patience: Timeouts = DEFAULT_TIMEOUTS,
    open_slack: OpenSlack | None = None,
) -> None:
    """Serve until `stopped` is set; then accept no more requests and finish those in flight."""
    _ = workspace.chain  # a chat model that cannot be set up is told before anybody can ask
    metrics = Metrics()
    opened = open_slack(workspace, metrics, patience) if open_slack else contextlib.nullcontext()
    async with opened as slack:
        service = Service(workspace, slack, metrics, patience)

        def loaded() -> None:
            service.readiness.loaded = True

        async with (
            keep_warm(workspace, loaded=loaded),
            serve_http(
                service.app, address, proxies=workspace.settings.trusted_proxies, patience=patience
            ) as url,
        ):
            say(f"Listening at {url}" + (f", for Slack at {url}/slack/events" if slack else ""))
            await _until(stopped, slack)
            # Slack's answers end beside those over HTTP, within the same time.
            ending = [service.places.drain(patience.grace), *([slack.stop()] if slack else [])]
            await asyncio.gather(*ending)


async def _until(stopped: asyncio.Event, slack: SlackBot | None) -> None:
    """Wait until it is time to stop, or the bot ends by an error, which is raised."""
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({waiting, *([slack.ended] if slack else [])}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if slack and slack.ended.done():
        slack.ended.result()
