"""Reads e-mail, such as newsletters: a message is an article; what is attached to it is not read."""

from __future__ import annotations

import email
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime
from typing import BinaryIO, NamedTuple, cast

from bot.articles.article import Article, parse_date
from bot.errors import ParseError
from bot.ingestion.html.error_pages import strip_notices
from bot.ingestion.html.extract import record_from_html
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, File, Skipped, check_size
from bot.ingestion.loaders.text_encoding import decode

MAX_MAIL_BYTES = 50_000_000  # one message with its attachments

_LONGEST = 500  # characters of a subject or a sender
_MAX_HEADER = 10_000  # characters of one that is read: parsing takes more than its length


class _RawMessage(NamedTuple):
    line: int
    data: bytes  # cut where it is too long
    size: int


def read_mail(file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a message (.eml). Raises ParseError."""
    _refuse_large(file.size)
    yield _article(file, file.path.read_bytes())


def read_mbox(file: File) -> Iterator[Article | Skipped]:
    """Yield an article for each message of a mailbox in mbox format, one at a time. Raises ParseError."""
    found = False
    with file.path.open("rb") as stream:
        for letter in _letters(stream):
            found = True
            try:
                _refuse_large(letter.size)
                yield _article(file, letter.data)
            except ParseError as exc:
                yield file.skipped(exc.reason, line=letter.line)
    if not found:
        raise ParseError("no message in this mailbox" if file.size else EMPTY)


def _refuse_large(size: int) -> None:
    check_size(size, MAX_MAIL_BYTES, "for a message", "leave its attachments out")


def _letters(stream: BinaryIO) -> Iterator[_RawMessage]:
    """Yield each message of a mailbox, which begins after a line with "From "."""
    parts: list[bytes] | None = None
    line = number = size = 0
    blank = True
    while text := stream.readline(MAX_MAIL_BYTES):
        number += text.endswith(b"\n")
        if blank and text.startswith(b"From "):
            if parts is not None:
                yield _RawMessage(line, b"".join(parts), size)
            parts, line, size = [], number, 0
        elif parts is not None:
            size += len(text)
            if size <= MAX_MAIL_BYTES:
                parts.append(text[1:] if text.startswith(b">From ") else text)
        blank = not text.strip()
    if parts is not None:
        yield _RawMessage(line, b"".join(parts), size)


def _article(file: File, data: bytes) -> Article:
    if not data.strip():
        raise ParseError(EMPTY)
    try:
        # The older policy: the newer one takes hours over headers made to keep it busy.
        message = email.message_from_bytes(data)
        record = {**_headers(message), "text": _body(message)}
        place = _header(message, "Message-ID")
    except ParseError:
        raise
    except Exception as exc:  # on malformed headers and parts the standard library raises errors of any class
        raise ParseError(f"this message cannot be read ({type(exc).__name__})") from exc
    return file.article(record, place=place)


def _headers(message: Message) -> dict[str, object]:
    name, address = parseaddr(_header(message, "From", decoded=False))
    sender = _decoded(name) or address.rpartition("@")[2]
    return {
        "title": _header(message, "Subject")[:_LONGEST],
        "source": sender[:_LONGEST],
        "published": _moment(_header(message, "Date")),
    }


def _header(message: Message, name: str, *, decoded: bool = True) -> str:
    raw = " ".join(str(message[name] or "")[:_MAX_HEADER].split())
    return _decoded(raw) if decoded else raw


def _decoded(header: str) -> str:
    """Return a header with its encoded words as text; as it stands where they are malformed."""
    try:
        return " ".join(str(make_header(decode_header(header))).split())
    except (ValueError, LookupError, HeaderParseError):
        return header


def _moment(date: str) -> datetime | None:
    try:
        return parse_date(parsedate_to_datetime(date)) if date else None
    except (ValueError, OverflowError, ParseError):  # mail without a usable date is mail all the same
        return None


def _body(message: Message) -> str:
    """Return the article in a message: what its HTML part shows, else its plain text. Raises ParseError."""
    parts = list(_parts(message))
    page, plain = (_first(parts, kind) for kind in ("text/html", "text/plain"))
    if page is None and plain is None:
        raise ParseError("no text in this message")
    try:
        if page is None:
            return strip_notices(plain or "")
        return str(record_from_html(page, kind="letter")["text"])
    except ParseError:
        if plain is None:
            raise
        return strip_notices(plain)


def _parts(message: Message) -> Iterator[Message]:
    """Yield the parts that are shown; not what is attached, nor what is in a message that is."""
    if message.get_content_disposition() == "attachment":
        return
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            yield from _parts(cast(Message, part))
    elif not message.is_multipart():
        yield message


def _first(parts: Sequence[Message], kind: str) -> str | None:
    part = next((part for part in parts if part.get_content_type() == kind), None)
    if part is None:
        return None
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return None
    check_size(len(data), base.MAX_ARTICLE_BYTES, "for one article", "split it")
    return decode(data, charset=part.get_content_charset() or "")
