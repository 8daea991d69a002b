"""The command line: `citewire COMMAND`. Answers go to stdout, progress and errors to stderr."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import logging
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bot import __version__
from bot.errors import CitewireError
from bot.evaluation.cli import app as evaluation

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bot.answers.question import Question
    from bot.retrieval.window import Window
    from bot.workspace import Workspace

app = typer.Typer(
    name="citewire",
    help="Answers questions from your news articles; every sentence cites the passage it stands on.",
    epilog="Start with `citewire ingest FOLDER`, then `citewire ask 'QUESTION'` or `citewire chat`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(evaluation)


class Engine(StrEnum):
    """What reads, splits and embeds."""

    LOCAL = "local"
    RAY = "ray"


_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
_PREPARING = "Preparing the question encoder"
_verbose = False


def main() -> NoReturn:
    """Run the command line; exit 0 done, 1 failed, 2 usage, 130 interrupted."""
    gc.set_threshold(200_000)  # imports make much and drop little: a fresh `ask` takes a tenth less
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no “ must not stop an answer
            stream.reconfigure(errors="replace")
    try:
        app()
    except CitewireError as exc:
        _fail(str(exc), exc.exit_code)
    except Exception as exc:  # noqa: BLE001 - the last resort: a traceback is for those who ask for it
        _fail(f"unexpected {type(exc).__name__}: {exc}; `citewire -v …` shows where")
    finally:
        gc.freeze()  # what is left ends with the process: looking through it for cycles took a tenth of a command
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
        typer.Option(help="Where library and indexes live.", envvar="CITEWIRE_DATA_DIR", show_envvar=True),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Log what happens; show tracebacks.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    global _verbose  # noqa: PLW0603 - main() has to know it after the context is gone
    _verbose = verbose
    if verbose:
        logging.basicConfig(
            level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
        )
    ctx.obj = data_dir


@app.command()
def ingest(
    ctx: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Files and folders: text, Markdown, HTML, JSON, JSON lines.")
    ],
    source: Annotated[str, typer.Option(help="The outlet of articles that name none.")] = "",
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove articles that came from these paths and are gone.")
    ] = False,
    engine: Annotated[
        Engine, typer.Option(help="What reads, splits and embeds: this process, or Ray's workers.")
    ] = Engine.LOCAL,
    address: Annotated[
        str, typer.Option(help="A Ray cluster, as host:port; without one, Ray is started here.")
    ] = "",
    as_json: _Json = False,
) -> None:
    """Bring articles in. Unchanged ones are passed over, changed ones replaced.

    It can be stopped at any moment; the same command goes on. Exits 1 when something was skipped.
    """
    from bot import terminal
    from bot.articles.article import clean_line
    from bot.articles.readers import read_articles
    from bot.retrieval.ingest import ingest as run

    if missing := [str(path) for path in paths if not path.exists()]:
        raise typer.BadParameter(f"no such file or folder: {', '.join(missing)}", param_hint="PATHS")
    if address and engine is Engine.LOCAL:
        raise typer.BadParameter("it goes with --engine ray", param_hint="--address")
    workspace, pruned = _workspace(ctx), paths if prune else ()
    with contextlib.ExitStack() as exits:
        if engine is Engine.RAY:
            from bot.retrieval import ray_engine

            exits.enter_context(ray_engine.running(address))
            found = ray_engine.read_and_encode(workspace, paths, source=clean_line(source))
        else:
            found = read_articles(paths, source=clean_line(source))
        indexer = exits.enter_context(workspace.writing(on_wait=terminal.waiting))
        progress = exits.enter_context(terminal.ingest_progress())
        report = run(indexer, workspace.library, found, prune=pruned, progress=progress)
    totals = workspace.library.totals()
    if totals.articles:
        _prepare_encoder(workspace)
    if as_json:
        _print_json(terminal.report_fields(report, totals))
    else:
        terminal.print_report(report, totals)
    raise typer.Exit(1 if report.failures else 0)


@app.command()
def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    since: Annotated[
        str, typer.Option(help="Only articles of this day or later: 2022-06-17, 2022-06, 2022.")
    ] = "",
    until: Annotated[str, typer.Option(help="Only articles of this day or earlier.")] = "",
    source: Annotated[list[str] | None, typer.Option(help="Only this outlet; may be repeated.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only articles with this tag; may be repeated.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages to read.")] = 10,
    model: Annotated[
        str | None, typer.Option(help="Let this chat model answer (provider:model); none: quotes alone.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Answer one question from the articles, each sentence with its citation, or say that they do not answer it."""
    from bot import printed, terminal
    from bot.answers.turn import Trace

    asked = _question(question, _window(since, until), source or [], tag or [], k)
    workspace = _workspace(ctx, chat_model="" if model == "none" else model)
    _require_articles(workspace)
    if as_json:
        with terminal.working("Reading the articles"):
            *_, trace = workspace.steps.traced(asked)
        assert isinstance(trace, Trace)
        print(trace.answer.model_dump_json(indent=2))
    else:
        trace = printed.print_stream(workspace.steps.traced(asked))
    workspace.journal.remember(trace)


@app.command()
def chat(ctx: typer.Context) -> None:
    """Ask and follow up, question by question. Reads a pipe too, one question a line."""
    from bot.chat import run_chat

    workspace = _workspace(ctx)
    _require_articles(workspace)
    run_chat(workspace)


@app.command()
def check(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT|FILE|-", help="A text, a file, or - for what is piped in.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line a sentence; from -, read JSON lines.")
    ] = False,
) -> None:
    """Check each sentence of a text: do the articles support it, and where do they say so?

    With --json, - reads rows {"id", "sentence", "source"}; with a source, against that text alone.
    """
    from bot.checking import run_check

    run_check(_workspace(ctx), text, as_json=as_json)


@app.command()
def explain(
    ctx: typer.Context,
    answer_id: Annotated[str, typer.Argument(metavar="ANSWER_ID", help="As in an answer's JSON.")],
    as_json: _Json = False,
) -> None:
    """Show what an answer came from: passages with their scores, model, dropped sentences, timings."""
    from bot.explanation import explanation_text

    found = _workspace(ctx).journal.recall(answer_id)
    if found is None:
        raise CitewireError(f"no answer {answer_id!r} is stored; its id stands in `citewire ask --json`")
    answer, record = found
    if as_json:
        _print_json({"answer": answer.model_dump(mode="json"), "trace": record})
    else:
        print(explanation_text(answer, record))


@app.command()
def articles(ctx: typer.Context, as_json: _Json = False) -> None:
    """List the articles, newest first."""
    from bot import listed

    library = _workspace(ctx).library
    if as_json:
        _print_json({"articles": [listed.headline_fields(headline) for headline in library.headlines()]})
    else:
        listed.print_headlines(library.headlines())


@app.command()
def forget(
    ctx: typer.Context,
    references: Annotated[list[str], typer.Argument(metavar="URL|ID...", help="Articles by address or id.")],
    as_json: _Json = False,
) -> None:
    """Remove articles and all their versions, from the library and both indexes."""
    from bot import terminal

    workspace = _workspace(ctx)
    with workspace.writing(on_wait=terminal.waiting) as indexer:
        found = {reference: workspace.library.find(reference) for reference in references}
        unknown = [reference for reference, article_id in found.items() if article_id is None]
        ids = list(dict.fromkeys(article_id for article_id in found.values() if article_id))
        indexer.publish(retired=ids)
    if as_json:
        _print_json({"forgotten": ids, "unknown": unknown})
    else:
        print(f"{len(ids)} forgotten")
    if unknown:
        _fail(f"not in the library: {', '.join(unknown)}; `citewire articles` lists what is")


@app.command()
def reindex(
    ctx: typer.Context,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="Only export the question encoder anew, not the indexes.")
    ] = False,
    words: Annotated[
        bool, typer.Option("--words", help="Only make the word index anew, which needs no model.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Make both indexes anew from the library, for instance for another embedding model."""
    from bot import terminal

    workspace = _workspace(ctx)
    fields: dict[str, Any]
    if encoder:
        with terminal.working(_PREPARING):
            workspace.embedder.ensure_encoder(anew=True)
        fields = {"model": workspace.embedder.model}
        said = f"question encoder exported from {workspace.embedder.model}"
    elif words:
        with _passage_progress(workspace) as progress:
            fields = {"passages": workspace.follower.rebuild(progress)}
        said = f"the words of {fields['passages']:,} passages indexed"
    else:
        fields = {"passages": _rebuild(workspace), "model": workspace.embedder.model}
        said = f"{fields['passages']:,} passages indexed with {workspace.embedder.model}"
    if as_json:
        _print_json(fields)
    else:
        print(said)


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
    run_slack(_workspace(ctx), http=Address(host, port) if http else None, say=terminal.err.print)


@app.command()
def doctor(
    ctx: typer.Context,
    slack: Annotated[
        bool, typer.Option("--slack", help="Ask Slack too: tokens, scopes and channels.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Check weights, library, both indexes and question encoder. Exits 1 when something is wrong."""
    from bot.doctor import examine
    from bot.listed import print_checks

    workspace = _workspace(ctx)
    checks = examine(workspace)
    if slack:
        from bot.slack.doctor import examine_slack

        checks += examine_slack(workspace.settings)
    healthy = all(check.ok for check in checks)
    if as_json:
        _print_json({"ok": healthy, "checks": [check.fields() for check in checks]})
    else:
        print_checks(checks)
    raise typer.Exit(0 if healthy else 1)


def _workspace(ctx: typer.Context, **options: Any) -> Workspace:
    from bot.settings import load_settings
    from bot.workspace import Workspace

    return Workspace(load_settings(data_dir=ctx.obj, **options))


def _rebuild(workspace: Workspace) -> int:
    from bot import terminal

    with workspace.writing(on_wait=terminal.waiting) as indexer, _passage_progress(workspace) as progress:
        done = indexer.rebuild(progress)
    if done:
        _prepare_encoder(workspace)
    return done


def _passage_progress(workspace: Workspace) -> AbstractContextManager[Callable[[int], None]]:
    from bot import terminal

    return terminal.passage_progress(workspace.library.totals().passages)


def _prepare_encoder(workspace: Workspace) -> None:
    """Export the question encoder if it is missing; without it questions are answered, but start slower."""
    from bot import terminal

    with terminal.told_errors(), terminal.working(_PREPARING):
        workspace.embedder.ensure_encoder()


def _require_articles(workspace: Workspace) -> None:
    if workspace.library.is_empty():
        raise CitewireError(f"no articles in {workspace.settings.data_dir}: run `citewire ingest PATH` first")


def _question(text: str, window: Window | None, sources: list[str], tags: list[str], k: int) -> Question:
    from bot.answers.question import Question
    from bot.retrieval.filters import Filters

    return Question(text, filters=Filters(window, tuple(sources), tuple(tags)), k=k)


def _window(since: str, until: str) -> Window | None:
    from bot.errors import QuestionError
    from bot.retrieval.window import given_window

    try:
        return given_window(since, until)
    except QuestionError as exc:
        raise typer.BadParameter(str(exc), param_hint="--since, --until") from exc


def _print_json(fields: dict[str, Any]) -> None:
    print(json.dumps(fields, ensure_ascii=False, indent=2))


def _fail(message: str, code: int = 1) -> NoReturn:
    if _verbose:
        traceback.print_exc()
    print(f"citewire: {message}", file=sys.stderr)
    sys.exit(code)
