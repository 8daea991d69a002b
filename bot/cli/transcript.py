"""Export of a conversation as Markdown, with its text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot.answering.answer import NOT_SURE
from bot.answering.quotes import bold_markdown, split_quote
from bot.articles.article import is_web_url
from bot.errors import QuestionError
from bot.text.formatting import format_date, format_page

if TYPE_CHECKING:
    from bot.answering.answer import Answer, Citation

# The last two alternatives prevent links.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&-])|(?<=\d)\.|:(?=//)|(?<=www)\.", re.IGNORECASE)


def write_transcript(answers: Sequence[Answer], path: Path) -> None:
    """Write answers with their questions and citations to a new file.

    Raises:
        QuestionError: if the file exists or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for answer in answers for line in _format_lines(answer))
    except FileExistsError as exc:
        raise QuestionError(f"{path} is there already; name a new file") from exc
    except OSError as exc:
        raise QuestionError(f"{path} cannot be written: {exc.strerror}") from exc


def _format_lines(answer: Answer) -> Iterator[str]:
    yield from (f"## {_escape_text(answer.question)}", "")
    if answer.notice:
        yield from (f"*{_escape_text(answer.notice)}*", "")
    if answer.sentences:
        yield " ".join(
            _escape_text(sentence.text)
            + "".join(f" \\[{n}\\]" for n in sentence.citations)
            + (" *weakly supported*" if sentence.support == "weak" else "")
            for sentence in answer.sentences
        )
    else:
        yield f"**{_escape_text(NOT_SURE if answer.closest else answer.text)}**"
    yield ""
    for citation in answer.citations:
        yield from (f"\\[{citation.n}\\] {_format_citation(citation)}", "")
    for citation in answer.closest:  # without a number, because no sentence cites it
        yield from (_format_citation(citation), "")


def _format_citation(citation: Citation) -> str:
    source = " · ".join(
        filter(
            None,
            (citation.source, format_date(citation.published), citation.title, format_page(citation.page)),
        )
    )
    link = f" <{citation.link}>" if citation.link and is_web_url(citation.link) else ""
    return f"“{bold_markdown(split_quote(citation), _escape_line)}” {_escape_text(source)}{link}"


def _escape_text(text: str) -> str:
    """Return text on one line, escaped so that Markdown shows it literally."""
    return _escape_line(" ".join(text.split()))


def _escape_line(line: str) -> str:
    return _MARKUP.sub(lambda match: f"\\{match[0]}", line)
