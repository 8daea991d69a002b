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
    as_json: Json = False,
) -> None:
    """Answer one question from the articles, each sentence with its citation, or say that they do not answer it."""
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
    """Ask and follow up, question by question. Reads a pipe too, one question a line."""
    from bot.cli.chat import run_chat

    services = open_services(ctx)
    _require_articles(services)
    run_chat(services)


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
    from bot.cli.check import run_check

    run_check(open_services(ctx), text, as_json=as_json)


@app.command()
def explain(
    ctx: typer.Context,
    answer_id: Annotated[str, typer.Argument(metavar="ANSWER_ID", help="As in an answer's JSON.")],
    as_json: Json = False,
) -> None:
    """Show what an answer came from, and which of its citations still stand.

    That is: passages with their scores, model, dropped sentences, timings.
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
        list[str] | None, typer.Argument(metavar="[URL|ID...]", help="Articles by address or id; none: all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List every answer that cited an article which was corrected or withdrawn since, the newest first."""
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
