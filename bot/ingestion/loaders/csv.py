"""Loads CSV, TSV and other delimited tables; each row is an article."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from bot.articles.article import Article, clean_line
from bot.errors import ParseError
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, TEST_SET, File, Skipped, is_question, record_key
from bot.ingestion.loaders.jsonl import open_text
from bot.ingestion.loaders.text_encoding import HEAD_BYTES, decode

# Alternative column names; if a table has several, the first in this order is used.
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
_SEPARATOR = re.compile(r"sep=.?\s*$")  # written by spreadsheets before the header
_DELIMITERS = (",", ";", "\t", "|")


def read_csv(file: File) -> Iterator[Article | Skipped]:
    """Yield an article for each row.

    Raises:
        ParseError: if the table does not have a column with the text.
    """
    csv.field_size_limit(base.MAX_ARTICLE_BYTES)  # the default limit is too small for a long article
    with file.path.open("rb") as raw, open_text(raw, newline="") as stream:
        rows = csv.reader(stream, delimiter=_detect_delimiter(raw))
        header = _read_header(rows)
        columns = _map_columns(header)
        if "text" not in columns:
            if "question" not in columns:
                raise ParseError(
                    f"no column `text`, `body` or `content` (there are: {clean_line(', '.join(header))[:200]})"
                )
            yield file.skip(TEST_SET, expected=True)
            return
        for outcome in _read_rows(file, rows, header, columns):
            yield outcome
            if isinstance(outcome, Skipped) and outcome.expected:
                return


def _detect_delimiter(raw: io.BufferedReader) -> str:
    """Return the delimiter that gives the most known columns in the first line."""
    head = next(
        (
            line
            for line in decode(raw.peek(HEAD_BYTES)[:HEAD_BYTES]).splitlines()
            if line.strip() and not _SEPARATOR.match(line)
        ),
        "",
    )

    def count_known_columns(delimiter: str) -> int:
        return len(_map_columns(next(csv.reader([head], delimiter=delimiter), [])))

    return max(_DELIMITERS, key=count_known_columns)


def _read_header(rows: Iterator[list[str]]) -> list[str]:
    try:
        return [
            name.strip()
            for name in next(row for row in rows if any(map(str.strip, row)) and not _SEPARATOR.match(row[0]))
        ]
    except StopIteration:
        raise ParseError(EMPTY) from None
    except csv.Error as exc:
        raise ParseError(f"not a table: {exc}", line=1) from exc


def _map_columns(header: Sequence[str]) -> dict[str, int]:
    """Return the column index of each field in the header."""
    at = {
        _decode_field(name).casefold().strip(): column for column, name in reversed(list(enumerate(header)))
    }
    named = ((field, (field, *names)) for field, names in _SYNONYMS.items())
    return {
        field: next(at[name] for name in names if name in at)
        for field, names in named
        if at.keys() & {*names}
    }


def _read_rows(
    file: File, rows: Iterator[list[str]], header: Sequence[str], columns: dict[str, int]
) -> Iterator[Article | Skipped]:
    """Yield an article or a Skipped for each row; a broken row does not affect the others."""
    line = getattr(rows, "line_num", 1) + 1
    first = True
    while True:
        try:
            row = next(rows)
            if any(map(str.strip, row)):
                yield _read_row(file, row, header, columns, first=first)
                first = False
        except StopIteration:
            return
        except csv.Error as exc:
            yield file.skip(f"a row that cannot be read: {exc}", line=line)
        except ParseError as exc:
            yield file.skip(exc.reason, line=line)
        line = getattr(rows, "line_num", line) + 1


def _read_row(
    file: File, row: Sequence[str], header: Sequence[str], columns: dict[str, int], *, first: bool
) -> Article | Skipped:
    if len(row) > len(header):
        raise ParseError(
            f"{len(row)} fields in a table of {len(header)} columns (is a quotation mark missing?)"
        )
    record: dict[str, object] = {
        field: _decode_field(row[column])
        for field, column in columns.items()
        if column < len(row) and row[column].strip()
    }
    if first and is_question(record):
        return file.skip(TEST_SET, expected=True)
    if isinstance(tags := record.get("tags"), str):
        record["tags"] = tags.replace("|", ",")
    return file.build_article(record, key=record_key(record))


def _decode_field(field: str) -> str:
    """Return a field as text, detecting the encoding if its bytes were not UTF-8."""
    if field.isascii():
        return field
    return decode(field.encode("utf-8", "surrogateescape"))
