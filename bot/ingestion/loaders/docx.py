"""Loads Word documents (DOCX); each is one article."""

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

MAX_DOCX_BYTES = 50_000_000
# Limits after decompression: size of the file with its pictures, of its largest XML part, and number of parts.
_MAX_UNPACKED_BYTES, _MAX_MARKUP_BYTES, _MAX_PARTS = 200_000_000, 50_000_000, 10_000

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH = f"{_W}p"
# Deleted and moved text is not part of the document; a fallback repeats the content next to it.
_SKIPPED_TAGS = frozenset(
    {
        f"{_W}del",
        f"{_W}moveFrom",
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    }
)
# Marks of a hidden or struck-out run, and of a deleted table row.
_HIDDEN_MARKS = (f"{_W}rPr/{_W}vanish", f"{_W}rPr/{_W}strike", f"{_W}rPr/{_W}dstrike", f"{_W}trPr/{_W}del")
_OFF_VALUES = ("0", "false", "off")
_TEMPLATE_CREATED = datetime(2013, 12, 23, 23, 15, tzinfo=UTC)  # of documents made with python-docx
_SPACES = {f"{_W}tab": " ", f"{_W}br": " ", f"{_W}cr": " ", f"{_W}noBreakHyphen": "-"}
_TITLES = ("Title", "Heading 1")


def read_docx(file: File) -> Iterator[Article | Skipped]:
    """Yield the article in a DOCX file.

    Raises:
        ParseError: if the file cannot be read or is too large.
    """
    check_size(file.size, MAX_DOCX_BYTES, "for a document", "split it")
    _check_unpacked_size(file)
    yield file.build_article(_build_record(_open(file)))


def _check_unpacked_size(file: File) -> None:
    """Check the sizes of the parts in the archive before anything is decompressed.

    Raises:
        ParseError: if the file is not a DOCX file, or a limit is exceeded.
    """
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
    check_size(unpacked, _MAX_UNPACKED_BYTES, "when unpacked", "split it, or leave its pictures out")
    check_size(markup, _MAX_MARKUP_BYTES, "when unpacked", "split it")
    if len(parts) > _MAX_PARTS:
        raise ParseError(f"{len(parts):,} parts: too many for a document (limit {_MAX_PARTS:,})")


def _open(file: File) -> Document:
    import docx

    try:
        return docx.Document(str(file.path))
    except Exception as exc:  # on broken or hostile files, python-docx and lxml raise errors of any class
        raise ParseError(f"this DOCX file cannot be read ({type(exc).__name__}); it may be damaged") from exc


def _build_record(document: Document) -> dict[str, object]:
    try:
        styles = {style.style_id: style.name for style in document.styles}
        paragraphs = [
            (styles.get(_style_id(p)), text)
            for p in _iter_paragraphs(document.element.body)
            if (text := _paragraph_text(p))
        ]
        properties = document.core_properties
        title, created = properties.title, properties.created
        if created and created.replace(tzinfo=created.tzinfo or UTC) == _TEMPLATE_CREATED:
            created = None
    except Exception as exc:  # as above: parts of the package are parsed lazily
        raise ParseError(f"this DOCX file cannot be read ({type(exc).__name__}); it may be damaged") from exc
    headline = next((number for number, (style, _) in enumerate(paragraphs) if style in _TITLES), None)
    if not title.strip() and headline is not None:
        title = paragraphs.pop(headline)[1]
    text = "\n\n".join(text for _, text in paragraphs)
    if len(text) > base.MAX_ARTICLE_BYTES:
        raise ParseError(f"{len(text):,} characters: too long for one article; split it")
    return {"title": title, "published": created, "text": text}


def _iter_paragraphs(element: Any) -> Iterator[Any]:
    """Yield the paragraphs in an element in order, including those in tables and text boxes."""
    for child in element:
        if not _is_hidden(child):
            if child.tag == _PARAGRAPH:
                yield child
            yield from _iter_paragraphs(child)


def _is_hidden(element: Any) -> bool:
    if element.tag in _SKIPPED_TAGS:
        return True
    marks = (element.find(mark) for mark in _HIDDEN_MARKS)
    return any(mark is not None and mark.get(f"{_W}val") not in _OFF_VALUES for mark in marks)


def _paragraph_text(paragraph: Any) -> str:
    return " ".join("".join(_iter_text(paragraph)).split())


def _iter_text(element: Any) -> Iterator[str]:
    """Yield the text in a paragraph without that of nested paragraphs."""
    for child in element:
        if child.tag == f"{_W}t":
            yield child.text or ""
        elif child.tag in _SPACES:
            yield _SPACES[child.tag]
        elif child.tag != _PARAGRAPH and not _is_hidden(child):
            yield from _iter_text(child)


def _style_id(paragraph: Any) -> str | None:
    found = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return None if found is None else found.get(f"{_W}val")
