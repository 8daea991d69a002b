"""Reads CSV and other tables of text: a row is an article."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from bot.articles.article import Article, clean_line
from bot.errors import ParseError
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, TEST_SET, File, Skipped, is_question, record_key
from bot.ingestion.loaders.jsonl import as_text
from bot.ingestion.loaders.text_encoding import HEAD, decode

# What the columns are called elsewhere; of several in a table the first here counts.
_SYNONYMS = {
    "text": ("body", "content", "article", "full_text", "article_text"),
    "title": ("headline",),
    "url": ("link", "article_url"),
    "published": ("date", "published_at", "publish_date", "publication_date", "pub_date", "pubdate"),
    "source": ("outlet", "publisher", "publication"),
    "id": ("guid", "article_id"),
    "tags": ("keywords", "topics", "category"),
    "question": (),
}  # fmt: skip
_SEPARATOR = re.compile(r"sep=.?\s*$")  # what spreadsheets write before the header
_DELIMITERS = (",", ";", "\t", "|")


def read_csv(file: File) -> Iterator[Article | Skipped]:
    """Yield an article for each row. Raises ParseError for a table without a column of texts."""
    csv.field_size_limit(base.MAX_ARTICLE_BYTES)  # the module's own limit is less than a long article
    with file.path.open("rb") as raw, as_text(raw, newline="") as stream:
        rows = csv.reader(stream, delimiter=_delimiter(raw))
        header = _header(rows)
        columns = _columns(header)
        if "text" not in columns:
            if "question" not in columns:
                raise ParseError(
                    f"no column `text`, `body` or `content` (there are: {clean_line(', '.join(header))[:200]})"
                )
            yield file.skipped(TEST_SET, expected=True)
            return
        for outcome in _outcomes(file, rows, header, columns):
            yield outcome
            if isinstance(outcome, Skipped) and outcome.expected:
                return


def _delimiter(raw: io.BufferedReader) -> str:
    """Return what parts the first line into the most columns that are known."""
    head = next(
        (
            line
            for line in decode(raw.peek(HEAD)[:HEAD]).splitlines()
            if line.strip() and not _SEPARATOR.match(line)
        ),
        "",
    )

    def known(delimiter: str) -> int:
        return len(_columns(next(csv.reader([head], delimiter=delimiter), [])))

    return max(_DELIMITERS, key=known)


def _header(rows: Iterator[list[str]]) -> list[str]:
    try:
        return [
            name.strip()
            for name in next(row for row in rows if any(map(str.strip, row)) and not _SEPARATOR.match(row[0]))
        ]
    except StopIteration:
        raise ParseError(EMPTY) from None
    except csv.Error as exc:
        raise ParseError(f"not a table: {exc}", line=1) from exc


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Return in which column each field stands that the header names."""
    at = {_plain(name).casefold().strip(): place for place, name in reversed(list(enumerate(header)))}
    named = ((field, (field, *names)) for field, names in _SYNONYMS.items())
    return {
        field: next(at[name] for name in names if name in at)
        for field, names in named
        if at.keys() & {*names}
    }


def _outcomes(
    file: File, rows: Iterator[list[str]], header: Sequence[str], columns: dict[str, int]
) -> Iterator[Article | Skipped]:
    """Yield what each row gives; a row that cannot be read is the fault of that row only."""
    line = getattr(rows, "line_num", 1) + 1
    first = True
    while True:
        try:
            row = next(rows)
            if any(map(str.strip, row)):
                yield _outcome(file, row, header, columns, first=first)
                first = False
        except StopIteration:
            return
        except csv.Error as exc:
            yield file.skipped(f"a row that cannot be read: {exc}", line=line)
        except ParseError as exc:
            yield file.skipped(exc.reason, line=line)
        line = getattr(rows, "line_num", line) + 1


def _outcome(
    file: File, row: Sequence[str], header: Sequence[str], columns: dict[str, int], *, first: bool
) -> Article | Skipped:
    if len(row) > len(header):
        raise ParseError(
            f"{len(row)} fields in a table of {len(header)} columns (is a quotation mark missing?)"
        )
    record: dict[str, object] = {
        field: _plain(row[place])
        for field, place in columns.items()
        if place < len(row) and row[place].strip()
    }
    if first and is_question(record):
        return file.skipped(TEST_SET, expected=True)
    if isinstance(tags := record.get("tags"), str):
        record["tags"] = tags.replace("|", ",")
    return file.article(record, place=record_key(record))


def _plain(field: str) -> str:
    """Return a field whose bytes may have been no UTF-8 as the text they mean."""
    if field.isascii():
        return field
    return decode(field.encode("utf-8", "surrogateescape"))
