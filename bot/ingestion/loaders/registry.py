"""The kinds of files that can be read, by the ends of their names."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from bot.articles.article import Article
from bot.errors import ReadError
from bot.ingestion.html.extract import record_from_html, record_from_markdown, record_from_text
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import (
    File,
    Skipped,
    files_below,
    plain,
    read_text,
    refuse_binary,
    refuse_large,
    shown,
)
from bot.ingestion.loaders.csv import read_rows
from bot.ingestion.loaders.docx import read_word
from bot.ingestion.loaders.email import read_mail, read_mailbox
from bot.ingestion.loaders.jsonl import read_json, read_json_lines
from bot.ingestion.loaders.pdf import read_pdf
from bot.ingestion.loaders.text_encoding import HEAD
from bot.ingestion.loaders.warc import read_warc

_Reader = Callable[[File], Iterator[Article | Skipped]]


def read_page(fields: Callable[[str], dict[str, object]], file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a file whose text `fields` makes a record of. Raises ReadError."""
    refuse_large(file.size, base.MAX_ARTICLE_BYTES, "for one article", "split it or write it as JSON lines")
    yield file.article(fields(read_text(file.path)))


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


def _read_file(path: Path, source: str) -> Iterator[Article | Skipped]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for its writer for ever
            raise ReadError("not a regular file")
        yield from _reader(path.name)(File(path, shown(path.resolve()), source))
    except ReadError as exc:
        yield Skipped(shown(path), exc.line, exc.reason)
    except OSError as exc:
        yield Skipped(shown(path), None, plain(exc))


def _reader(name: str) -> _Reader:
    """Return what reads a file of this name; with two suffixes (.warc.gz) the longer end counts."""
    suffixes = Path(name.lower()).suffixes
    ends = ("".join(suffixes[-2:]), "".join(suffixes[-1:]))
    return next((_READERS[end] for end in ends if end in _READERS), _read_nothing)


def _read_nothing(file: File) -> Iterator[Article | Skipped]:
    with file.path.open("rb") as stream:
        refuse_binary(stream.read(HEAD))
    yield file.skipped(f"not a kind of file that can be read ({', '.join(_READERS)} can)")


_READERS: dict[str, _Reader] = {
    **dict.fromkeys((".txt", ".text"), partial(read_page, record_from_text)),
    **dict.fromkeys((".md", ".markdown"), partial(read_page, record_from_markdown)),
    **dict.fromkeys((".html", ".htm", ".xhtml"), partial(read_page, record_from_html)),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".json": read_json,
    **dict.fromkeys((".csv", ".tsv"), read_rows),
    ".pdf": read_pdf,
    ".docx": read_word,
    ".eml": read_mail,
    ".mbox": read_mailbox,
    **dict.fromkeys((".warc", ".warc.gz"), read_warc),
}
