"""`citewire slack`: connects everything, and runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.answering.observer import Witness
from bot.background import kept_up, repeated
from bot.errors import SettingsError, SlackRefusedError, SlackTroubleError
from bot.observability.tracing import tracing
from bot.server.timeouts import USUAL, Patience

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult

    from bot.server.runner import Address
    from bot.services import Workspace
    from bot.slack.client import Surface
    from bot.slack.queue import Inbox
    from bot.slack.worker import Worker

_HOUR, _MOMENT = 3_600.0, 5.0  # seconds


def run_slack(workspace: Workspace, *, http: Address | None, say: Callable[[str], None]) -> None:
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


def require_tokens(workspace: Workspace, *, http: bool) -> None:
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
    """The bot at work: `app` takes in what Slack sends, `working` ends when it is stopped or by an error."""

    app: AsyncApp
    working: asyncio.Task[None]
    _worker: Worker
    _inbox: Inbox
    _surface: Surface

    async def stop(self, grace: float) -> None:
        """Begin nothing more, and finish what is under way within `grace` seconds."""
        await self._worker.stop(grace=grace)

    async def greet(self) -> None:
        """Ask Slack whether it still knows us. Raises SlackRefusedError, SlackTroubleError."""
        from bot.slack.client import told

        await told(self._surface.client.auth_test(), "auth.test")

    def queue(self) -> tuple[int, int]:
        """Return how many requests wait, on any machine, and how many are worked on here."""
        return self._inbox.waiting(), self._worker.running


async def serve(
    workspace: Workspace,
    *,
    http: Address | None,
    stopped: asyncio.Event,
    say: Callable[[str], None],
    patience: Patience = USUAL,
) -> None:
    """Answer in Slack until `stopped` is set; then finish what is under way. `say` is told where it listens."""
    from bot.slack.connections import over_http, over_socket

    _ = workspace.chain  # a chat model that cannot be set up is told before anything is connected
    token = workspace.settings.slack_app_token.get_secret_value()
    async with working(workspace, patience=patience) as bot, kept_up(workspace):
        connected = over_http(bot.app, http, say, patience) if http else over_socket(bot.app, token, say)
        async with connected:
            await _first_of(asyncio.create_task(stopped.wait()), bot.working)


@contextlib.asynccontextmanager
async def working(
    workspace: Workspace, *, witness: Witness | None = None, patience: Patience = USUAL
) -> AsyncIterator[Bot]:
    """Have the bot at work while the block lasts; at its end what is under way is finished. Raises SlackError."""
    from bot.slack.handlers.corrections import Corrections
    from bot.slack.queue import Inbox

    surface = await _introduced(workspace)
    inbox = Inbox(workspace.library, waiting=workspace.settings.slack_waiting)
    app, worker = _wired(workspace, surface, inbox, witness or Witness())
    look = Corrections(workspace.library, workspace.standings, inbox).look
    task = asyncio.create_task(worker.run())
    try:
        # What is old is forgotten: else the library would grow with every word that is said. And who was given an
        # answer that no longer stands is told.
        async with (
            repeated(_HOUR, inbox.forget_old, "what is old could not be forgotten"),
            repeated(_MOMENT, look, "what no longer stands could not be looked for"),
        ):
            yield Bot(app, task, worker, inbox, surface)
    finally:
        await worker.stop(grace=patience.grace)
        await surface.close()
        await task


async def _introduced(workspace: Workspace) -> Surface:
    """Ask Slack who we are. Raises SlackError where it refuses us, SlackTroubleError where it is not there."""
    from bot.slack.client import Surface, open_client, open_session, told
    from bot.slack.doctor import refused

    settings = workspace.settings
    async with contextlib.AsyncExitStack() as unless_known:
        session = await unless_known.enter_async_context(open_session())
        client = open_client(settings, session)
        try:
            me = await told(client.auth_test(), "auth.test")
        except SlackRefusedError as exc:
            raise refused("SLACK_BOT_TOKEN", exc) from exc
        except SlackTroubleError as exc:
            raise SlackTroubleError(f"Slack cannot be reached at {settings.slack_api_url}: {exc}") from exc
        unless_known.pop_all()
    impatient = open_client(settings, session, patient=False)
    team = "" if me.get("is_enterprise_install") else str(me.get("team_id") or "")
    return Surface(client, impatient, me["user_id"], team=team, helpers=bool(settings.slack_helpers))


def _wired(workspace: Workspace, surface: Surface, inbox: Inbox, witness: Witness) -> tuple[AsyncApp, Worker]:
    """Build the app and what works behind it."""
    from slack_bolt.async_app import AsyncApp

    from bot.slack.actions import Judging
    from bot.slack.channel_settings import ChannelSettings
    from bot.slack.handlers.commands import CheckSession, CommandSession
    from bot.slack.handlers.corrections import CorrectionSession
    from bot.slack.handlers.home import Home
    from bot.slack.handlers.questions import DeletionSession, Desk, QuestionSession
    from bot.slack.listeners import Listeners
    from bot.slack.routing import Reception
    from bot.slack.worker import Worker

    settings = workspace.settings
    desk = Desk(workspace, surface, inbox, ChannelSettings(workspace.library), witness)
    worker = Worker(
        inbox,
        {
            "question": lambda job: QuestionSession(desk, job),
            "edit": lambda job: QuestionSession(desk, job),
            "delete": lambda job: DeletionSession(desk, job),
            "command": lambda job: CommandSession(desk, job),
            "check": lambda job: CheckSession(desk, job),
            "correction": lambda job: CorrectionSession(desk, job),
        },
        concurrency=settings.slack_concurrency,
        witness=witness,
    )
    reception = Reception(settings, surface, inbox, on_new=worker.wake)
    app = AsyncApp(
        client=surface.client,
        authorize=_known(surface),
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        process_before_response=True,  # what is to be kept is kept before Slack is told that it was received
        logger=_bolts_log(),
    )
    for part in (Listeners(desk, reception), Judging(desk), Home(desk)):
        part.register(app)
    return app, worker


def _known(surface: Surface) -> Callable[..., Awaitable[AuthorizeResult]]:
    """Return what tells Bolt who we are: known since the start, so that no event waits for Slack to say it again.

    Events are not told apart by their team: in a grid or a shared channel it is not always the one that the app was
    installed in, and what is said goes to our own channels alone. Commands and clicks are, where they are heard.
    """
    from slack_bolt.authorization import AuthorizeResult

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        token = surface.client.token
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_user_id=surface.me, bot_token=token
        )

    return authorize


def _bolts_log() -> logging.Logger:
    """Return a log that takes errors alone: below them Bolt logs what people say, and that we brought the client."""
    bolts = logging.getLogger(f"{__name__}.bolt")
    bolts.setLevel(logging.ERROR)
    return bolts


async def _first_of(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    """Return when the first of these is done; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
