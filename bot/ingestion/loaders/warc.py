"""Reads a web archive (WARC): an article for each HTML page that it holds, by the address it was fetched from.

Written for archives from anywhere: nothing in one, however it is packed, takes more memory than an article may.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple, cast

from bot.articles.article import Article, clean_line, short_hash
from bot.errors import ParseError
from bot.ingestion.html.extract import NO_ARTICLES, record_from_html
from bot.ingestion.html.publisher import publisher_name
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, File, Skipped, check_size
from bot.ingestion.loaders.text_encoding import decode

_HTML = ("text/html", "application/xhtml+xml")
_LINE, _HEADERS = 65_536, 1_000  # bytes of a header, and how many a record has at most
_STEP = 1_000_000  # bytes passed over at once
_PACKINGS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib's window bits

_Headers = Mapping[str, str]  # by their names in lower case


class _Record(NamedTuple):
    headers: _Headers
    block: bytes  # cut where it is longer than an article may be
    size: int


def read_warc(file: File) -> Iterator[Article | Skipped]:
    """Yield the articles of an archive, a record at a time. Raises ParseError where it is damaged."""
    done = 0
    with file.path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(raw) if packed else raw as stream:
            records = _records(cast(BinaryIO, stream))
            try:
                for record in records:
                    done += 1
                    if record.headers.get("warc-type", "").lower() == "response":
                        yield from _outcome(file, record)
            except (ParseError, zlib.error, EOFError, gzip.BadGzipFile) as exc:
                reason = exc.reason if isinstance(exc, ParseError) else "its packing is broken"
                raise ParseError(f"damaged after record {done}: {reason}; what follows is not read") from exc
    if not done:
        raise ParseError(EMPTY)


def _records(stream: BinaryIO) -> Iterator[_Record]:
    while (line := _line(stream)) is not None:
        if not line:
            continue  # two blank lines stand behind a record
        if not line.startswith(b"WARC/"):
            raise ParseError("no record begins there")
        headers = _headers(stream)
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            raise ParseError("a record does not say how long it is")
        size = int(length[:19])
        wanted = min(size, base.MAX_ARTICLE_BYTES + _LINE * 2)
        block = stream.read(wanted)
        rest = size - len(block)
        while len(block) == wanted and rest > 0 and (passed := len(stream.read(min(rest, _STEP)))):
            rest -= passed
        if rest:
            raise ParseError("a record is cut off")
        yield _Record(headers, block, size)


def _line(stream: BinaryIO) -> bytes | None:
    """Return the next line without its end; None at the end of the archive."""
    line = stream.readline(_LINE)
    if len(line) == _LINE:
        raise ParseError("a header has no end")
    return line.strip() if line else None


def _headers(stream: BinaryIO) -> _Headers:
    lines = []
    while line := _line(stream):
        lines.append(line)
        if len(lines) > _HEADERS:
            raise ParseError("a record has too many headers")
    return _named(lines)


def _named(lines: list[bytes]) -> _Headers:
    pairs = (line.decode("utf-8", "replace").partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _outcome(file: File, record: _Record) -> Iterator[Article | Skipped]:
    """Yield a page's article; pages without one are mostly lists of others, and no failure."""
    head, _, body = record.block.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = _named(lines)
    kind, _, charset = headers.get("content-type", "").lower().partition("charset=")
    if kind.partition(";")[0].strip() not in _HTML or status.split()[1:2] != [b"200"]:
        return  # a picture, or a redirection or error
    url = record.headers.get("warc-target-uri", "").strip("<>")
    try:
        check_size(record.size, base.MAX_ARTICLE_BYTES, "for one article", "leave it out")
        html = decode(_unpacked(body, headers), charset=charset.split(";")[0].strip("\"' "))
        found = record_from_html(html)
        outlet = publisher_name(str(found.get("source") or ""), url)
        yield file.article(found | {"url": url, "source": outlet}, place=short_hash(url))
    except ParseError as exc:
        yield file.skipped(f"{clean_line(url[:200])}: {exc.reason}", expected=exc.reason in NO_ARTICLES)


def _unpacked(body: bytes, headers: _Headers) -> bytes:
    """Return what a browser would have read. Raises ParseError."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = _joined(body)
    packing = headers.get("content-encoding", "").lower()
    if packing in ("", "identity"):
        return body
    if packing not in _PACKINGS:
        raise ParseError(f"its content is packed with {packing[:20]!r}, which cannot be unpacked")
    try:
        data = zlib.decompressobj(_PACKINGS[packing]).decompress(body, base.MAX_ARTICLE_BYTES + 1)
    except zlib.error as exc:
        raise ParseError("its content cannot be unpacked") from exc
    check_size(len(data), base.MAX_ARTICLE_BYTES, "for one article", "leave it out")
    return data


def _joined(body: bytes) -> bytes:
    """Return a body without the lengths between its chunks; some archives have taken them out already."""
    parts, at = [], 0
    while (end := body.find(b"\r\n", at)) >= 0:
        try:
            size = int(body[at:end].partition(b";")[0], 16)
        except ValueError:
            break
        if size <= 0:
            break
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts) if parts else body
