"""Loads web archives (WARC): one article for each HTML page, with the URL it was fetched from.

Archives are not trusted: no record, however it is compressed, uses more memory than the limit of an article.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple, cast

from bot.articles.article import Article, clean_line, short_hash
from bot.errors import ParseError
from bot.ingestion.html.extract import NO_ARTICLES, parse_html
from bot.ingestion.html.publisher import publisher_name
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, File, Skipped, check_size
from bot.ingestion.loaders.text_encoding import decode

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_MAX_LINE_BYTES, _MAX_HEADERS = 65_536, 1_000  # of a header line, and of the headers of a record
_SKIP_BYTES = 1_000_000  # read and discarded in one step
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # for zlib, by Content-Encoding

_Headers = Mapping[str, str]  # by lower-case name


class _Record(NamedTuple):
    headers: _Headers
    block: bytes  # truncated if it exceeds the limit of an article
    size: int


def read_warc(file: File) -> Iterator[Article | Skipped]:
    """Yield the articles of an archive, record by record.

    Raises:
        ParseError: if the archive is damaged or empty.
    """
    done = 0
    with file.path.open("rb") as raw:
        compressed = raw.peek(2)[:2] == b"\x1f\x8b"
        with gzip.open(raw) if compressed else raw as stream:
            records = _iter_records(cast(BinaryIO, stream))
            try:
                for record in records:
                    done += 1
                    if record.headers.get("warc-type", "").lower() == "response":
                        yield from _read_page(file, record)
            except (ParseError, zlib.error, EOFError, gzip.BadGzipFile) as exc:
                reason = exc.reason if isinstance(exc, ParseError) else "its packing is broken"
                raise ParseError(f"damaged after record {done}: {reason}; what follows is not read") from exc
    if not done:
        raise ParseError(EMPTY)


def _iter_records(stream: BinaryIO) -> Iterator[_Record]:
    while (line := _read_line(stream)) is not None:
        if not line:
            continue  # two blank lines follow a record
        if not line.startswith(b"WARC/"):
            raise ParseError("no record begins there")
        headers = _read_headers(stream)
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit():
            raise ParseError("a record does not say how long it is")
        size = int(length[:19])
        wanted = min(size, base.MAX_ARTICLE_BYTES + _MAX_LINE_BYTES * 2)
        block = stream.read(wanted)
        rest = size - len(block)
        while (
            len(block) == wanted and rest > 0 and (skipped_bytes := len(stream.read(min(rest, _SKIP_BYTES))))
        ):
            rest -= skipped_bytes
        if rest:
            raise ParseError("a record is cut off")
        yield _Record(headers, block, size)


def _read_line(stream: BinaryIO) -> bytes | None:
    """Return the next line without its line end, or None at the end of the archive.

    Raises:
        ParseError: if the line is too long.
    """
    line = stream.readline(_MAX_LINE_BYTES)
    if len(line) == _MAX_LINE_BYTES:
        raise ParseError("a header has no end")
    return line.strip() if line else None


def _read_headers(stream: BinaryIO) -> _Headers:
    lines = []
    while line := _read_line(stream):
        lines.append(line)
        if len(lines) > _MAX_HEADERS:
            raise ParseError("a record has too many headers")
    return _parse_headers(lines)


def _parse_headers(lines: list[bytes]) -> _Headers:
    pairs = (line.decode("utf-8", "replace").partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _read_page(file: File, record: _Record) -> Iterator[Article | Skipped]:
    """Yield the article of a page; pages without one, mostly lists of links, are not failures."""
    head, _, body = record.block.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = _parse_headers(lines)
    kind, _, charset = headers.get("content-type", "").lower().partition("charset=")
    if kind.partition(";")[0].strip() not in _HTML_TYPES or status.split()[1:2] != [b"200"]:
        return  # a picture, redirect or error
    url = record.headers.get("warc-target-uri", "").strip("<>")
    try:
        check_size(record.size, base.MAX_ARTICLE_BYTES, "for one article", "leave it out")
        html = decode(_decode_body(body, headers), charset=charset.split(";")[0].strip("\"' "))
        found = parse_html(html)
        publisher = publisher_name(str(found.get("source") or ""), url)
        yield file.build_article(found | {"url": url, "source": publisher}, key=short_hash(url))
    except ParseError as exc:
        yield file.skip(f"{clean_line(url[:200])}: {exc.reason}", expected=exc.reason in NO_ARTICLES)


def _decode_body(body: bytes, headers: _Headers) -> bytes:
    """Return the body of a response, dechunked and decompressed.

    Raises:
        ParseError: if the body cannot be decompressed or is too large.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = _join_chunks(body)
    content_encoding = headers.get("content-encoding", "").lower()
    if content_encoding in ("", "identity"):
        return body
    if content_encoding not in _WINDOW_BITS:
        raise ParseError(f"its content is packed with {content_encoding[:20]!r}, which cannot be unpacked")
    try:
        data = zlib.decompressobj(_WINDOW_BITS[content_encoding]).decompress(body, base.MAX_ARTICLE_BYTES + 1)
    except zlib.error as exc:
        raise ParseError("its content cannot be unpacked") from exc
    check_size(len(data), base.MAX_ARTICLE_BYTES, "for one article", "leave it out")
    return data


def _join_chunks(body: bytes) -> bytes:
    """Return a chunked body without the chunk sizes; some archives have already removed them."""
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
