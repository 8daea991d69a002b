"""Loads JSON and JSON Lines: one record, a list of records, or one record per line."""

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
from bot.ingestion.loaders.text_encoding import HEAD_BYTES, bom_encoding, decode

MAX_JSON_BYTES = 100_000_000  # a .json file is parsed in memory; JSON Lines files have no limit


class _Line(NamedTuple):
    number: int
    data: bytes  # truncated if it exceeds the limit
    size: int


def read_json(file: File) -> Iterator[Article | Skipped]:
    """Yield the articles of a JSON file.

    Raises:
        ParseError: if the file is not valid JSON or is too large.
    """
    check_size(file.size, MAX_JSON_BYTES, "to parse whole", "write it as JSON lines")
    document = _parse_json(read_text(file.path))
    records = document if isinstance(document, list) else [document]
    if not records:
        raise ParseError("an empty list, no articles")
    if is_question(records[0]):
        yield file.skip(TEST_SET, expected=True)
        return
    for number, record in enumerate(records, 1):
        try:
            yield file.build_article(record, key=record_key(record))
        except ParseError as exc:
            yield file.skip(f"record {number}: {exc.reason}" if records is document else exc.reason)


def read_json_lines(file: File) -> Iterator[Article | Skipped]:
    """Yield the articles of a JSON Lines file, one at a time.

    Raises:
        ParseError: if the file is binary or empty.
    """
    first = True
    with file.path.open("rb") as raw, open_text(raw) as stream:
        for line in _iter_lines(stream):
            outcome = _read_line(file, line, first=first)
            yield outcome
            if isinstance(outcome, Skipped) and outcome.expected:
                return
            first = False
    if first:
        raise ParseError(EMPTY)


def open_text(raw: io.BufferedReader, *, newline: str | None = None) -> io.TextIOWrapper:
    """Open a binary file as text, with any kind of line ends; bytes that are not UTF-8 become surrogate escapes.

    Args:
        raw: the file.
        newline: as for `open`.

    Raises:
        ParseError: if the file is binary.
    """
    head = raw.peek(HEAD_BYTES)[:HEAD_BYTES]
    check_is_text(head)
    bom = bom_encoding(head)
    encoding, errors = (bom, "replace") if bom else ("utf-8-sig", "surrogateescape")
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline=newline)


def _read_line(file: File, line: _Line, *, first: bool) -> Article | Skipped:
    try:
        check_size(line.size, base.MAX_ARTICLE_BYTES, "for one article", "split it")
        record = _parse_json(decode(line.data).rstrip())
        if first and is_question(record):
            return file.skip(TEST_SET, expected=True)
        return file.build_article(record, key=record_key(record))
    except ParseError as exc:
        return file.skip(exc.reason, line=line.number)


def _parse_json(text: str) -> object:
    try:
        # pandas writes missing fields as NaN.
        document: object = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as exc:
        advice = " (one record a line? then name it .jsonl)" if exc.msg == "Extra data" else ""
        problem = exc.msg.removesuffix(" at")
        raise ParseError(f"not valid JSON: {problem} at column {exc.colno}{advice}", line=exc.lineno) from exc
    except RecursionError as exc:
        raise ParseError("not valid JSON: nested too deeply") from exc
    except ValueError as exc:  # Python limits the number of digits of an integer
        raise ParseError("not valid JSON: a number has too many digits") from exc
    return document


def _iter_lines(stream: io.TextIOWrapper) -> Iterator[_Line]:
    """Yield the lines that are not blank; a line above the limit is truncated, but its size is the whole size."""
    number, limit = 0, base.MAX_ARTICLE_BYTES
    while text := stream.readline(limit + 1):
        number += 1
        data = text.encode("utf-8", "surrogateescape")
        size = len(data) - text.endswith("\n")
        while not text.endswith("\n") and (text := stream.readline(HEAD_BYTES)):
            size += len(text.encode("utf-8", "surrogateescape")) - text.endswith("\n")
        if size > limit or data.strip():
            yield _Line(number, data, size)
