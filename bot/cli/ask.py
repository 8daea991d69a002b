"""Commands: ask, chat, check, explain, affected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import Json, open_services, print_json
from bot.errors import CitewireError

if TYPE_CHECKING:
    from bot.answering.question import Question
    from bot.indexing.filters import TimeWindow
    from bot.services import Services

app = typer.Typer()


@app.command()
def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="Question to answer.")],
    since: Annotated[
        str, typer.Option(help="Only articles published on or after this date (YYYY[-MM[-DD]]).")
    ] = "",
    until: Annotated[str, typer.Option(help="Only articles published on or before this date.")] = "",
    source: Annotated[list[str] | None, typer.Option(help="Only this source (repeatable).")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only this tag (repeatable).")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="Number of passages to retrieve.")] = 10,
    model: Annotated[
        str | None, typer.Option(help="Chat model as provider:model, or 'none' for quotes only.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer one question, with citations."""
    from bot.answering.question import AnswerTrace
    from bot.cli import console, render

    parsed = _build_question(question, _parse_window(since, until), source or [], tag or [], k)
    services = open_services(ctx, chat_model="" if model == "none" else model)
    _require_articles(services)
    if as_json:
        with console.spinner("Reading the articles"):
            *_, trace = services.pipeline.run(parsed)
        assert isinstance(trace, AnswerTrace)
        print(trace.answer.model_dump_json(indent=2))
    else:
        trace = render.print_stream(services.pipeline.run(parsed))
    services.answers.save(trace)


@app.command()
def chat(ctx: typer.Context) -> None:
    """Start an interactive chat. Reads questions from stdin, one per line, if it is piped."""
    from bot.cli.chat import run_chat

    services = open_services(ctx)
    _require_articles(services)
    run_chat(services)


@app.command()
def check(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT|FILE|-", help="Text, file, or - for stdin.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Output one JSON object per sentence; with -, read JSON Lines.")
    ] = False,
) -> None:
    """Check each sentence of a text against the articles.

    With `--json -`, read JSON Lines {"id", "sentence", "source"} from stdin; if `source` is given, check against that
    text only.
    """
    from bot.cli.check import run_check

    run_check(open_services(ctx), text, as_json=as_json)


@app.command()
def explain(
    ctx: typer.Context,
    answer_id: Annotated[
        str, typer.Argument(metavar="ANSWER_ID", help="Answer id, as printed by `ask --json`.")
    ],
    as_json: Json = False,
) -> None:
    """Show how an answer was produced and whether its citations are still valid.

    Prints the passages with their scores, the model, the dropped sentences and the timings.
    """
    from bot.cli.explain import format_explanation

    services = open_services(ctx)
    found = services.answers.load(answer_id)
    affected = services.citation_audit.for_answer(answer_id)
    if found is None or affected is None:
        raise CitewireError(f"no answer {answer_id!r} is stored; its id stands in `citewire ask --json`")
    if as_json:
        print_json({"answer": affected.answer.model_dump(mode="json"), "trace": found[1]})
    else:
        print(format_explanation(affected, found[1]))


@app.command()
def affected(
    ctx: typer.Context,
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[URL|ID...]", help="Article URLs or ids (default: all).")
    ] = None,
    as_json: Json = False,
) -> None:
    """List answers citing articles that were later corrected or withdrawn, newest first."""
    from bot.cli import listing

    services = open_services(ctx)
    found = services.citation_audit.find_affected_answers(
        _resolve_ids(services, references) if references else None
    )
    if as_json:
        print_json({"affected": [listing.affected_fields(one) for one in found]})
    else:
        listing.print_affected_answers(found)


def _require_articles(services: Services) -> None:
    if services.articles.is_empty():
        raise CitewireError(f"no articles in {services.settings.data_dir}: run `citewire ingest PATH` first")


def _build_question(
    text: str, window: TimeWindow | None, sources: list[str], tags: list[str], k: int
) -> Question:
    from bot.answering.question import Question
    from bot.indexing.filters import SearchFilters

    return Question(text, filters=SearchFilters(window, tuple(sources), tuple(tags)), k=k)


def _parse_window(since: str, until: str) -> TimeWindow | None:
    from bot.errors import QuestionError
    from bot.retrieval.time_filter import parse_window

    try:
        return parse_window(since, until)
    except QuestionError as exc:
        raise typer.BadParameter(str(exc), param_hint="--since, --until") from exc


def _resolve_ids(services: Services, references: list[str]) -> set[str]:
    """Return all ids that the references may denote; for a deleted article, the id is computed from its URL."""
    from bot.articles.article import canonical_url, short_hash

    stored = {services.articles.find(reference) for reference in references}
    computed = {short_hash(canonical_url(reference)) for reference in references}
    return {*references, *computed, *(found for found in stored if found)}
