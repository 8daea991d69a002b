"""Reads articles from files and folders, one at a time: text, Markdown, HTML, JSON and JSON lines."""

from __future__ import annotations

import io
import json
import logging
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bot.articles.article import Article, article_from_record, clean_line, clean_text, short_hash
from bot.errors import ReadError

MAX_ARTICLE_BYTES = 10_000_000  # one text, Markdown or HTML file; one record of JSON lines
MAX_JSON_BYTES = 100_000_000  # a .json file is parsed whole; JSON lines have no limit
_MAX_FRONT_MATTER = 65_536  # characters
_MAX_HEADLINE = 120  # characters in a first line that can be the title
_HEAD = 8_192  # bytes that tell what a file is

_EMPTY = "the file is empty"
_TEST_SET = "a test set of questions, not articles"

_KEY = re.compile(r"\s*[\"']?[\w-]+[\"']?\s*:(\s|$)")
_HEADING = re.compile(r"^ {0,3}#[ \t]+(\S.{0,299})$", re.M)
# Where an HTML page holds dates that are not its own.
_PROSE = """//p[not(@*) or string-length() > 120]
    | //div[not(.//p or .//div or .//time)][string-length() > 120]
    | //li | //blockquote | //table | //aside | //footer | //nav"""

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BOMS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_MAGIC = (b"%PDF-", b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
# Only charsets that pages are written in: Python has codecs (unicode_escape) that no page may choose.
_DECLARED = re.compile(
    rb"<(?:meta|\?xml)[^>]{1,200}?(?:charset|encoding)\s*=\s*[\"']?"
    rb"(windows-125\d|iso-8859-\d\d?|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-jp|euc-kr)\b",
    re.I,
)
# In what was wrongly taken for cp1252: Icelandic letters (where Turkish has its own), signs inside words.
_NOT_WESTERN = re.compile(r"[ÐÝÞðýþ]|[^\W\d_][¡-¬®-¶¸-¿×÷][^\W\d_]")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or record that gave no article, and why.

    `expected` marks what was never meant as an article (a test set lying in the folder): noted, no failure.
    """

    file: str
    line: int | None
    reason: str
    expected: bool = False

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.reason}"


class _File(NamedTuple):
    path: Path
    origin: str
    source: str

    def skipped(self, reason: str, *, line: int | None = None, expected: bool = False) -> Skipped:
        return Skipped(_shown(self.path), line, reason, expected)


class _Line(NamedTuple):
    number: int
    data: bytes  # cut where it is too long
    size: int


def read_articles(paths: Iterable[Path], *, source: str = "") -> Iterator[Article | Skipped]:
    """Yield every article in the files and folders at `paths`, and a Skipped for all that cannot be read.

    Folders are read recursively in sorted order, without hidden files. `source` names the outlet of
    articles that name none.
    """
    for given in paths:
        for path in _walk(given):
            if isinstance(path, Skipped):
                yield path
            else:
                yield from _read_file(path, source)


def _walk(given: Path) -> Iterator[Path | Skipped]:
    """Yield what is not a folder at or under `given`; each real folder once, so that links cannot loop."""
    stack, seen = [given], set[tuple[int, int]]()
    while stack:
        path = stack.pop()
        try:
            info = path.stat()
            if not stat.S_ISDIR(info.st_mode):
                yield path
            elif (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                stack += sorted((p for p in path.iterdir() if not p.name.startswith(".")), reverse=True)
        except OSError as exc:
            yield Skipped(_shown(path), None, _plain(exc))


def _read_file(path: Path, source: str) -> Iterator[Article | Skipped]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for its writer for ever
            raise ReadError("not a regular file")
        read = _READERS.get(path.suffix.lower(), _read_nothing)
        yield from read(_File(path, _shown(path.resolve()), source))
    except ReadError as exc:
        yield Skipped(_shown(path), exc.line, exc.reason)
    except OSError as exc:
        yield Skipped(_shown(path), None, _plain(exc))


def _shown(path: Path) -> str:
    """Return `path` as text that can be printed and stored: names of files need not be valid Unicode."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _plain(exc: OSError) -> str:
    missing = isinstance(exc, FileNotFoundError)
    return "no such file or folder" if missing else (exc.strerror or type(exc).__name__).lower()


def _read_page(fields: Callable[[str], dict[str, object]], file: _File) -> Iterator[Article | Skipped]:
    size = file.path.stat().st_size
    _refuse_large(size, MAX_ARTICLE_BYTES, "for one article", "split it or write it as JSON lines")
    yield _article(file, fields(_read_text(file.path)))


def _read_json(file: _File) -> Iterator[Article | Skipped]:
    _refuse_large(file.path.stat().st_size, MAX_JSON_BYTES, "to parse whole", "write it as JSON lines")
    document = _loads(_read_text(file.path))
    records = document if isinstance(document, list) else [document]
    if not records:
        raise ReadError("an empty list, no articles")
    if _is_question(records[0]):
        yield file.skipped(_TEST_SET, expected=True)
        return
    for number, record in enumerate(records, 1):
        try:
            yield _article(file, record, place=_place(record))
        except ReadError as exc:
            yield file.skipped(f"record {number}: {exc.reason}" if records is document else exc.reason)


def _read_json_lines(file: _File) -> Iterator[Article | Skipped]:
    first = True
    with file.path.open("rb") as raw, _as_text(raw) as stream:
        for line in _lines(stream):
            outcome = _read_line(file, line, first=first)
            yield outcome
            if isinstance(outcome, Skipped) and outcome.expected:
                return
            first = False
    if first:
        raise ReadError(_EMPTY)


def _read_line(file: _File, line: _Line, *, first: bool) -> Article | Skipped:
    try:
        _refuse_large(line.size, MAX_ARTICLE_BYTES, "for one article", "split it")
        record = _loads(_decode(line.data).rstrip())
        if first and _is_question(record):
            return file.skipped(_TEST_SET, expected=True)
        return _article(file, record, place=_place(record))
    except ReadError as exc:
        return file.skipped(exc.reason, line=line.number)


def _read_nothing(file: _File) -> Iterator[Article | Skipped]:
    with file.path.open("rb") as stream:
        _refuse_binary(stream.read(_HEAD))
    yield file.skipped(f"not a kind of file that can be read ({', '.join(_READERS)} can)")


def _article(file: _File, record: object, *, place: str = "") -> Article:
    if not isinstance(record, dict):
        raise ReadError(f"expected an object, found {type(record).__name__}")
    try:
        return article_from_record(record, origin=file.origin, place=place, source=file.source)
    except (ValueError, OverflowError, RecursionError) as exc:
        # What the standard library's URL and date parsers raise for values made to break them.
        raise ReadError(f"a field holds a value that cannot be used ({type(exc).__name__})") from exc


def _place(record: object) -> str:
    """Return the identity of a record without id and url: its content, so that it may move in its file."""
    fields = (record.get("title"), record.get("text")) if isinstance(record, dict) else ()
    return short_hash("\n".join(field for field in fields if isinstance(field, str)))


def _is_question(record: object) -> bool:
    return isinstance(record, dict) and bool(record.get("question")) and not record.get("text")


def _loads(text: str) -> object:
    try:
        # NaN is how pandas writes a field that is missing.
        document: object = json.loads(text, parse_constant=lambda _: None)
    except json.JSONDecodeError as exc:
        advice = " (one record a line? then name it .jsonl)" if exc.msg == "Extra data" else ""
        raise ReadError(f"not valid JSON: {exc.msg} at column {exc.colno}{advice}", line=exc.lineno) from exc
    except RecursionError as exc:
        raise ReadError("not valid JSON: nested too deeply") from exc
    except ValueError as exc:  # Python's limit on the digits of an integer
        raise ReadError("not valid JSON: a number has too many digits") from exc
    return document


def _as_text(raw: io.BufferedReader) -> io.TextIOWrapper:
    """Open JSON lines as text, for line ends of all kinds; bytes that are not UTF-8 pass through escaped."""
    head = raw.peek(_HEAD)[:_HEAD]
    _refuse_binary(head)
    bom = _bom_encoding(head)
    return io.TextIOWrapper(raw, encoding=bom or "utf-8-sig", errors="replace" if bom else "surrogateescape")


def _lines(stream: io.TextIOWrapper) -> Iterator[_Line]:
    """Yield the lines that are not blank; of one above the limit, its beginning, and its whole size."""
    number = 0
    while text := stream.readline(MAX_ARTICLE_BYTES + 1):
        number += 1
        data = text.encode("utf-8", "surrogateescape")
        size = len(data) - text.endswith("\n")
        while not text.endswith("\n") and (text := stream.readline(_HEAD)):
            size += len(text.encode("utf-8", "surrogateescape")) - text.endswith("\n")
        if size > MAX_ARTICLE_BYTES or data.strip():
            yield _Line(number, data, size)


def _refuse_large(size: int, limit: int, purpose: str, advice: str) -> None:
    if size > limit:
        raise ReadError(f"{size / 1e6:.1f} MB: too large {purpose} (limit {limit / 1e6:g} MB); {advice}")


def _text_fields(text: str) -> dict[str, object]:
    fields = _front_matter(clean_text(text))
    head, _, rest = str(fields["text"]).strip().partition("\n")
    blank, _, body = rest.partition("\n")
    if len(head) <= _MAX_HEADLINE and not head.endswith(".") and body and not blank.strip():
        fields["title"] = fields.get("title") or head
    return fields


def _markdown_fields(text: str) -> dict[str, object]:
    fields = _front_matter(clean_text(text))
    body = str(fields["text"])
    code = body.find("\n```")  # what begins with # in there is a comment
    heading = _HEADING.search(body, 0, code if code >= 0 else len(body))
    if heading and not fields.get("title"):
        fields["title"] = re.sub(r"\s#+\s*$", "", heading[1])
        fields["text"] = body[: heading.start()] + body[heading.end() :]
    return fields


def _front_matter(text: str) -> dict[str, object]:
    """Return the fields of the front matter with `text` added; all is text where there is none."""
    lines = text[:_MAX_FRONT_MATTER].split("\n")
    opening = next((line for line in lines[1:] if line.strip() and not line.startswith("#")), "")
    if lines[0].rstrip() != "---" or not _KEY.match(opening):
        return {"text": text}  # in Markdown, --- can also be a rule above prose
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() in ("---", "...")), None)
    if end is None:
        raise ReadError("the front matter opened by --- is never closed", line=1)
    fields = _parse_yaml("\n".join(lines[1:end]))
    if not isinstance(fields, dict):
        return {"text": text}
    return _usable(fields) | {"text": text[len("\n".join(lines[: end + 1])) :]}


def _parse_yaml(block: str) -> object:
    try:
        # BaseLoader keeps each scalar as it is written: to safe_load the title 12:30 is 750, the id 007
        # is 7, and values such as `!!timestamp x` are errors of any class.
        document: object = yaml.load(block, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as exc:
        mark, problem = getattr(exc, "problem_mark", None), getattr(exc, "problem", "it cannot be parsed")
        line = mark.line + 2 if mark else 1
        raise ReadError(f"front matter is not valid YAML: {problem}", line=line) from exc
    return document


def _usable(fields: dict[str, object]) -> dict[str, object]:
    blank = ("", "~", "null")
    record = {key.strip().lower(): None if value in blank else value for key, value in fields.items()}
    published = record.get("published") or record.get("date")
    if not isinstance(published, str | None):  # aliases inside aliases would fill the memory when shown
        raise ReadError("published: expected a date")
    return record | {"published": published}


def record_from_html(html: str) -> dict[str, object]:
    """Return the article in an HTML page as a record, with the date that the page states, if it does.

    A date in the prose is none of the article's own. Raises ReadError where there is no article.
    """
    for name in ("trafilatura", "htmldate", "courlan", "justext"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        record = _extract(clean_text(html))
    except Exception as exc:  # on hostile markup lxml and the libraries above it raise errors of any class
        raise ReadError(f"this HTML page cannot be parsed ({type(exc).__name__})") from exc
    if not record:
        raise ReadError("no article text found in this HTML page")
    return record


def _extract(html: str) -> dict[str, object]:
    import trafilatura

    options: dict[str, Any] = {"favor_precision": True, "include_comments": False, "include_tables": False}
    page: Any = trafilatura.bare_extraction(html, prune_xpath="//nav | //footer", **options)
    tree: Any = trafilatura.load_html(html)
    if page is None or tree is None or "<" not in html:
        return {}
    for element in tree.xpath(_PROSE):
        if element.getparent() is not None:
            element.drop_tree()
    about: Any = trafilatura.extract_metadata(
        tree, date_config={"original_date": True, "extensive_search": False}
    )
    lines = [line for line in page.text.splitlines() if line.strip() and clean_line(line) != about.title]
    # Without a site name trafilatura takes the host; article_from_record does so too, but after `source`.
    site = None if about.sitename and about.sitename in (about.url or "") else about.sitename
    text = "\n\n".join(lines)
    record = {"title": about.title, "url": about.url, "published": about.date, "source": site, "text": text}
    return record if text else {}


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    _refuse_binary(data[:_HEAD])
    text = _decode(data)
    if not text.strip():
        raise ReadError(_EMPTY)
    return text


def _refuse_binary(head: bytes) -> None:
    if head.startswith(_MAGIC) or (b"\0" in head and not _bom_encoding(head)):
        raise ReadError(f"binary file, not text ({', '.join(_READERS)} can be read)")


def _bom_encoding(head: bytes) -> str | None:
    return next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)


def _decode(data: bytes) -> str:
    """Return `data` as text: by its byte order mark, as UTF-8, as it declares, else by its letters."""
    if bom := _bom_encoding(data):
        return data.decode(bom, "replace")
    text = data.decode("utf-8-sig", "replace")
    damaged = text.count("\ufffd")
    # UTF-8 with a few broken bytes stays UTF-8; text in another encoding hardly ever holds valid UTF-8.
    if not damaged or sum(not char.isascii() for char in text) > 2 * damaged:
        return text
    return _decode_declared(data) or _decode_western(data) or _decode_guessed(data)


def _decode_declared(data: bytes) -> str:
    if not (match := _DECLARED.search(data[:_HEAD])):
        return ""
    name = match[1].decode().lower()
    try:  # these two names stand for the larger sets that pages really use, as in browsers
        return data.decode({"iso-8859-1": "cp1252", "gb2312": "gb18030"}.get(name, name))
    except (UnicodeDecodeError, LookupError):
        return ""


def _decode_western(data: bytes) -> str:
    """Return `data` as cp1252 if that makes Western text; statistics go wrong on texts with few accents."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    letters = [char for char in text if char.isalpha()]
    foreign = sum(not char.isascii() for char in letters)
    return "" if foreign > 0.3 * len(letters) or _NOT_WESTERN.search(text) else text


def _decode_guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    guess = from_bytes(data).best()
    return str(guess) if guess else data.decode("latin-1")


_Reader = Callable[[_File], Iterator[Article | Skipped]]
_READERS: dict[str, _Reader] = {
    **dict.fromkeys((".txt", ".text"), partial(_read_page, _text_fields)),
    **dict.fromkeys((".md", ".markdown"), partial(_read_page, _markdown_fields)),
    **dict.fromkeys((".html", ".htm", ".xhtml"), partial(_read_page, record_from_html)),
    **dict.fromkeys((".jsonl", ".ndjson"), _read_json_lines),
    ".json": _read_json,
}
