"""Loads PDF text by page, within time and size limits; each PDF is one article with page offsets."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bot.articles.article import Article, clean_line
from bot.errors import ParseError
from bot.ingestion.html.extract import first_line_title
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, File, Skipped, check_size
from bot.ingestion.loaders.pdf_layout import reflow_pages

if TYPE_CHECKING:
    from pypdf import PageObject, PdfReader

MAX_PDF_BYTES = 100_000_000
MAX_PAGES = 2_000
# Time limits, because a malicious file could keep the parser busy; a normal page takes a tenth of a second.
_BASE_SECONDS, _SECONDS_PER_PAGE = 30.0, 0.2
# Per stream: decompressed bytes, and operators with their operands. The densest newspaper maps need far less.
_PYPDF_LIMITS: dict[str, Any] = {
    **dict.fromkeys(
        (
            "zlib_maximum_output_length",
            "lzw_maximum_output_length",
            "run_length_maximum_output_length",
            "brotli_maximum_output_length",
            "array_based_stream_maximum_output_length",
        ),
        20_000_000,
    ),
    "stream_decoding_work_maximum_length": 60_000_000,
    "stream_parsing_work_maximum_count": 500_000,
    "page_tree_maximum_entries": 10 * MAX_PAGES,
    "xform_maximum_invocations_per_extraction": 500,
    "jbig2dec_binary": None,  # do not start a program for a picture
}
# Placeholders that programs write into the title field.
_PLACEHOLDER_TITLE = re.compile(
    r"untitled.*|(microsoft word|powerpoint presentation)\b.*|.*\.(docx?|rtf|odt|pdf|indd|qxp|pptx?|tmp)|[\W\d]*",
    re.I,
)


def read_pdf(file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a PDF.

    Raises:
        ParseError: if the PDF cannot be read, has no text or exceeds a limit.
    """
    check_size(file.size, MAX_PDF_BYTES, "for a PDF", "split it")
    yield article_from_pdf(file.path.read_bytes(), file)


def article_from_pdf(
    data: bytes, file: File, *, url: str | None = None, known_metadata: Mapping[str, str] | None = None
) -> Article:
    """Return the article in a PDF.

    Args:
        data: content of the PDF.
        file: file that the article is built for.
        url: URL that the PDF was fetched from.
        known_metadata: title, published and author from elsewhere; preferred over the metadata in the PDF.

    Raises:
        ParseError: if the PDF cannot be read, has no text or exceeds a limit.
    """
    if not data.strip():
        raise ParseError(EMPTY)
    pages, metadata = _extract(data)
    text, page_starts = reflow_pages(pages)
    if not text:
        raise ParseError(
            "no text in this PDF: its pages are pictures (run it through text recognition first)"
        )
    if len(text) > base.MAX_ARTICLE_BYTES:
        raise ParseError(f"{len(text):,} characters: too long for one article; split it")
    title = clean_line(str(metadata.get("title") or ""))
    record = metadata | {
        "text": text,
        "title": "" if _PLACEHOLDER_TITLE.fullmatch(title) else title,
        "url": url,
    }
    record |= {name: value for name, value in (known_metadata or {}).items() if value}
    record["title"] = record["title"] or first_line_title(text)
    article = file.build_article(record)
    return replace(article, pages=page_starts) if article.text == text else article


def _extract(data: bytes) -> tuple[list[str], dict[str, object]]:
    """Return the text of each page, and the metadata of the file."""
    from pypdf import PdfReader, apply_configuration

    logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)
    with apply_configuration(**_PYPDF_LIMITS):
        try:
            reader = PdfReader(io.BytesIO(data))
            _check_encryption(reader)
            count = len(reader.pages)
            if count > MAX_PAGES:
                raise ParseError(f"{count:,} pages: too many for one article (limit {MAX_PAGES:,}); split it")
            time_limit = _TimeLimit(_BASE_SECONDS + count * _SECONDS_PER_PAGE)
            return [time_limit.extract_text_from(page) for page in reader.pages], _read_metadata(reader)
        except ParseError:
            raise
        except Exception as exc:  # on a broken or hostile file, pypdf raises errors of any class
            raise ParseError(f"this PDF cannot be read ({type(exc).__name__}); it may be damaged") from exc


def _check_encryption(reader: PdfReader) -> None:
    """Decrypt a PDF that only restricts changes and opens without a password.

    Raises:
        ParseError: if a password is required.
    """
    from pypdf.errors import DependencyError

    if not reader.is_encrypted:
        return
    try:
        opened = reader.decrypt("")
    except (DependencyError, NotImplementedError):
        opened = None
    if not opened:
        raise ParseError("this PDF is encrypted: save a copy without a password")


class _TimeLimit:
    """Extracts text within a time limit, checked before every operator because a page can contain millions."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._left = base.MAX_ARTICLE_BYTES

    def extract_text_from(self, page: PageObject) -> str:
        self._check()
        text = page.extract_text(visitor_operand_before=self._check)
        self._left -= len(text)
        if self._left < 0:
            raise ParseError("too much text for one article; split it")
        return text

    def _check(self, *_: Any) -> None:
        if time.monotonic() > self._until:
            raise ParseError("this PDF takes too long to read; it may be damaged, or made to do so")


def _read_metadata(reader: PdfReader) -> dict[str, object]:
    """Return title and date if the file contains usable ones."""
    try:
        document_info = reader.metadata
        created = document_info.creation_date if document_info else None
        return {
            "title": document_info.title if document_info else None,
            "published": created if _is_usable(created) else None,
        }
    except Exception:  # noqa: BLE001 - the text is usable even if the metadata is broken
        return {}


def _is_usable(moment: datetime | None) -> bool:
    return moment is not None and 1 < moment.year < 9999
