"""Reads articles from files and folders, one at a time: text, Markdown, HTML, JSON and JSON lines."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bot.articles.article import Article, article_from_record, short_hash
from bot.articles.decoding import HEAD, bom_encoding, decode, is_binary
from bot.articles.pages import record_from_html, record_from_markdown, record_from_text
from bot.errors import ReadError

MAX_ARTICLE_BYTES = 10_000_000  # one text, Markdown or HTML file; one record of JSON lines
MAX_JSON_BYTES = 100_000_000  # a .json file is parsed whole; JSON lines have no limit

_EMPTY = "the file is empty"
_TEST_SET = "a test set of questions, not articles"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or record that gave no article, and why.

    `expected` marks what was never meant as an article (a test set lying in the folder): noted, no failure.
    """

    file: str
    line: int | None
    reason: str
    expected: bool = False

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"


class _File(NamedTuple):
    path: Path
    origin: str
    source: str

    def skipped(self, reason: str, *, line: int | None = None, expected: bool = False) -> Skipped:
        return Skipped(_shown(self.path), line, reason, expected)


class _Line(NamedTuple):
    number: int
    data: bytes  # cut where it is too long
    size: int


def read_articles(paths: Iterable[Path], *, source: str = "") -> Iterator[Article | Skipped]:
    """Yield every article in the files and folders at `paths`, and a Skipped for all that cannot be read.

    Folders are read recursively in sorted order, without hidden files. `source` names the outlet of
    articles that name none.
    """
    for path in files_below(paths):
        if isinstance(path, Skipped):
            yield path
        else:
            yield from _read_file(path, source)


def files_below(paths: Iterable[Path]) -> Iterator[Path | Skipped]:
    """Yield the files in these folders, and these files, in the order they are read in."""
    for given in paths:
        yield from _walk(given)


def _walk(given: Path) -> Iterator[Path | Skipped]:
    """Yield what is not a folder at or under `given`; each real folder once, so that links cannot loop."""
    stack, seen = [given], set[tuple[int, int]]()
    while stack:
        path = stack.pop()
        try:
            info = path.stat()
            if not stat.S_ISDIR(info.st_mode):
                yield path
            elif (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                stack += sorted((p for p in path.iterdir() if not p.name.startswith(".")), reverse=True)
        except OSError as exc:
            yield Skipped(_shown(path), None, _plain(exc))


def _read_file(path: Path, source: str) -> Iterator[Article | Skipped]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for its writer for ever
            raise ReadError("not a regular file")
        read = _READERS.get(path.suffix.lower(), _read_nothing)
        yield from read(_File(path, _shown(path.resolve()), source))
    except ReadError as exc:
        yield Skipped(_shown(path), exc.line, exc.reason)
    except OSError as exc:
        yield Skipped(_shown(path), None, _plain(exc))


def _shown(path: Path) -> str:
    """Return `path` as text that can be printed and stored: names of files need not be valid Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _plain(exc: OSError) -> str:
    missing = isinstance(exc, FileNotFoundError)
    return "no such file or folder" if missing else (exc.strerror or type(exc).__name__).lower()


def _read_page(fields: Callable[[str], dict[str, object]], file: _File) -> Iterator[Article | Skipped]:
    size = file.path.stat().st_size
    _refuse_large(size, MAX_ARTICLE_BYTES, "for one article", "split it or write it as JSON lines")
    yield _article(file, fields(_read_text(file.path)))


def _read_json(file: _File) -> Iterator[Article | Skipped]:
    _refuse_large(file.path.stat().st_size, MAX_JSON_BYTES, "to parse whole", "write it as JSON lines")
    document = _loads(_read_text(file.path))
    records = document if isinstance(document, list) else [document]
    if not records:
        raise ReadError("an empty list, no articles")
    if _is_question(records[0]):
        yield file.skipped(_TEST_SET, expected=True)
        return
    for number, record in enumerate(records, 1):
        try:
            yield _article(file, record, place=_place(record))
        except ReadError as exc:
            yield file.skipped(f"record {number}: {exc.reason}" if records is document else exc.reason)


def _read_json_lines(file: _File) -> Iterator[Article | Skipped]:
    first = True
    with file.path.open("rb") as raw, _as_text(raw) as stream:
        for line in _lines(stream):
            outcome = _read_line(file, line, first=first)
            yield outcome
            if isinstance(outcome, Skipped) and outcome.expected:
                return
            first = False
    if first:
        raise ReadError(_EMPTY)


def _read_line(file: _File, line: _Line, *, first: bool) -> Article | Skipped:
    try:
        _refuse_large(line.size, MAX_ARTICLE_BYTES, "for one article", "split it")
        record = _loads(decode(line.data).rstrip())
        if first and _is_question(record):
            return file.skipped(_TEST_SET, expected=True)
        return _article(file, record, place=_place(record))
    except ReadError as exc:
        return file.skipped(exc.reason, line=line.number)


def _read_nothing(file: _File) -> Iterator[Article | Skipped]:
    with file.path.open("rb") as stream:
        _refuse_binary(stream.read(HEAD))
    yield file.skipped(f"not a kind of file that can be read ({', '.join(_READERS)} can)")


def _article(file: _File, record: object, *, place: str = "") -> Article:
    if not isinstance(record, dict):
        raise ReadError(f"expected an object, found {type(record).__name__}")
    try:
        return article_from_record(record, origin=file.origin, place=place, source=file.source)
    except (ValueError, OverflowError, RecursionError) as exc:
        # What the standard library's URL and date parsers raise for values made to break them.
        raise ReadError(f"a field holds a value that cannot be used ({type(exc).__name__})") from exc


def _place(record: object) -> str:
    """Return the identity of a record without id and url: its content, so that it may move in its file."""
    fields = (record.get("title"), record.get("text")) if isinstance(record, dict) else ()
    return short_hash("\n".join(field for field in fields if isinstance(field, str)))


def _is_question(record: object) -> bool:
    return isinstance(record, dict) and bool(record.get("question")) and not record.get("text")


def _loads(text: str) -> object:
    try:
        # NaN is how pandas writes a field that is missing.
        document: object = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as exc:
        advice = " (one record a line? then name it .jsonl)" if exc.msg == "Extra data" else ""
        problem = exc.msg.removesuffix(" at")
        raise ReadError(f"not valid JSON: {problem} at column {exc.colno}{advice}", line=exc.lineno) from exc
    except RecursionError as exc:
        raise ReadError("not valid JSON: nested too deeply") from exc
    except ValueError as exc:  # Python's limit on the digits of an integer
        raise ReadError("not valid JSON: a number has too many digits") from exc
    return document


def _as_text(raw: io.BufferedReader) -> io.TextIOWrapper:
    """Open JSON lines as text, for line ends of all kinds; bytes that are not UTF-8 pass through escaped."""
    head = raw.peek(HEAD)[:HEAD]
    _refuse_binary(head)
    bom = bom_encoding(head)
    return io.TextIOWrapper(raw, encoding=bom or "utf-8-sig", errors="replace" if bom else "surrogateescape")


def _lines(stream: io.TextIOWrapper) -> Iterator[_Line]:
    """Yield the lines that are not blank; of one above the limit, its beginning, and its whole size."""
    number = 0
    while text := stream.readline(MAX_ARTICLE_BYTES + 1):
        number += 1
        data = text.encode("utf-8", "surrogateescape")
        size = len(data) - text.endswith("\n")
        while not text.endswith("\n") and (text := stream.readline(HEAD)):
            size += len(text.encode("utf-8", "surrogateescape")) - text.endswith("\n")
        if size > MAX_ARTICLE_BYTES or data.strip():
            yield _Line(number, data, size)


def _refuse_large(size: int, limit: int, purpose: str, advice: str) -> None:
    if size > limit:
        raise ReadError(f"{size / 1e6:.1f} MB: too large {purpose} (limit {limit / 1e6:g} MB); {advice}")


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    _refuse_binary(data[:HEAD])
    text = decode(data)
    if not text.strip():
        raise ReadError(_EMPTY)
    return text


def _refuse_binary(head: bytes) -> None:
    if is_binary(head):
        raise ReadError(f"binary file, not text ({', '.join(_READERS)} can be read)")


_Reader = Callable[[_File], Iterator[Article | Skipped]]
_READERS: dict[str, _Reader] = {
    **dict.fromkeys((".txt", ".text"), partial(_read_page, record_from_text)),
    **dict.fromkeys((".md", ".markdown"), partial(_read_page, record_from_markdown)),
    **dict.fromkeys((".html", ".htm", ".xhtml"), partial(_read_page, record_from_html)),
    **dict.fromkeys((".jsonl", ".ndjson"), _read_json_lines),
    ".json": _read_json,
}
