"""Application of `citewire slack`: wires the Bolt app, the worker and the correction scan, and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.answering.observer import AnswerObserver
from bot.background import keep_warm, run_periodically
from bot.errors import SettingsError, SlackRejectedError, SlackUnavailableError
from bot.observability.tracing import tracing
from bot.server.timeouts import DEFAULT_TIMEOUTS, Timeouts

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult

    from bot.server.runner import BindAddress
    from bot.services import Services
    from bot.slack.client import SlackClient
    from bot.slack.queue import JobQueue
    from bot.slack.worker import Worker

_PRUNE_SECONDS = 3_600.0  # between two deletions of old events from the queue
_SCAN_SECONDS = 5.0  # between two scans for corrections


def run_slack(services: Services, *, http: BindAddress | None, on_listening: Callable[[str], None]) -> None:
    """Run the Slack bot until SIGINT or SIGTERM.

    Args:
        http: address to receive events at, or None for Socket Mode.
        on_listening: called with a line of text for the user when events can be received.

    Raises:
        SettingsError: if a token is missing.
        SlackError: if Slack is unavailable or rejects a token.
    """
    require_tokens(services, http=http is not None)

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await serve(services, http=http, stopped=stopped, on_listening=on_listening)

    with tracing():
        asyncio.run(run())


def require_tokens(services: Services, *, http: bool) -> None:
    """Check that the tokens for HTTP or Socket Mode are set.

    Raises:
        SettingsError: if tokens are missing; its message lists them.
    """
    settings = services.settings
    needed = {"SLACK_BOT_TOKEN": settings.slack_bot_token}
    if http:
        needed["SLACK_SIGNING_SECRET"] = settings.slack_signing_secret
    else:
        needed["SLACK_APP_TOKEN"] = settings.slack_app_token
    if missing := [name for name, value in needed.items() if not value.get_secret_value()]:
        raise SettingsError(f"not set: {', '.join(missing)}; docs/slack.md says where to find it")


@dataclass(frozen=True)
class Bot:
    """Running bot.

    Attributes:
        app: Bolt app that handles the requests of Slack.
        task: task of the worker, which ends after `stop` or with an error.
    """

    app: AsyncApp
    task: asyncio.Task[None]
    _worker: Worker
    _inbox: JobQueue
    _surface: SlackClient

    async def stop(self, grace: float) -> None:
        """Start no more jobs, and finish those in flight within `grace` seconds."""
        await self._worker.stop(grace=grace)

    async def ping(self) -> None:
        """Check the connection and the token.

        Raises:
            SlackRejectedError: if Slack rejects the token.
            SlackUnavailableError: if Slack is unavailable.
        """
        from bot.slack.client import call_api

        await call_api(self._surface.client.auth_test(), "auth.test")

    def queue(self) -> tuple[int, int]:
        """Return the number of requests queued on all machines, and of those in flight in this process."""
        return self._inbox.waiting(), self._worker.running


async def serve(
    services: Services,
    *,
    http: BindAddress | None,
    stopped: asyncio.Event,
    on_listening: Callable[[str], None],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> None:
    """Run the bot until `stopped` is set, then finish the jobs in flight.

    Args:
        http: address to receive events at, or None for Socket Mode.
        stopped: event that stops the bot.
        on_listening: called with a line of text for the user when events can be received.
    """
    from bot.slack.connections import receive_over_http, receive_over_socket

    _ = services.chain  # an invalid chat model is reported before anything is connected
    token = services.settings.slack_app_token.get_secret_value()
    async with run_bot(services, timeouts=timeouts) as bot, keep_warm(services):
        connection = (
            receive_over_http(bot.app, http, on_listening, timeouts)
            if http
            else receive_over_socket(bot.app, token, on_listening)
        )
        async with connection:
            await _wait_first(asyncio.create_task(stopped.wait()), bot.task)


@contextlib.asynccontextmanager
async def run_bot(
    services: Services, *, observer: AnswerObserver | None = None, timeouts: Timeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[Bot]:
    """Run the bot during the block, and finish the jobs in flight at its end.

    Raises:
        SlackError: if Slack is unavailable or rejects the token.
    """
    from bot.slack.handlers.corrections import CorrectionScanner
    from bot.slack.queue import JobQueue

    surface = await _authenticate(services)
    inbox = JobQueue(services.articles, waiting=services.settings.slack_waiting)
    app, worker = _build_app(services, surface, inbox, observer or AnswerObserver())
    scan = CorrectionScanner(services.articles, services.citation_audit, inbox).scan
    task = asyncio.create_task(worker.run())
    try:
        # Old events are deleted, or the database would grow with every message. The scan finds answers that are
        # no longer valid and notifies the users who received them.
        async with (
            run_periodically(_PRUNE_SECONDS, inbox.prune, "what is old could not be forgotten"),
            run_periodically(_SCAN_SECONDS, scan, "what no longer stands could not be looked for"),
        ):
            yield Bot(app, task, worker, inbox, surface)
    finally:
        await worker.stop(grace=timeouts.grace)
        await surface.close()
        await task


async def _authenticate(services: Services) -> SlackClient:
    """Open a client with the identity of the bot, as Slack returns it.

    Raises:
        SlackError: if Slack rejects the token.
        SlackUnavailableError: if Slack is unavailable.
    """
    from bot.slack.client import SlackClient, call_api, open_client, open_session
    from bot.slack.doctor import build_token_error

    settings = services.settings
    async with contextlib.AsyncExitStack() as exits:
        session = await exits.enter_async_context(open_session())
        client = open_client(settings, session)
        try:
            identity = await call_api(client.auth_test(), "auth.test")
        except SlackRejectedError as exc:
            raise build_token_error("SLACK_BOT_TOKEN", exc) from exc
        except SlackUnavailableError as exc:
            raise SlackUnavailableError(
                f"Slack cannot be reached at {settings.slack_api_url}: {exc}"
            ) from exc
        exits.pop_all()
    no_retry_client = open_client(settings, session, retry=False)
    team = "" if identity.get("is_enterprise_install") else str(identity.get("team_id") or "")
    return SlackClient(
        client, no_retry_client, identity["user_id"], team=team, helpers=bool(settings.slack_helpers)
    )


def _build_app(
    services: Services, surface: SlackClient, inbox: JobQueue, observer: AnswerObserver
) -> tuple[AsyncApp, Worker]:
    """Build the Bolt app, with its listeners, and the worker for the jobs that they enqueue."""
    from slack_bolt.async_app import AsyncApp

    from bot.slack.actions import AnswerActions
    from bot.slack.channel_settings import ChannelSettings
    from bot.slack.handlers.commands import CheckHandler, CommandHandler
    from bot.slack.handlers.corrections import CorrectionHandler
    from bot.slack.handlers.home import Home
    from bot.slack.handlers.questions import DeletionHandler, QuestionHandler, SlackContext
    from bot.slack.listeners import Listeners
    from bot.slack.routing import MessageRouter
    from bot.slack.worker import Worker

    settings = services.settings
    desk = SlackContext(services, surface, inbox, ChannelSettings(services.articles), observer)
    worker = Worker(
        inbox,
        {
            "question": lambda job: QuestionHandler(desk, job),
            "edit": lambda job: QuestionHandler(desk, job),
            "delete": lambda job: DeletionHandler(desk, job),
            "command": lambda job: CommandHandler(desk, job),
            "check": lambda job: CheckHandler(desk, job),
            "correction": lambda job: CorrectionHandler(desk, job),
        },
        concurrency=settings.slack_concurrency,
        observer=observer,
    )
    router = MessageRouter(settings, surface, inbox, on_new=worker.wake)
    app = AsyncApp(
        client=surface.client,
        authorize=_static_authorize(surface),
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        process_before_response=True,  # requests are stored before they are acknowledged
        logger=_create_bolt_logger(),
    )
    for part in (Listeners(desk, router), AnswerActions(desk), Home(desk)):
        part.register(app)
    return app, worker


def _static_authorize(surface: SlackClient) -> Callable[..., Awaitable[AuthorizeResult]]:
    """Return an `authorize` function for Bolt that returns the identity found at the start, without a call to Slack.

    The team of an event is ignored: in an Enterprise Grid or a shared channel, it is not always the team in which the
    app is installed, and replies are only posted to our own channels. The listeners check the team of commands and
    actions.
    """
    from slack_bolt.authorization import AuthorizeResult

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        token = surface.client.token
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_user_id=surface.bot_user_id, bot_token=token
        )

    return authorize


def _create_bolt_logger() -> logging.Logger:
    """Return a logger for errors: at lower levels, Bolt logs messages of users, and that it was given a client."""
    bolt_logger = logging.getLogger(f"{__name__}.bolt")
    bolt_logger.setLevel(logging.ERROR)
    return bolt_logger


async def _wait_first(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    """Wait until the first task is done, and raise its error if it failed."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
