"""What the readers of all kinds share: where files are, how large they may be, and what is said of one that fails."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bot.articles.article import Article, article_from_record, short_hash
from bot.errors import ParseError
from bot.ingestion.loaders.text_encoding import HEAD, decode, is_binary

MAX_ARTICLE_BYTES = 10_000_000  # one text, Markdown or HTML file; one record, row or message of a larger one

EMPTY = "the file is empty"
TEST_SET = "a test set of questions, not articles"


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


class File(NamedTuple):
    """A file that is read: `origin` is what its articles remember of it, `source` is for those that name no outlet."""

    path: Path
    origin: str
    source: str

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.path.stat().st_size

    def skipped(self, reason: str, *, line: int | None = None, expected: bool = False) -> Skipped:
        """Return what is said of it, or of one of its lines, in place of an article."""
        return Skipped(printable_path(self.path), line, reason, expected)

    def article(self, record: object, *, place: str = "") -> Article:
        """Make an article of a record; `place` is its identity in the file. Raises ParseError."""
        if not isinstance(record, dict):
            raise ParseError(f"expected an object, found {type(record).__name__}")
        try:
            return article_from_record(record, origin=self.origin, place=place, source=self.source)
        except (ValueError, OverflowError, RecursionError) as exc:
            # What the standard library's URL and date parsers raise for values made to break them.
            raise ParseError(f"a field holds a value that cannot be used ({type(exc).__name__})") from exc


def walk_files(paths: Iterable[Path]) -> Iterator[Path | Skipped]:
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
            yield Skipped(printable_path(path), None, describe_os_error(exc))


def printable_path(path: Path) -> str:
    """Return `path` as text that can be printed and stored: names of files need not be valid Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def describe_os_error(exc: OSError) -> str:
    """Return what the file system says, in lower case."""
    missing = isinstance(exc, FileNotFoundError)
    return "no such file or folder" if missing else (exc.strerror or type(exc).__name__).lower()


def record_key(record: object) -> str:
    """Return the identity of a record without id and url: its content, so that it may move in its file."""
    fields = (record.get("title"), record.get("text")) if isinstance(record, Mapping) else ()
    return short_hash("\n".join(field for field in fields if isinstance(field, str)))


def is_question(record: object) -> bool:
    """Say whether a record belongs to a test set."""
    return isinstance(record, Mapping) and bool(record.get("question")) and not record.get("text")


def check_size(size: int, limit: int, purpose: str, advice: str) -> None:
    """Raise ParseError for a size in bytes above a limit."""
    if size > limit:
        raise ParseError(f"{size / 1e6:.1f} MB: too large {purpose} (limit {limit / 1e6:g} MB); {advice}")


def check_is_text(head: bytes) -> None:
    """Raise ParseError for what begins like no text."""
    if is_binary(head):
        raise ParseError("binary file, not text")


def read_text(path: Path) -> str:
    """Return a file's text, whatever its encoding. Raises ParseError."""
    data = path.read_bytes()
    check_is_text(data[:HEAD])
    text = decode(data)
    if not text.strip():
        raise ParseError(EMPTY)
    return text
