"""`citewire slack`: connects everything, and runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from bot.errors import CitewireError, SettingsError, SlackError, SlackRefusedError, SlackTroubleError

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult

    from bot.slack.reply import Surface
    from bot.slack.worker import Worker
    from bot.workspace import Workspace

log = logging.getLogger(__name__)

EVENTS_PATH = "/slack/events"
GRACE = 25.0  # seconds for answers under way when the process is told to stop, before whoever told it kills
_HOUR = 3_600.0


class Address(NamedTuple):
    """Where requests are taken in HTTP mode; port 0 lets the system pick one."""

    host: str
    port: int


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


async def serve(
    workspace: Workspace, *, http: Address | None, stopped: asyncio.Event, say: Callable[[str], None]
) -> None:
    """Answer in Slack until `stopped` is set; then finish what is under way. `say` is told where it listens."""
    _ = workspace.chain  # a chat model that cannot be set up is told before anything is connected
    surface = await _introduced(workspace)
    app, worker = _wired(workspace, surface)
    _load_in_background(workspace)
    working = asyncio.create_task(worker.run())
    forgetting = asyncio.create_task(_forget_hourly(workspace))
    connected = _over_http(app, http, say) if http else _over_socket(app, workspace, say)
    try:
        async with connected:
            await _first_of(asyncio.create_task(stopped.wait()), working)
    finally:
        forgetting.cancel()
        await worker.stop(grace=GRACE)
        await surface.close()
        await working


async def _introduced(workspace: Workspace) -> Surface:
    """Ask Slack who we are. Raises SlackError."""
    from bot.slack.reply import Surface
    from bot.slack.web import open_client, told

    settings = workspace.settings
    client = open_client(settings)
    try:
        me = await told(client.auth_test(), "auth.test")
    except SlackRefusedError as exc:
        raise SlackError(
            f"Slack refuses SLACK_BOT_TOKEN: {exc.reason}; `citewire doctor --slack` says more"
        ) from exc
    except SlackTroubleError as exc:
        raise SlackError(f"Slack cannot be reached at {settings.slack_api_url}: {exc}") from exc
    impatient = open_client(settings, patient=False)
    team = "" if me.get("is_enterprise_install") else str(me.get("team_id") or "")
    return Surface(client, impatient, me["user_id"], team=team, helpers=bool(settings.slack_helpers))


def _wired(workspace: Workspace, surface: Surface) -> tuple[AsyncApp, Worker]:
    """Build the app and what works behind it."""
    from slack_bolt.async_app import AsyncApp

    from bot.slack.channels import ChannelSettings
    from bot.slack.home import Home
    from bot.slack.inbox import Inbox
    from bot.slack.judging import Judging
    from bot.slack.listeners import Listeners
    from bot.slack.private import CheckSession, CommandSession
    from bot.slack.questions import DeletionSession, Desk, QuestionSession
    from bot.slack.reception import Reception
    from bot.slack.worker import Worker

    settings = workspace.settings
    inbox = Inbox(workspace.library, waiting=settings.slack_waiting)
    desk = Desk(workspace, surface, inbox, ChannelSettings(workspace.library))
    worker = Worker(
        inbox,
        {
            "question": lambda job: QuestionSession(desk, job),
            "edit": lambda job: QuestionSession(desk, job),
            "delete": lambda job: DeletionSession(desk, job),
            "command": lambda job: CommandSession(desk, job),
            "check": lambda job: CheckSession(desk, job),
        },
        concurrency=settings.slack_concurrency,
    )
    reception = Reception(settings, surface, inbox, on_new=worker.wake)
    app = AsyncApp(
        client=surface.client,
        authorize=_known(surface),  # type: ignore[arg-type]  # Bolt takes None too
        signing_secret=settings.slack_signing_secret.get_secret_value(),
        process_before_response=True,  # what is to be kept is kept before Slack is told that it was received
        logger=_bolts_log(),
    )
    for part in (Listeners(desk, reception), Judging(desk), Home(desk)):
        part.register(app)
    return app, worker


def _known(surface: Surface) -> Callable[..., Awaitable[AuthorizeResult | None]]:
    """Return what tells Bolt who we are: known since the start, so that no event waits for Slack to say it again.

    What comes from another workspace is nobody's: its signature is good, but our articles are not for it.
    """
    from slack_bolt.authorization import AuthorizeResult

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult | None:
        if not surface.is_of(team_id):
            return None
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


@contextlib.asynccontextmanager
async def _over_http(app: AsyncApp, address: Address, say: Callable[[str], None]) -> AsyncIterator[None]:
    from aiohttp import web
    from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request

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
async def _over_socket(
    app: AsyncApp, workspace: Workspace, say: Callable[[str], None]
) -> AsyncIterator[None]:
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

    from bot.slack.web import told

    handler = AsyncSocketModeHandler(app, workspace.settings.slack_app_token.get_secret_value())
    try:
        try:
            await told(handler.client.connect(), "apps.connections.open")  # type: ignore[no-untyped-call]  # the SDK's
        except SlackRefusedError as exc:
            raise SlackError(
                f"Slack refuses SLACK_APP_TOKEN: {exc.reason}; `citewire doctor --slack` says more"
            ) from exc
        except SlackTroubleError as exc:
            raise SlackError(f"no socket to Slack could be opened: {exc}") from exc
        say("Connected to Slack over a socket")
        yield
    finally:
        await handler.client.close()  # type: ignore[no-untyped-call]  # the SDK's


async def _forget_hourly(workspace: Workspace) -> None:
    """Forget what Slack will not send again: else the library would grow with every word that is said."""
    from bot.slack.inbox import Inbox

    inbox = Inbox(workspace.library, waiting=workspace.settings.slack_waiting)
    while True:
        try:
            await asyncio.to_thread(inbox.forget_old)
        except CitewireError as exc:
            log.warning("what is old could not be forgotten: %s", exc)
        await asyncio.sleep(_HOUR)


def _load_in_background(workspace: Workspace) -> None:
    """Load the model and the indexes before the first question asks for them."""

    def load() -> None:
        with contextlib.suppress(CitewireError):  # the first question meets the same error and tells it
            workspace.embedder.load()
            workspace.chain.search("warming up")

    threading.Thread(target=load, daemon=True).start()
