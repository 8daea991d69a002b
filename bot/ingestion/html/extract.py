"""Extracts the article from text, Markdown and HTML as a record for `article_from_record`."""

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

Kind = Literal["page", "entry", "email"]  # a web page, the content of a feed entry, an e-mail newsletter

NO_ARTICLE = "no article text found in this HTML page"
PAGE_NOT_FOUND = "the site says that there is no such page"
ACCESS_WALL = "no article but a notice: the site lets nobody in without a login, a consent or a check"
NO_ARTICLES = (NO_ARTICLE, PAGE_NOT_FOUND, ACCESS_WALL)

_MAX_FRONT_MATTER_CHARS = 65_536
_MAX_HEADLINE_CHARS = 120  # of a first line that can be the title
_KEY = re.compile(r"\s*[\"']?[\w-]+[\"']?\s*:(\s|$)")
_HEADING = re.compile(r"^ {0,3}#[ \t]+(\S.{0,299})$", re.M)
# Elements of an HTML page with dates that are not its publication date.
_PROSE_XPATH = """//p[not(@*) or string-length() > 120]
    | //div[not(.//p or .//div or .//time)][string-length() > 120]
    | //li | //blockquote | //table | //aside | //footer | //nav"""
# Declarations of the canonical URL in an HTML page.
_CANONICAL_URL_XPATHS = (
    "//link[contains(concat(' ', @rel, ' '), ' canonical ')]/@href",
    "//meta[@property='og:url']/@content",
)
_TITLE_XPATH = "//title/text() | //h1//text() | //meta[@property='og:title']/@content"
_VISIBLE_TEXT_XPATH = "//body//text()[not(parent::script or parent::style)]"
_PREFIX_CHARS = 100  # enough to identify a text


def parse_text(text: str) -> dict[str, object]:
    """Return the article in a plain text; a short first line followed by an empty line is its title."""
    fields = _parse_front_matter(clean_text(text))
    if title := fields.get("title") or first_line_title(str(fields["text"]).strip()):
        fields["title"] = title
    return fields


def first_line_title(text: str) -> str:
    """Return the first line if it can be a headline: short and followed by an empty line; else an empty string."""
    head, _, rest = text.partition("\n")
    blank, _, body = rest.partition("\n")
    alone = len(head) <= _MAX_HEADLINE_CHARS and not head.endswith(".") and body and not blank.strip()
    return head if alone else ""


def parse_markdown(text: str) -> dict[str, object]:
    """Return the article in a Markdown text; the first heading becomes its title and is removed from the text."""
    fields = _parse_front_matter(clean_text(text))
    body = str(fields["text"])
    code = body.find("\n```")  # in a code block, # starts a comment
    heading = _HEADING.search(body, 0, code if code >= 0 else len(body))
    if heading and not fields.get("title"):
        fields["title"] = re.sub(r"\s#+\s*$", "", heading[1])
        fields["text"] = body[: heading.start()] + body[heading.end() :]
    return fields


def _parse_front_matter(text: str) -> dict[str, object]:
    """Return the fields of the front matter with `text` added; without front matter, only `text`.

    Raises:
        ParseError: if the front matter is invalid.
    """
    lines = text[:_MAX_FRONT_MATTER_CHARS].split("\n")
    opening = next((line for line in lines[1:] if line.strip() and not line.startswith("#")), "")
    if lines[0].rstrip() != "---" or not _KEY.match(opening):
        return {"text": text}  # in Markdown, --- can also be a horizontal rule
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() in ("---", "...")), None)
    if end is None:
        raise ParseError("the front matter opened by --- is never closed", line=1)
    fields = _parse_yaml("\n".join(lines[1:end]))
    if not isinstance(fields, dict):
        return {"text": text}
    return _normalize_front_matter(fields) | {"text": text[len("\n".join(lines[: end + 1])) :]}


def _parse_yaml(block: str) -> object:
    try:
        # BaseLoader keeps scalars as strings: safe_load reads the title 12:30 as 750 and the id 007 as 7, and
        # raises errors of any class for values such as `!!timestamp x`.
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
    if not isinstance(published, str | None):  # printing nested aliases would exhaust the memory
        raise ParseError("published: expected a date")
    return record | {"published": published}


def parse_html(html: str, *, kind: Kind = "page") -> dict[str, object]:
    """Return the article in an HTML page as a record, from its JSON-LD, else from its markup.

    Dates in the prose are not used as the publication date.

    Args:
        html: the page.
        kind: "page" also removes boilerplate and rejects error pages; "email" allows several stories, in tables that
            are only used for layout.

    Returns:
        Fields of the article. `url` is the canonical URL that the page claims; `paywalled` is True if the page asks
        the visitor to log in or subscribe.

    Raises:
        ParseError: if the page does not contain an article.
    """
    for name in ("trafilatura", "htmldate", "courlan", "justext"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        record = _extract(clean_text(html), kind)
    except ParseError:
        raise
    except Exception as exc:  # hostile markup raises errors of any class in lxml and libraries based on it
        raise ParseError(f"this HTML page cannot be parsed ({type(exc).__name__})") from exc
    if not record:
        raise ParseError(NO_ARTICLE)
    return record


def _extract(html: str, kind: Kind) -> dict[str, object]:
    import trafilatura

    tree: Any = trafilatura.load_html(html)
    if tree is None or "<" not in html:
        return {}
    url = _find_canonical_url(tree)
    stated = extract_json_ld(tree, url=url)
    names = [clean_line(text) for text in tree.xpath(_TITLE_XPATH)]
    remove_hidden(tree)
    if kind == "page":
        remove_boilerplate(tree, url=url)
    if kind == "email":
        _unwrap_layout_tables(tree)
    shown = " ".join(tree.xpath(_VISIBLE_TEXT_XPATH)) if "text" in stated else ""
    favor = "favor_recall" if kind == "email" else "favor_precision"
    options: dict[str, Any] = {favor: True, "include_comments": False, "include_tables": False}
    page: Any = trafilatura.bare_extraction(deepcopy(tree), prune_xpath="//nav | //footer", **options)
    about = _extract_metadata(tree)
    titles = (about.title, stated.get("title"))
    lines = page.text.splitlines() if page is not None else []
    text = "\n\n".join(line for line in lines if line.strip() and clean_line(line) not in titles)
    found = _prefer_longer_body(text, stated.get("text", ""), shown)
    text = strip_notices(found)
    if kind == "page" and not stated:
        _check_is_article(names, text)
    # Without a site name trafilatura uses the host; article_from_record also does so, but prefers `source`.
    site = None if about.sitename and about.sitename in (about.url or "") else about.sitename
    record = {
        "title": stated.get("title") or about.title,
        "url": url or None,
        "published": stated.get("published") or about.date,
        "source": stated.get("source") or site,
        "author": stated.get("author") or (about.author or "").replace(";", ","),
        "text": text,
        "paywalled": text != found,
    }
    return record if text else {}


def _check_is_article(titles: list[str], text: str) -> None:
    if is_not_found_page(titles, text):
        raise ParseError(PAGE_NOT_FOUND)
    if is_access_wall(titles, text):
        raise ParseError(ACCESS_WALL)


def _unwrap_layout_tables(tree: Any) -> None:
    """Turn the layout tables of e-mail newsletters into blocks: they contain the text, not tabular data."""
    for element in tree.iter("table", "tbody", "tr", "td", "th"):
        element.tag = "div"


def _extract_metadata(tree: Any) -> Any:
    """Return the metadata in the markup; removes elements from the tree that may be about other articles."""
    import trafilatura

    # trafilatura would use the first article in a script, even if it is another one.
    for script in tree.xpath("//script"):
        script.drop_tree()
    for element in tree.xpath(_PROSE_XPATH):
        if element.getparent() is not None:
            element.drop_tree()
    return trafilatura.extract_metadata(tree, date_config={"original_date": True, "extensive_search": False})


def _find_canonical_url(tree: Any) -> str:
    """Return the canonical URL that the page claims, or an empty string. Not <base>, which a whole site shares."""
    claims = (claim.strip() for path in _CANONICAL_URL_XPATHS for claim in tree.xpath(path))
    return next((claim for claim in claims if is_web_url(claim)), "")


def _prefer_longer_body(extracted: str, stated: str, shown: str) -> str:
    """Return the text in the JSON-LD if the extracted text is far shorter, and the page shows it or has no text."""
    if len(stated) <= 2 * len(extracted):
        return extracted
    beginning = " ".join(stated.split())[:_PREFIX_CHARS]
    return stated if not extracted or beginning in " ".join(shown.split()) else extracted
