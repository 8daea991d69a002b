"""Commands that serve a team and look after it: slack, doctor."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from bot.commands.shared import Json, open_workspace, print_json

app = typer.Typer()


@app.command()
def slack(
    ctx: typer.Context,
    http: Annotated[
        bool,
        typer.Option("--http", help="Take Slack's requests over HTTP instead of opening a socket to it."),
    ] = False,
    host: Annotated[str, typer.Option(help="Where to listen, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port, with --http.")] = 3000,
) -> None:
    """Answer in Slack, until Ctrl-C or SIGTERM; then finish what is under way.

    Needs SLACK_BOT_TOKEN, and SLACK_APP_TOKEN for the socket or SLACK_SIGNING_SECRET for HTTP.
    """
    from bot import terminal
    from bot.slack.app import run_slack
    from bot.slack.connections import Address

    # A service's log; with -v there is one already, and this does nothing.
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("bot.slack").setLevel(logging.INFO)
    run_slack(open_workspace(ctx), http=Address(host, port) if http else None, say=terminal.err.print)


@app.command()
def doctor(
    ctx: typer.Context,
    slack: Annotated[
        bool, typer.Option("--slack", help="Ask Slack too: tokens, scopes and channels.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check weights, library, both indexes and question encoder. Exits 1 when something is wrong."""
    from bot.doctor import examine
    from bot.listed import print_checks

    workspace = open_workspace(ctx)
    checks = examine(workspace)
    if slack:
        from bot.slack.doctor import examine_slack

        checks += examine_slack(workspace.settings)
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": [check.fields() for check in checks]})
    else:
        print_checks(checks)
    raise typer.Exit(0 if healthy else 1)
