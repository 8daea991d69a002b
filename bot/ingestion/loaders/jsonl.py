"""Reads JSON: a file with one record or a list of them, and JSON lines of any length."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import NamedTuple

from bot.articles.article import Article
from bot.errors import ParseError
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import (
    EMPTY,
    TEST_SET,
    File,
    Skipped,
    check_is_text,
    check_size,
    is_question,
    read_text,
    record_key,
)
from bot.ingestion.loaders.text_encoding import HEAD, bom_encoding, decode

MAX_JSON_BYTES = 100_000_000  # a .json file is parsed whole; JSON lines have no limit


class _Line(NamedTuple):
    number: int
    data: bytes  # cut where it is too long
    size: int


def read_json(file: File) -> Iterator[Article | Skipped]:
    """Yield the articles of a JSON file. Raises ParseError."""
    check_size(file.size, MAX_JSON_BYTES, "to parse whole", "write it as JSON lines")
    document = _loads(read_text(file.path))
    records = document if isinstance(document, list) else [document]
    if not records:
        raise ParseError("an empty list, no articles")
    if is_question(records[0]):
        yield file.skipped(TEST_SET, expected=True)
        return
    for number, record in enumerate(records, 1):
        try:
            yield file.article(record, place=record_key(record))
        except ParseError as exc:
            yield file.skipped(f"record {number}: {exc.reason}" if records is document else exc.reason)


def read_json_lines(file: File) -> Iterator[Article | Skipped]:
    """Yield the articles of JSON lines, one at a time. Raises ParseError."""
    first = True
    with file.path.open("rb") as raw, as_text(raw) as stream:
        for line in _lines(stream):
            outcome = _read_line(file, line, first=first)
            yield outcome
            if isinstance(outcome, Skipped) and outcome.expected:
                return
            first = False
    if first:
        raise ParseError(EMPTY)


def as_text(raw: io.BufferedReader, *, newline: str | None = None) -> io.TextIOWrapper:
    """Open a file as text, for line ends of all kinds; bytes that are not UTF-8 pass through escaped."""
    head = raw.peek(HEAD)[:HEAD]
    check_is_text(head)
    bom = bom_encoding(head)
    encoding, errors = (bom, "replace") if bom else ("utf-8-sig", "surrogateescape")
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline=newline)


def _read_line(file: File, line: _Line, *, first: bool) -> Article | Skipped:
    try:
        check_size(line.size, base.MAX_ARTICLE_BYTES, "for one article", "split it")
        record = _loads(decode(line.data).rstrip())
        if first and is_question(record):
            return file.skipped(TEST_SET, expected=True)
        return file.article(record, place=record_key(record))
    except ParseError as exc:
        return file.skipped(exc.reason, line=line.number)


def _loads(text: str) -> object:
    try:
        # NaN is how pandas writes a field that is missing.
        document: object = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as exc:
        advice = " (one record a line? then name it .jsonl)" if exc.msg == "Extra data" else ""
        problem = exc.msg.removesuffix(" at")
        raise ParseError(f"not valid JSON: {problem} at column {exc.colno}{advice}", line=exc.lineno) from exc
    except RecursionError as exc:
        raise ParseError("not valid JSON: nested too deeply") from exc
    except ValueError as exc:  # Python's limit on the digits of an integer
        raise ParseError("not valid JSON: a number has too many digits") from exc
    return document


def _lines(stream: io.TextIOWrapper) -> Iterator[_Line]:
    """Yield the lines that are not blank; of one above the limit, its beginning, and its whole size."""
    number, limit = 0, base.MAX_ARTICLE_BYTES
    while text := stream.readline(limit + 1):
        number += 1
        data = text.encode("utf-8", "surrogateescape")
        size = len(data) - text.endswith("\n")
        while not text.endswith("\n") and (text := stream.readline(HEAD)):
            size += len(text.encode("utf-8", "surrogateescape")) - text.endswith("\n")
        if size > limit or data.strip():
            yield _Line(number, data, size)
