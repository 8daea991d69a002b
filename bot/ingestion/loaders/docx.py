"""Reads a Word document (DOCX): one article."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.articles.article import Article
from bot.errors import ParseError
from bot.ingestion.loaders import base
from bot.ingestion.loaders.base import EMPTY, File, Skipped, check_size

if TYPE_CHECKING:
    from docx.document import Document

MAX_WORD_BYTES = 50_000_000
# What a file may unpack to, in bytes: its pictures included, and its largest part of markup.
_MAX_UNPACKED, _MAX_MARKUP, _MAX_PARTS = 200_000_000, 50_000_000, 10_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH = f"{_W}p"
# Deleted and moved text is no longer there; a fallback says once more what stands beside it.
_PASSED_OVER = frozenset(
    {
        f"{_W}del",
        f"{_W}moveFrom",
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    }
)
# Marks of a run that is not shown, or is struck out; and of a table's row that is deleted.
_UNSHOWN = (f"{_W}rPr/{_W}vanish", f"{_W}rPr/{_W}strike", f"{_W}rPr/{_W}dstrike", f"{_W}trPr/{_W}del")
_OFF = ("0", "false", "off")
_TEMPLATE_MADE = datetime(2013, 12, 23, 23, 15, tzinfo=UTC)  # what python-docx leaves in each document
_SPACES = {f"{_W}tab": " ", f"{_W}br": " ", f"{_W}cr": " ", f"{_W}noBreakHyphen": "-"}
_TITLES = ("Title", "Heading 1")


def read_docx(file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a DOCX file. Raises ParseError."""
    check_size(file.size, MAX_WORD_BYTES, "for a document", "split it")
    _check_unpacked_size(file)
    yield file.article(_record(_open(file)))


def _check_unpacked_size(file: File) -> None:
    """Raise ParseError for what is no DOCX, or would unpack to more than a document holds."""
    if not file.size:
        raise ParseError(EMPTY)
    try:
        with zipfile.ZipFile(file.path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as exc:
        raise ParseError(
            "not a DOCX file, or an encrypted one: save it anew as .docx, without a password"
        ) from exc
    markup = max((part.file_size for part in parts if part.filename.endswith((".xml", ".rels"))), default=0)
    unpacked = sum(part.file_size for part in parts)
    check_size(unpacked, _MAX_UNPACKED, "when unpacked", "split it, or leave its pictures out")
    check_size(markup, _MAX_MARKUP, "when unpacked", "split it")
    if len(parts) > _MAX_PARTS:
        raise ParseError(f"{len(parts):,} parts: too many for a document (limit {_MAX_PARTS:,})")


def _open(file: File) -> Document:
    import docx

    try:
        return docx.Document(str(file.path))
    except Exception as exc:  # on broken or hostile files python-docx and lxml raise errors of any class
        raise ParseError(f"this DOCX file cannot be read ({type(exc).__name__}); it may be damaged") from exc


def _record(document: Document) -> dict[str, object]:
    try:
        styles = {style.style_id: style.name for style in document.styles}
        paragraphs = [
            (styles.get(_style(p)), text) for p in _paragraphs(document.element.body) if (text := _text(p))
        ]
        said = document.core_properties
        title, made = said.title, said.created
        if made and made.replace(tzinfo=made.tzinfo or UTC) == _TEMPLATE_MADE:
            made = None
    except Exception as exc:  # as above: parts of the package are parsed when they are asked for
        raise ParseError(f"this DOCX file cannot be read ({type(exc).__name__}); it may be damaged") from exc
    headline = next((number for number, (style, _) in enumerate(paragraphs) if style in _TITLES), None)
    if not title.strip() and headline is not None:
        title = paragraphs.pop(headline)[1]
    text = "\n\n".join(text for _, text in paragraphs)
    if len(text) > base.MAX_ARTICLE_BYTES:
        raise ParseError(f"{len(text):,} characters: too long for one article; split it")
    return {"title": title, "published": made, "text": text}


def _paragraphs(element: Any) -> Iterator[Any]:
    """Yield the paragraphs in an element, those in tables and text boxes too, in their order."""
    for child in element:
        if not _is_passed_over(child):
            if child.tag == _PARAGRAPH:
                yield child
            yield from _paragraphs(child)


def _is_passed_over(element: Any) -> bool:
    if element.tag in _PASSED_OVER:
        return True
    marks = (element.find(mark) for mark in _UNSHOWN)
    return any(mark is not None and mark.get(f"{_W}val") not in _OFF for mark in marks)


def _text(paragraph: Any) -> str:
    return " ".join("".join(_pieces(paragraph)).split())


def _pieces(element: Any) -> Iterator[str]:
    """Yield the text in a paragraph, but not that of paragraphs within it."""
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif child.tag != _PARAGRAPH and not _is_passed_over(child):
            yield from _pieces(child)


def _style(paragraph: Any) -> str | None:
    found = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return None if found is None else found.get(f"{_W}val")
