"""Commands: slack, serve, doctor."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import Json, open_services, print_json

if TYPE_CHECKING:
    from bot.services import Services

app = typer.Typer()


@app.command()
def slack(
    ctx: typer.Context,
    http: Annotated[
        bool,
        typer.Option("--http", help="Receive events over HTTP instead of Socket Mode."),
    ] = False,
    host: Annotated[str, typer.Option(help="Bind address, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port, with --http.")] = 3000,
) -> None:
    """Run the Slack bot until interrupted; in-flight answers are finished first.

    Requires SLACK_BOT_TOKEN, and SLACK_APP_TOKEN for Socket Mode or SLACK_SIGNING_SECRET for HTTP.
    """
    from bot.cli import console
    from bot.server.runner import BindAddress
    from bot.slack.app import run_slack

    services = _open_long_running_services(ctx)
    run_slack(services, http=BindAddress(host, port) if http else None, on_listening=console.err.print)


@app.command()
def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Bind address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port.")] = 8080,
) -> None:
    """Run the HTTP service: questions, evidence pages, and Slack's events if Slack is configured.

    Binding to a public address requires CITEWIRE_API_TOKENS; Slack requires SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET.
    """
    from bot.cli import console
    from bot.server.app import run_server
    from bot.server.runner import BindAddress
    from bot.slack.supervisor import open_slack

    run_server(
        _open_long_running_services(ctx),
        BindAddress(host, port),
        on_listening=console.err.print,
        open_slack=open_slack,
    )


@app.command()
def doctor(
    ctx: typer.Context,
    slack: Annotated[
        bool, typer.Option("--slack", help="Also check Slack tokens, scopes and channels.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the installation. Exits 1 if a check fails."""
    from bot.cli.listing import print_checks
    from bot.doctor import examine

    services = open_services(ctx)
    checks = examine(services)
    if slack:
        from bot.slack.doctor import examine_slack

        checks += examine_slack(services.settings)
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": [check.fields() for check in checks]})
    else:
        print_checks(checks)
    raise typer.Exit(0 if healthy else 1)


def _open_long_running_services(ctx: typer.Context) -> Services:
    """Open the services for a long-running process and configure its log."""
    from bot.observability.logging import configure_logging

    # The threshold set by main() is for short commands: here garbage would accumulate.
    gc.set_threshold(10_000, 10, 10)
    services = open_services(ctx)
    configure_logging(services.settings.log_format, verbose=ctx.find_root().params["verbose"])
    return services
