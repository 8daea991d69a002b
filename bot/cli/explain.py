"""Provenance of a stored answer for `citewire explain`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bot.answering.answer import NOT_SURE
from bot.answering.citation_status import describe_status
from bot.answering.quotes import split_quote
from bot.articles.article import clean_text
from bot.text.formatting import format_date, format_page

if TYPE_CHECKING:
    from bot.answering.answer import Answer, Citation
    from bot.answering.citation_status import AffectedAnswer


def format_explanation(affected: AffectedAnswer, record: dict[str, Any]) -> str:
    """Return question, search, model, timings, sentences, citations and scored passages as lines of text.

    A citation whose article has changed is followed by its status.

    Args:
        affected: the answer with the changes of its articles.
        record: the stored trace.
    """
    return "\n".join(clean_text(line.replace("\n", " ")) for line in _format_lines(affected, record))


def _format_lines(affected: AffectedAnswer, record: dict[str, Any]) -> Iterator[str]:
    answer = affected.answer
    yield f"question      {answer.question}"
    if answer.standalone_question != answer.question:
        yield f"stands alone  {answer.standalone_question}"
    for earlier in record.get("history", ()):
        yield f"asked before  {earlier['question']}"
    yield f"asked         {record.get('asked', 'not recorded')}"
    yield f"window        {answer.window.label if answer.window else 'any time'}"
    yield from _format_filters(record)
    yield f"status        {answer.status}, confidence {answer.confidence:.3f}"
    if answer.notice:
        yield f"notice        {answer.notice}"
    yield from _format_model(answer, record)
    yield f"timings       {', '.join(f'{step} {ms:g} ms' for step, ms in answer.timings.items())}"
    yield from _format_sentences(affected)
    yield from _format_closest(answer)
    yield from _format_hits(record)


def _format_filters(record: dict[str, Any]) -> Iterator[str]:
    for name in ("sources", "tags"):
        if record.get(name):
            yield f"{name:<13} {', '.join(record[name])}"


def _format_model(answer: Answer, record: dict[str, Any]) -> Iterator[str]:
    yield f"answerer      {answer.answerer}"
    if record.get("prompt_sha256"):
        yield f"prompt        sha256 {record['prompt_sha256']}"
    if usage := answer.usage:
        about = "about " if usage.estimated else ""
        cost = f", ${usage.cost:.6f}" if usage.cost is not None else ""
        yield f"tokens        {about}{usage.input_tokens:,} read, {usage.output_tokens:,} written{cost}"


def _format_sentences(affected: AffectedAnswer) -> Iterator[str]:
    answer = affected.answer
    for sentence in answer.sentences:
        marks = "".join(f"[{n}]" for n in sentence.citations)
        yield f"{sentence.support:<13} {sentence.text} {marks}"
    for citation in answer.citations:
        yield f"  [{citation.n}] {_format_location(citation)}"
        yield from _format_answer_words(citation)
        if since := affected.article_changes.get(citation.n):
            yield f"      {describe_status(citation.standing, since)}"
    for dropped in answer.dropped:
        score = f" (score {dropped.score:.2f})" if dropped.score is not None else ""
        cited = "".join(f"[{n}]" for n in dropped.cited)
        yield f"dropped       {dropped.text} {cited}: {dropped.reason}{score}"


def _format_closest(answer: Answer) -> Iterator[str]:
    """Yield the passage that is closest to an answer, without a number, because no sentence cites it."""
    for citation in answer.closest:
        yield f"not sure      {NOT_SURE}"
        yield f"      “{citation.quote}”"
        yield f"      {' · '.join(filter(None, (citation.source, _format_location(citation), citation.link)))}"
        yield from _format_answer_words(citation)


def _format_location(citation: Citation) -> str:
    """Return title, date, id, page and version of the cited article, and the offsets of the quote in it."""
    page = f" {format_page(citation.page)}," if citation.page else ""
    article = f"{citation.title} · {format_date(citation.published)} · {citation.article_id}"
    return f"{article}{page} version {citation.version}, {citation.start}–{citation.end}"


def _format_answer_words(citation: Citation) -> Iterator[str]:
    """Yield the words of a quote that answer the question, with their offsets in the article."""
    if words := split_quote(citation).words:
        yield f"      words that answer: “{words}”, {citation.answer_start}–{citation.answer_end}"


def _format_hits(record: dict[str, Any]) -> Iterator[str]:
    for rank, hit in enumerate(record.get("hits", ()), start=1):
        found = ", ".join(
            f"{index} {score:g}" + (f" (rank {hit['ranks'][index]})" if index in hit["ranks"] else "")
            for index, score in hit["scores"].items()
        )
        yield f"passage {rank:>2}    {hit['score']:.3f}  {hit['title']} · {hit['passage_id']} · {found}"
