"""Loads .eml messages and mbox mailboxes, such as newsletters; attachments are ignored."""

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
from bot.ingestion.html.extract import parse_html
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, File, Skipped, check_size
from bot.ingestion.loaders.text_encoding import decode

MAX_MAIL_BYTES = 50_000_000  # of one message with its attachments

_MAX_FIELD_CHARS = 500  # of a subject or a sender
_MAX_HEADER_CHARS = 10_000  # longer ones are truncated: parsing time grows faster than the length


class _RawMessage(NamedTuple):
    line: int
    data: bytes  # truncated if it exceeds the limit
    size: int


def read_eml(file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a message (.eml).

    Raises:
        ParseError: if the message cannot be read or is too large.
    """
    _check_message_size(file.size)
    yield _parse_message(file, file.path.read_bytes())


def read_mbox(file: File) -> Iterator[Article | Skipped]:
    """Yield an article for each message of a mailbox in mbox format.

    Raises:
        ParseError: if the mailbox does not contain a message.
    """
    found = False
    with file.path.open("rb") as stream:
        for raw_message in _split_mbox(stream):
            found = True
            try:
                _check_message_size(raw_message.size)
                yield _parse_message(file, raw_message.data)
            except ParseError as exc:
                yield file.skip(exc.reason, line=raw_message.line)
    if not found:
        raise ParseError("no message in this mailbox" if file.size else EMPTY)


def _check_message_size(size: int) -> None:
    check_size(size, MAX_MAIL_BYTES, "for a message", "leave its attachments out")


def _split_mbox(stream: BinaryIO) -> Iterator[_RawMessage]:
    """Yield each message of a mailbox; messages are separated by lines that start with "From "."""
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


def _parse_message(file: File, data: bytes) -> Article:
    if not data.strip():
        raise ParseError(EMPTY)
    try:
        # The default (compat32) policy: the newer policies take hours for malicious headers.
        message = email.message_from_bytes(data)
        record = {**_parse_headers(message), "text": _extract_body(message)}
        key = _get_header(message, "Message-ID")
    except ParseError:
        raise
    except Exception as exc:  # malformed headers and parts raise errors of any class in the standard library
        raise ParseError(f"this message cannot be read ({type(exc).__name__})") from exc
    return file.build_article(record, key=key)


def _parse_headers(message: Message) -> dict[str, object]:
    name, address = parseaddr(_get_header(message, "From", decode_words=False))
    sender = _decode_words(name) or address.rpartition("@")[2]
    return {
        "title": _get_header(message, "Subject")[:_MAX_FIELD_CHARS],
        "source": sender[:_MAX_FIELD_CHARS],
        "published": _parse_header_date(_get_header(message, "Date")),
    }


def _get_header(message: Message, name: str, *, decode_words: bool = True) -> str:
    raw = " ".join(str(message[name] or "")[:_MAX_HEADER_CHARS].split())
    return _decode_words(raw) if decode_words else raw


def _decode_words(header: str) -> str:
    """Decode the encoded words in a header; return it unchanged if they are malformed."""
    try:
        return " ".join(str(make_header(decode_header(header))).split())
    except (ValueError, LookupError, HeaderParseError):
        return header


def _parse_header_date(date: str) -> datetime | None:
    try:
        return parse_date(parsedate_to_datetime(date)) if date else None
    except (ValueError, OverflowError, ParseError):  # a message without a usable date is still read
        return None


def _extract_body(message: Message) -> str:
    """Return the article in a message, from its HTML part, else from its plain text.

    Raises:
        ParseError: if the message does not contain text.
    """
    parts = list(_iter_parts(message))
    page, plain = (_first_part_text(parts, kind) for kind in ("text/html", "text/plain"))
    if page is None and plain is None:
        raise ParseError("no text in this message")
    try:
        if page is None:
            return strip_notices(plain or "")
        return str(parse_html(page, kind="email")["text"])
    except ParseError:
        if plain is None:
            raise
        return strip_notices(plain)


def _iter_parts(message: Message) -> Iterator[Message]:
    """Yield the displayed parts: without attachments and the parts of attached messages."""
    if message.get_content_disposition() == "attachment":
        return
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in message.get_payload():
            yield from _iter_parts(cast(Message, part))
    elif not message.is_multipart():
        yield message


def _first_part_text(parts: Sequence[Message], kind: str) -> str | None:
    part = next((part for part in parts if part.get_content_type() == kind), None)
    if part is None:
        return None
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return None
    check_size(len(data), base.MAX_ARTICLE_BYTES, "for one article", "split it")
    return decode(data, charset=part.get_content_charset() or "")
