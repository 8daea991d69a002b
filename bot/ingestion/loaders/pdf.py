"""Reads a PDF: one article, which knows where its pages begin."""

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
# A file made to keep its reader busy is given up; an honest page takes a tenth of a second.
_SECONDS, _SECONDS_A_PAGE = 30.0, 0.2
# Per stream: unpacked bytes, and operators with their operands. The densest maps of newspapers stay far below.
_LIMITS: dict[str, Any] = {
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
    "jbig2dec_binary": None,  # no program is started for a picture
}
# What programs put where the title belongs.
_NO_TITLE = re.compile(
    r"untitled.*|(microsoft word|powerpoint presentation)\b.*|.*\.(docx?|rtf|odt|pdf|indd|qxp|pptx?|tmp)|[\W\d]*",
    re.I,
)


def read_pdf(file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a PDF. Raises ParseError."""
    check_size(file.size, MAX_PDF_BYTES, "for a PDF", "split it")
    yield article_from_pdf(file.path.read_bytes(), file)


def article_from_pdf(
    data: bytes, file: File, *, url: str | None = None, told: Mapping[str, str] | None = None
) -> Article:
    """Return the article in the bytes of a PDF, which may have been fetched from `url`. Raises ParseError.

    What is `call_api` of its title, date and author comes before what it says of itself.
    """
    if not data.strip():
        raise ParseError(EMPTY)
    pages, about = _extract(data)
    text, begins = reflow_pages(pages)
    if not text:
        raise ParseError(
            "no text in this PDF: its pages are pictures (run it through text recognition first)"
        )
    if len(text) > base.MAX_ARTICLE_BYTES:
        raise ParseError(f"{len(text):,} characters: too long for one article; split it")
    title = clean_line(str(about.get("title") or ""))
    record = about | {"text": text, "title": "" if _NO_TITLE.fullmatch(title) else title, "url": url}
    record |= {name: value for name, value in (told or {}).items() if value}
    record["title"] = record["title"] or first_line_title(text)
    article = file.article(record)
    return replace(article, pages=begins) if article.text == text else article


def _extract(data: bytes) -> tuple[list[str], dict[str, object]]:
    """Return the text of each page and what the file says of itself."""
    from pypdf import PdfReader, apply_configuration

    logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)
    with apply_configuration(**_LIMITS):
        try:
            reader = PdfReader(io.BytesIO(data))
            _check_not_encrypted(reader)
            count = len(reader.pages)
            if count > MAX_PAGES:
                raise ParseError(f"{count:,} pages: too many for one article (limit {MAX_PAGES:,}); split it")
            watch = _TimeLimit(_SECONDS + count * _SECONDS_A_PAGE)
            return [watch.text_of(page) for page in reader.pages], _metadata(reader)
        except ParseError:
            raise
        except Exception as exc:  # on a broken or hostile file pypdf raises errors of any class
            raise ParseError(f"this PDF cannot be read ({type(exc).__name__}); it may be damaged") from exc


def _check_not_encrypted(reader: PdfReader) -> None:
    """Raise ParseError for a PDF that opens only with a password; one that only forbids changes is read."""
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
    """Extracts text until the time is up: looked at before every operator, because one page can hold millions."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._left = base.MAX_ARTICLE_BYTES

    def text_of(self, page: PageObject) -> str:
        self._check()
        text = page.extract_text(visitor_operand_before=self._check)
        self._left -= len(text)
        if self._left < 0:
            raise ParseError("too much text for one article; split it")
        return text

    def _check(self, *_: Any) -> None:
        if time.monotonic() > self._until:
            raise ParseError("this PDF takes too long to read; it may be damaged, or made to do so")


def _metadata(reader: PdfReader) -> dict[str, object]:
    """Return title and date, where the file states them and they can be used."""
    try:
        said = reader.metadata
        made = said.creation_date if said else None
        return {"title": said.title if said else None, "published": made if _is_usable(made) else None}
    except Exception:  # noqa: BLE001 - broken metadata, of whatever kind, do not spoil the text
        return {}


def _is_usable(moment: datetime | None) -> bool:
    return moment is not None and 1 < moment.year < 9999
