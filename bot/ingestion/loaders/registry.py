"""Maps file extensions to loaders."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from bot.articles.article import Article
from bot.errors import ParseError
from bot.ingestion.html.extract import parse_html, parse_markdown, parse_text
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import (
    File,
    Skipped,
    check_is_text,
    check_size,
    describe_os_error,
    printable_path,
    read_text,
    walk_files,
)
from bot.ingestion.loaders.csv import read_csv
from bot.ingestion.loaders.docx import read_docx
from bot.ingestion.loaders.email import read_eml, read_mbox
from bot.ingestion.loaders.jsonl import read_json, read_json_lines
from bot.ingestion.loaders.pdf import read_pdf
from bot.ingestion.loaders.text_encoding import HEAD_BYTES
from bot.ingestion.loaders.warc import read_warc

_Reader = Callable[[File], Iterator[Article | Skipped]]


def read_page(fields: Callable[[str], dict[str, object]], file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a file that contains one text.

    Args:
        fields: parses the text into a record.
        file: the file.

    Raises:
        ParseError: if the file is binary, empty or too large, or does not contain an article.
    """
    check_size(file.size, base.MAX_ARTICLE_BYTES, "for one article", "split it or write it as JSON lines")
    yield file.build_article(fields(read_text(file.path)))


def read_articles(paths: Iterable[Path], *, source: str = "") -> Iterator[Article | Skipped]:
    """Yield every article in files and folders, and a Skipped for everything that cannot be read.

    Args:
        paths: files, and folders, which are read recursively in sorted order, without hidden files.
        source: source of articles that do not name one.
    """
    for path in walk_files(paths):
        if isinstance(path, Skipped):
            yield path
        else:
            yield from _read_file(path, source)


def _read_file(path: Path, source: str) -> Iterator[Article | Skipped]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block until it has a writer
            raise ParseError("not a regular file")
        yield from _find_reader(path.name)(File(path, printable_path(path.resolve()), source))
    except ParseError as exc:
        yield Skipped(printable_path(path), exc.line, exc.reason)
    except OSError as exc:
        yield Skipped(printable_path(path), None, describe_os_error(exc))


def _find_reader(name: str) -> _Reader:
    """Return the loader for a file name; two suffixes (.warc.gz) take precedence over one."""
    suffixes = Path(name.lower()).suffixes
    ends = ("".join(suffixes[-2:]), "".join(suffixes[-1:]))
    return next((_READERS[end] for end in ends if end in _READERS), _reject_unsupported_file)


def _reject_unsupported_file(file: File) -> Iterator[Article | Skipped]:
    with file.path.open("rb") as stream:
        check_is_text(stream.read(HEAD_BYTES))
    yield file.skip(f"not a kind of file that can be read ({', '.join(_READERS)} can)")


_READERS: dict[str, _Reader] = {
    **dict.fromkeys((".txt", ".text"), partial(read_page, parse_text)),
    **dict.fromkeys((".md", ".markdown"), partial(read_page, parse_markdown)),
    **dict.fromkeys((".html", ".htm", ".xhtml"), partial(read_page, parse_html)),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".json": read_json,
    **dict.fromkeys((".csv", ".tsv"), read_csv),
    ".pdf": read_pdf,
    ".docx": read_docx,
    ".eml": read_eml,
    ".mbox": read_mbox,
    **dict.fromkeys((".warc", ".warc.gz"), read_warc),
}
