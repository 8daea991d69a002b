"""`citewire slack`: connects everything, and runs until it is told to stop."""

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

_HOUR, _MOMENT = 3_600.0, 5.0  # seconds


def run_slack(workspace: Services, *, http: BindAddress | None, say: Callable[[str], None]) -> None:
    """Answer in Slack until SIGINT or SIGTERM: over a socket that this process opens, or over HTTP.

    Raises SettingsError where a token is missing, SlackError where Slack cannot be reached or refuses one.
    """
    require_tokens(workspace, http=http is not None)

    async def run() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await serve(workspace, http=http, stopped=stopped, say=say)

    with tracing():
        asyncio.run(run())


def require_tokens(workspace: Services, *, http: bool) -> None:
    """Raise SettingsError that names each token that is missing for this way of connecting."""
    settings = workspace.settings
    needed = {"SLACK_BOT_TOKEN": settings.slack_bot_token}
    if http:
        needed["SLACK_SIGNING_SECRET"] = settings.slack_signing_secret
    else:
        needed["SLACK_APP_TOKEN"] = settings.slack_app_token
    if missing := [name for name, value in needed.items() if not value.get_secret_value()]:
        raise SettingsError(f"not set: {', '.join(missing)}; README.md, “In Slack”, says where to find it")


@dataclass(frozen=True)
class Bot:
    """The bot at work: `app` takes in what Slack sends, `run_bot` ends when it is stopped or by an error."""

    app: AsyncApp
    task: asyncio.Task[None]
    _worker: Worker
    _inbox: JobQueue
    _surface: SlackClient

    async def stop(self, grace: float) -> None:
        """Begin nothing more, and finish what is under way within `grace` seconds."""
        await self._worker.stop(grace=grace)

    async def ping(self) -> None:
        """Ask Slack whether it still knows us. Raises SlackRejectedError, SlackUnavailableError."""
        from bot.slack.client import call_api

        await call_api(self._surface.client.auth_test(), "auth.test")

    def queue(self) -> tuple[int, int]:
        """Return how many requests wait, on any machine, and how many are worked on here."""
        return self._inbox.waiting(), self._worker.running


async def serve(
    workspace: Services,
    *,
    http: BindAddress | None,
    stopped: asyncio.Event,
    say: Callable[[str], None],
    patience: Timeouts = DEFAULT_TIMEOUTS,
) -> None:
    """Answer in Slack until `stopped` is set; then finish what is under way. `say` is told where it listens."""
    from bot.slack.connections import over_http, over_socket

    _ = workspace.chain  # a chat model that cannot be set up is told before anything is connected
    token = workspace.settings.slack_app_token.get_secret_value()
    async with run_bot(workspace, patience=patience) as bot, keep_warm(workspace):
        connected = over_http(bot.app, http, say, patience) if http else over_socket(bot.app, token, say)
        async with connected:
            await _wait_first(asyncio.create_task(stopped.wait()), bot.task)


@contextlib.asynccontextmanager
async def run_bot(
    workspace: Services, *, witness: AnswerObserver | None = None, patience: Timeouts = DEFAULT_TIMEOUTS
) -> AsyncIterator[Bot]:
    """Have the bot at work while the block lasts; at its end what is under way is finished. Raises SlackError."""
    from bot.slack.handlers.corrections import CorrectionScanner
    from bot.slack.queue import JobQueue

    surface = await _authenticate(workspace)
    inbox = JobQueue(workspace.articles, waiting=workspace.settings.slack_waiting)
    app, worker = _build_app(workspace, surface, inbox, witness or AnswerObserver())
    look = CorrectionScanner(workspace.articles, workspace.citation_audit, inbox).scan
    task = asyncio.create_task(worker.run())
    try:
        # What is old is forgotten: else the library would grow with every word that is said. And who was given an
        # answer that no longer stands is told.
        async with (
            run_periodically(_HOUR, inbox.prune, "what is old could not be forgotten"),
            run_periodically(_MOMENT, look, "what no longer stands could not be looked for"),
        ):
            yield Bot(app, task, worker, inbox, surface)
    finally:
        await worker.stop(grace=patience.grace)
        await surface.close()
        await task


async def _authenticate(workspace: Services) -> SlackClient:
    """Ask Slack who we are. Raises SlackError where it refuses us, SlackUnavailableError where it is not there."""
    from bot.slack.client import SlackClient, call_api, open_client, open_session
    from bot.slack.doctor import refused

    settings = workspace.settings
    async with contextlib.AsyncExitStack() as unless_known:
        session = await unless_known.enter_async_context(open_session())
        client = open_client(settings, session)
        try:
            me = await call_api(client.auth_test(), "auth.test")
        except SlackRejectedError as exc:
            raise refused("SLACK_BOT_TOKEN", exc) from exc
        except SlackUnavailableError as exc:
            raise SlackUnavailableError(
                f"Slack cannot be reached at {settings.slack_api_url}: {exc}"
            ) from exc
        unless_known.pop_all()
    impatient = open_client(settings, session, patient=False)
    team = "" if me.get("is_enterprise_install") else str(me.get("team_id") or "")
    return SlackClient(client, impatient, me["user_id"], team=team, helpers=bool(settings.slack_helpers))


def _build_app(
    workspace: Services, surface: SlackClient, inbox: JobQueue, witness: AnswerObserver
) -> tuple[AsyncApp, Worker]:
    """Build the app and what works behind it."""
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

    settings = workspace.settings
    desk = SlackContext(workspace, surface, inbox, ChannelSettings(workspace.articles), witness)
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
        witness=witness,
    )
    reception = MessageRouter(settings, surface, inbox, on_new=worker.wake)
    app = AsyncApp(
        client=surface.client,
        authorize=_static_authorize(surface),
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        process_before_response=True,  # what is to be kept is kept before Slack is told that it was received
        logger=_bolts_log(),
    )
    for part in (Listeners(desk, reception), AnswerActions(desk), Home(desk)):
        part.register(app)
    return app, worker


def _static_authorize(surface: SlackClient) -> Callable[..., Awaitable[AuthorizeResult]]:
    """Return what tells Bolt who we are: known since the start, so that no event waits for Slack to say it again.

    Events are not told apart by their team: in a grid or a shared channel it is not always the one that the app was
    installed in, and what is said goes to our own channels alone. Commands and clicks are, where they are heard.
    """
    from slack_bolt.authorization import AuthorizeResult

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        token = surface.client.token
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_user_id=surface.bot_user_id, bot_token=token
        )

    return authorize


def _bolts_log() -> logging.Logger:
    """Return a log that takes errors alone: below them Bolt logs what people say, and that we brought the client."""
    bolts = logging.getLogger(f"{__name__}.bolt")
    bolts.setLevel(logging.ERROR)
    return bolts


async def _wait_first(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    """Return when the first of these is done; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
