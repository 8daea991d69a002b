"""Entry point, global options and exit codes. Answers go to stdout, progress and errors to stderr."""

from __future__ import annotations

import gc
import io
import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bot import __version__
from bot.cli import ask, backup, feeds, ingest, serve
from bot.cli.eval import app as evaluation
from bot.errors import CitewireError

app = typer.Typer(
    name="citewire",
    help="Answer questions from your news articles; every sentence cites the passage that supports it.",
    epilog="Start with `citewire ingest FOLDER`, then `citewire ask 'QUESTION'` or `citewire chat`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for commands in (ingest.app, feeds.app, ask.app, serve.app, backup.app, evaluation):
    app.add_typer(commands)

_verbose = False


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 failure, 2 usage error, 130 interrupted."""
    gc.set_threshold(200_000)  # imports allocate much and free little: this saves a tenth of a cold `ask`
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal encoding without “ must not prevent an answer
            stream.reconfigure(errors="replace")
    try:
        app()
    except CitewireError as exc:
        _fail(str(exc), exc.exit_code)
    except Exception as exc:  # noqa: BLE001 - last resort: tracebacks are shown only with -v
        _fail(f"unexpected {type(exc).__name__}: {exc}; `citewire -v …` shows where")
    finally:
        # All objects are freed with the process: searching them for cycles at exit took a tenth of a command.
        gc.freeze()
    sys.exit(0)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"citewire {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Data directory.", envvar="CITEWIRE_DATA_DIR", show_envvar=True),
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Verbose logging and tracebacks.")] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    global _verbose  # noqa: PLW0603 - main() needs it when the context no longer exists
    _verbose = verbose
    if verbose:
        logging.basicConfig(
            level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
        )
    ctx.obj = data_dir


def _fail(message: str, code: int = 1) -> NoReturn:
    if _verbose:
        traceback.print_exc()
    print(f"citewire: {message}", file=sys.stderr)
    sys.exit(code)
