"""`citewire serve`: build the application, run it, and drain it on shutdown."""

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

_EXTRA_SECONDS = 15.0  # added to the timeout of an answer for the timeout of a request
_PAGES_PER_QUESTION = 10  # evidence pages that a client may open for each question that the rate limit allows


class SlackBot(Protocol):
    """Slack bot in the process of the service, implemented by `bot.slack.supervisor`."""

    @property
    def route(self) -> Route:
        """Return the route for Slack's requests."""

    @property
    def is_connected(self) -> bool:
        """Return True if Slack answered the last request."""

    @property
    def task(self) -> asyncio.Task[None]:
        """Return the task of the bot, which ends only with an error of the bot."""

    def queue(self) -> tuple[int, int]:
        """Return the number of requests queued on all machines, and of those in flight in this process."""

    async def stop(self) -> None:
        """Start no more jobs, and finish those in flight."""


OpenSlack = Callable[["Services", "AnswerObserver", Timeouts], AbstractAsyncContextManager[SlackBot | None]]


class Service:
    """ASGI application with its routes and their dependencies."""

    def __init__(
        self, services: Services, slack: SlackBot | None, metrics: Metrics, timeouts: Timeouts
    ) -> None:
        """Build the application.

        Args:
            slack: the Slack bot if Slack is configured, even if Slack cannot be reached.
        """
        settings = services.settings
        self.authenticator = Authenticator(settings)
        self.readiness = Readiness(services)
        self.limiter = ConcurrencyLimiter(
            settings.serve_concurrency, settings.serve_waiting, timeout=settings.serve_timeout
        )
        self._slack = slack
        self._metrics = metrics
        self._gauges = GaugeCollector(
            services.articles, self.readiness, self._count_questions, self._is_slack_connected
        )
        rate_limiter = RateLimiter(settings.serve_rate)
        ask_endpoint = AskEndpoint(
            services, self.authenticator, self.limiter, rate_limiter, metrics, timeouts
        )
        pages = EvidencePages(
            services.articles,
            services.signed_links,
            self.authenticator,
            RateLimiter(settings.serve_rate * _PAGES_PER_QUESTION),
        )
        routes = [
            Route("/ask", ask_endpoint, methods=["POST"]),
            Route("/articles/{article_id:path}", pages.show, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/readyz", self._ready, methods=["GET"]),
            Route("/metrics", self._show_metrics, methods=["GET"]),
        ]
        if slack:
            routes.append(slack.route)
        self.app = RequestMiddleware(
            Router(routes, redirect_slashes=False),
            timeout=settings.serve_timeout + _EXTRA_SECONDS,
            on_request=metrics.count_request,
            on_rejected=metrics.count_refusal,
        )

    def _count_questions(self) -> tuple[int, int]:
        waiting, running = self._slack.queue() if self._slack else (0, 0)
        return self.limiter.waiting + waiting, self.limiter.running + running

    def _is_slack_connected(self) -> bool | None:
        return self._slack.is_connected if self._slack else None

    async def _health(self, _: Request) -> Response:
        """Respond that the process is running; check nothing else."""
        return JSONResponse({"ok": True})

    async def _ready(self, _: Request) -> Response:
        """Respond with the components that are not ready.

        The reasons are only in the log.
        """
        failing = (
            ["stopping"] if self.limiter.is_stopping else list(await self.readiness.failing_components())
        )
        if failing:
            return JSONResponse({"ready": False, "failing": failing}, 503, {"Retry-After": "1"})
        return JSONResponse({"ready": True, "failing": []})

    async def _show_metrics(self, request: Request) -> Response:
        """Return the metrics to an authenticated client."""
        self.authenticator.authenticate(request)
        return Response(self._metrics.render(await self._gauges.collect()), media_type=CONTENT_TYPE)


def run_server(
    services: Services,
    address: BindAddress,
    *,
    on_listening: Callable[[str], None],
    open_slack: OpenSlack | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests in flight.

    Args:
        on_listening: called with a message that contains the URL of the service.
        open_slack: opens the Slack bot; without it, Slack is not served.

    Raises:
        SettingsError: if other machines could send questions without a token.
        BindError: if the address is not available.
        SlackError: if Slack is configured and rejects its token.
    """

    async def run() -> None:
        stopped = asyncio.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, stopped.set)
        await serve(services, address, stopped=stopped, on_listening=on_listening, open_slack=open_slack)

    Authenticator(services.settings).check_host(address.host)
    with tracing():
        asyncio.run(run())


async def serve(
    services: Services,
    address: BindAddress,
    *,
    stopped: asyncio.Event,
    on_listening: Callable[[str], None],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    open_slack: OpenSlack | None = None,
) -> None:
    """Serve until `stopped` is set, then accept no more requests and finish those in flight."""
    _ = services.chain  # raises if the chat model cannot be set up, before the first request
    metrics = Metrics()
    slack_context = open_slack(services, metrics, timeouts) if open_slack else contextlib.nullcontext()
    async with slack_context as slack:
        service = Service(services, slack, metrics, timeouts)

        def on_load() -> None:
            service.readiness.models_loaded = True

        async with (
            keep_warm(services, on_load=on_load),
            serve_http(
                service.app, address, proxies=services.settings.trusted_proxies, timeouts=timeouts
            ) as url,
        ):
            on_listening(f"Listening at {url}" + (f", for Slack at {url}/slack/events" if slack else ""))
            await _wait_for_stop(stopped, slack)
            # Answers in Slack and over HTTP are finished concurrently, within the same timeout.
            drains = [service.limiter.drain(timeouts.grace), *([slack.stop()] if slack else [])]
            await asyncio.gather(*drains)


async def _wait_for_stop(stopped: asyncio.Event, slack: SlackBot | None) -> None:
    """Wait until `stopped` is set; raise the error of the bot if it fails before."""
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait({waiting, *([slack.task] if slack else [])}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if slack and slack.task.done():
        slack.task.result()
