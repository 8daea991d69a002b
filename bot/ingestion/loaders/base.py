"""File, Skipped and size limits shared by all loaders."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bot.articles.article import Article, article_from_record, short_hash
from bot.errors import ParseError
from bot.ingestion.loaders.text_encoding import HEAD_BYTES, decode, is_binary

# Limit of a text, Markdown or HTML file, and of one record, row or message in other files.
MAX_ARTICLE_BYTES = 10_000_000

EMPTY = "the file is empty"
TEST_SET = "a test set of questions, not articles"


@dataclass(frozen=True, slots=True)
class Skipped:
    """File or record without an article, with the reason.

    Attributes:
        file: printable path or URL.
        line: line of the record in the file, from 1.
        reason: description of the problem.
        expected: True if the file was never meant as an article, such as a test set in the folder; not a failure.
    """

    file: str
    line: int | None
    reason: str
    expected: bool = False

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"


class File(NamedTuple):
    """File to read.

    Attributes:
        path: path of the file.
        origin: stored with its articles.
        source: source of articles that do not name one.
    """

    path: Path
    origin: str
    source: str

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.path.stat().st_size

    def skip(self, reason: str, *, line: int | None = None, expected: bool = False) -> Skipped:
        """Build a Skipped for the file or for one of its lines."""
        return Skipped(printable_path(self.path), line, reason, expected)

    def build_article(self, record: object, *, key: str = "") -> Article:
        """Build an article from a record.

        Args:
            record: the record; must be a dict.
            key: identity of the record within the file.

        Raises:
            ParseError: if the record cannot be used.
        """
        if not isinstance(record, dict):
            raise ParseError(f"expected an object, found {type(record).__name__}")
        try:
            return article_from_record(record, origin=self.origin, key=key, source=self.source)
        except (ValueError, OverflowError, RecursionError) as exc:
            # Raised by the standard library's URL and date parsers for malicious values.
            raise ParseError(f"a field holds a value that cannot be used ({type(exc).__name__})") from exc


def walk_files(paths: Iterable[Path]) -> Iterator[Path | Skipped]:
    """Yield these files and the files in these folders, in the order in which they are read."""
    for given in paths:
        yield from _walk(given)


def _walk(given: Path) -> Iterator[Path | Skipped]:
    """Yield the files at or below `given`; visits each real folder once, so that links cannot cause a loop."""
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
    """Return `path` as text that can be printed and stored: file names need not be valid Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def describe_os_error(exc: OSError) -> str:
    """Return the error message of the file system in lower case."""
    missing = isinstance(exc, FileNotFoundError)
    return "no such file or folder" if missing else (exc.strerror or type(exc).__name__).lower()


def record_key(record: object) -> str:
    """Return a key for a record without id and URL: a hash of its content, so that it may move within its file."""
    fields = (record.get("title"), record.get("text")) if isinstance(record, Mapping) else ()
    return short_hash("\n".join(field for field in fields if isinstance(field, str)))


def is_question(record: object) -> bool:
    """Return True if a record belongs to a test set."""
    return isinstance(record, Mapping) and bool(record.get("question")) and not record.get("text")


def check_size(size: int, limit: int, purpose: str, advice: str) -> None:
    """Check a size in bytes.

    Args:
        size: the size.
        limit: the maximum.
        purpose: completes "too large" in the message, such as "for one article".
        advice: what the user can do.

    Raises:
        ParseError: if the size exceeds the limit.
    """
    if size > limit:
        raise ParseError(f"{size / 1e6:.1f} MB: too large {purpose} (limit {limit / 1e6:g} MB); {advice}")


def check_is_text(head: bytes) -> None:
    """Check the first bytes of a file.

    Raises:
        ParseError: if the file is binary.
    """
    if is_binary(head):
        raise ParseError("binary file, not text")


def read_text(path: Path) -> str:
    """Read a text file and detect its encoding.

    Raises:
        ParseError: if the file is binary or empty.
    """
    data = path.read_bytes()
    check_is_text(data[:HEAD_BYTES])
    text = decode(data)
    if not text.strip():
        raise ParseError(EMPTY)
    return text
