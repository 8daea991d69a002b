"""Finds the article in a text, Markdown or HTML page, as a record for `article_from_record`."""

from __future__ import annotations

import logging
import re
from copy import deepcopy
from typing import Any, Literal

import yaml

from bot.articles.article import clean_line, clean_text, is_web_url
from bot.errors import ParseError
from bot.ingestion.html.boilerplate import remove_boilerplate, remove_hidden
from bot.ingestion.html.error_pages import is_access_wall, is_not_found_page, strip_notices
from bot.ingestion.html.json_ld import extract_json_ld

Kind = Literal["page", "entry", "letter"]  # of a site, what a feed holds, what came by mail

NO_ARTICLE = "no article text found in this HTML page"
PAGE_NOT_FOUND = "the site says that there is no such page"
ACCESS_WALL = "no article but a notice: the site lets nobody in without a login, a consent or a check"
NO_ARTICLES = (NO_ARTICLE, PAGE_NOT_FOUND, ACCESS_WALL)

_MAX_FRONT_MATTER = 65_536  # characters
_MAX_HEADLINE = 120  # characters in a first line that can be the title
_KEY = re.compile(r"\s*[\"']?[\w-]+[\"']?\s*:(\s|$)")
_HEADING = re.compile(r"^ {0,3}#[ \t]+(\S.{0,299})$", re.M)
# Where an HTML page holds dates that are not its own.
_PROSE = """//p[not(@*) or string-length() > 120]
    | //div[not(.//p or .//div or .//time)][string-length() > 120]
    | //li | //blockquote | //table | //aside | //footer | //nav"""
# Where an HTML page says by which address it wants to be known.
_CLAIMS = (
    "//link[contains(concat(' ', @rel, ' '), ' canonical ')]/@href",
    "//meta[@property='og:url']/@content",
)
_TITLES = "//title/text() | //h1//text() | //meta[@property='og:title']/@content"
_SHOWN = "//body//text()[not(parent::script or parent::style)]"
_BEGINNING = 100  # characters that tell a text


def parse_text(text: str) -> dict[str, object]:
    """Return the article in a plain text; a first line that stands alone is its title."""
    fields = _front_matter(clean_text(text))
    if title := fields.get("title") or first_line_title(str(fields["text"]).strip()):
        fields["title"] = title
    return fields


def first_line_title(text: str) -> str:
    """Return the first line where it can be a headline: it is short and stands alone; else ""."""
    head, _, rest = text.partition("\n")
    blank, _, body = rest.partition("\n")
    alone = len(head) <= _MAX_HEADLINE and not head.endswith(".") and body and not blank.strip()
    return head if alone else ""


def record_from_markdown(text: str) -> dict[str, object]:
    """Return the article in a Markdown text; the first heading is its title, and leaves the text."""
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
        raise ParseError("the front matter opened by --- is never closed", line=1)
    fields = _parse_yaml("\n".join(lines[1:end]))
    if not isinstance(fields, dict):
        return {"text": text}
    return _normalize_front_matter(fields) | {"text": text[len("\n".join(lines[: end + 1])) :]}


def _parse_yaml(block: str) -> object:
    try:
        # BaseLoader keeps each scalar as it is written: to safe_load the title 12:30 is 750, the id 007
        # is 7, and values such as `!!timestamp x` are errors of any class.
        document: object = yaml.load(block, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as exc:
        mark, problem = getattr(exc, "problem_mark", None), getattr(exc, "problem", "it cannot be parsed")
        line = mark.line + 2 if mark else 1
        raise ParseError(f"front matter is not valid YAML: {problem}", line=line) from exc
    return document


def _normalize_front_matter(fields: dict[str, object]) -> dict[str, object]:
    blank = ("", "~", "null")
    record = {key.strip().lower(): None if value in blank else value for key, value in fields.items()}
    published = record.get("published") or record.get("date")
    if not isinstance(published, str | None):  # aliases inside aliases would fill the memory when shown
        raise ParseError("published: expected a date")
    return record | {"published": published}


def record_from_html(html: str, *, kind: Kind = "page") -> dict[str, object]:
    """Return the article in an HTML page as a record: what its JSON-LD states, else what its markup shows.

    `url` is the address that the page claims for itself; it is `walled` where it asks its reader to log in or
    subscribe. A date in the prose is none of the article's own. A letter
    may consist of several stories, in tables that only lay it out. Raises ParseError where there is no article.
    """
    for name in ("trafilatura", "htmldate", "courlan", "justext"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        record = _extract(clean_text(html), kind)
    except ParseError:
        raise
    except Exception as exc:  # on hostile markup lxml and the libraries above it raise errors of any class
        raise ParseError(f"this HTML page cannot be parsed ({type(exc).__name__})") from exc
    if not record:
        raise ParseError(NO_ARTICLE)
    return record


def _extract(html: str, kind: Kind) -> dict[str, object]:
    import trafilatura

    tree: Any = trafilatura.load_html(html)
    if tree is None or "<" not in html:
        return {}
    address = _claimed_address(tree)
    stated = extract_json_ld(tree, address=address)
    names = [clean_line(text) for text in tree.xpath(_TITLES)]
    remove_hidden(tree)
    if kind == "page":
        remove_boilerplate(tree, address=address)
    if kind == "letter":
        _unwrap_layout_tables(tree)
    shown = " ".join(tree.xpath(_SHOWN)) if "text" in stated else ""
    favor = "favor_recall" if kind == "letter" else "favor_precision"
    options: dict[str, Any] = {favor: True, "include_comments": False, "include_tables": False}
    page: Any = trafilatura.bare_extraction(deepcopy(tree), prune_xpath="//nav | //footer", **options)
    about = _metadata(tree)
    titles = (about.title, stated.get("title"))
    lines = page.text.splitlines() if page is not None else []
    text = "\n\n".join(line for line in lines if line.strip() and clean_line(line) not in titles)
    found = _prefer_longer_body(text, stated.get("text", ""), shown)
    text = strip_notices(found)
    if kind == "page" and not stated:
        _refuse_notice(names, text)
    # Without a site name trafilatura takes the host; article_from_record does so too, but after `source`.
    site = None if about.sitename and about.sitename in (about.url or "") else about.sitename
    record = {
        "title": stated.get("title") or about.title,
        "url": address or None,
        "published": stated.get("published") or about.date,
        "source": stated.get("source") or site,
        "author": stated.get("author") or (about.author or "").replace(";", ","),
        "text": text,
        "walled": text != found,
    }
    return record if text else {}


def _refuse_notice(titles: list[str], text: str) -> None:
    if is_not_found_page(titles, text):
        raise ParseError(PAGE_NOT_FOUND)
    if is_access_wall(titles, text):
        raise ParseError(ACCESS_WALL)


def _unwrap_layout_tables(tree: Any) -> None:
    """Make blocks of the tables that letters are laid out with: they hold no data but the letter."""
    for element in tree.iter("table", "tbody", "tr", "td", "th"):
        element.tag = "div"


def _metadata(tree: Any) -> Any:
    """Return what the markup says of the page; the tree loses for it what may speak of other articles."""
    import trafilatura

    for script in tree.xpath(
        "//script"
    ):  # trafilatura would take the first article in there, whichever it is
        script.drop_tree()
    for element in tree.xpath(_PROSE):
        if element.getparent() is not None:
            element.drop_tree()
    return trafilatura.extract_metadata(tree, date_config={"original_date": True, "extensive_search": False})


def _claimed_address(tree: Any) -> str:
    """Return the address by which the page wants to be known. Its <base> is not one: all pages of a site share it."""
    claims = (claim.strip() for path in _CLAIMS for claim in tree.xpath(path))
    return next((claim for claim in claims if is_web_url(claim)), "")


def _prefer_longer_body(extracted: str, stated: str, shown: str) -> str:
    """Return the text that JSON-LD states where far less of it was found, though the page shows it or shows nothing."""
    if len(stated) <= 2 * len(extracted):
        return extracted
    beginning = " ".join(stated.split())[:_BEGINNING]
    return stated if not extracted or beginning in " ".join(shown.split()) else extracted
