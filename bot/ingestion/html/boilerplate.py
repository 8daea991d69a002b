"""Removes hidden elements and boilerplate from an HTML tree."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

# Struck-out text was retracted by the publisher; a template or a closed dialog is only shown by a script.
_DELETED_XPATH = "//del | //s | //strike | //template | //dialog[not(@open)]"
_MARKED_XPATH = "//*[@hidden or @style or @class or @id or @role or @aria-hidden]"
_HIDING_STYLE = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
    r"|font-size\s*:\s*0(?:\.0+)?(?:px|pt|r?em|%)?\s*(?:!|;|$)|max-(?:height|width)\s*:\s*0(?:px)?\s*(?:!|;|$)"
    r"|(?:left|top|right|text-indent|margin-left)\s*:\s*-\d{4,}(?:px)?)",
    re.I,
)
_HIDING_CLASSES = frozenset(
    ("sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "is-hidden", "u-hidden")
)
# Roles of elements that are never part of the article.
_OTHER_ROLES = frozenset(
    (
        "alertdialog",
        "banner",
        "complementary",
        "contentinfo",
        "dialog",
        "menu",
        "navigation",
        "search",
        "tooltip",
    )
)
_OTHER_WORDS = re.compile(
    r"ads?|adslot|advert\w*|promo\w*|sponsor\w*|teasers?|onetrust|didomi|cookie\w*|gdpr|consent\w*"
)
# First words of a class that describes the content of an element, such as "has-ads".
_NEGATING_CLASSES = frozenset(("no", "has", "with", "without"))
_MAX_TEASER_CHARS = 1_000  # a longer element is treated as the article, not as a teaser or banner
_BLOCK_TAGS = frozenset(["a", "article", "aside", "div", "figure", "li", "section", "td"])
_HEADING_TAGS = ("h2", "h3", "h4", "h5", "h6")
_MIN_HEADLINE_WORDS = 5  # a link with fewer words is a name, not a headline


def remove_hidden(tree: Any) -> None:
    """Remove hidden and struck-out elements."""
    _drop(tree.xpath(_DELETED_XPATH))
    _drop(
        element
        for element in tree.xpath(_MARKED_XPATH)
        if element.tag not in ("html", "body") and _is_hidden(element)
    )


def remove_boilerplate(tree: Any, *, url: str) -> None:
    """Remove blocks that link to other pages, and elements that the site inserts into all its articles."""
    named = (
        element for element in tree.xpath("//body//*[@class or @id or @role]") if _is_boilerplate(element)
    )
    _drop(element for element in named if _is_small(element))
    title = _text(*tree.xpath("//title"))
    for heading in list(tree.iter(*_HEADING_TAGS)):
        if (
            _is_outbound_block(heading, url)
            and (heading_text := _text(heading))
            and heading_text not in title
        ):
            block = next((above for above in heading.iterancestors() if above.tag in _BLOCK_TAGS), None)
            if block is not None and _is_small(block) and len(_find_headings(block)) == 1:
                _drop([block])
    _drop(element for element in list(tree.iter("ul", "ol")) if _is_link_list(element, url))


def _is_hidden(element: Any) -> bool:
    hidden = element.get("hidden")
    if (hidden is not None and hidden.lower() != "until-found") or element.get("aria-hidden") == "true":
        return True
    classes = (element.get("class") or "").split()
    # "hidden md:block" is visible on larger screens.
    named = "hidden" in classes and not any(":" in name for name in classes)
    return (
        named
        or not _HIDING_CLASSES.isdisjoint(classes)
        or bool(_HIDING_STYLE.search(element.get("style") or ""))
    )


def _is_boilerplate(element: Any) -> bool:
    if (element.get("role") or "").strip().lower() in _OTHER_ROLES:
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}".split()
    return any(_is_boilerplate_name(name.lower()) for name in names)


def _is_boilerplate_name(name: str) -> bool:
    """Return True if a class or an id, such as `story__promo-box`, marks an element that is not part of the article."""
    words = re.split(r"[-_]+", name)
    return words[0] not in _NEGATING_CLASSES and any(_OTHER_WORDS.fullmatch(word) for word in words)


def _is_small(element: Any) -> bool:
    """Return True if an element is small enough for boilerplate and cannot contain the article."""
    if element.tag in ("html", "body", "main") or next(element.iter("h1", "main"), None) is not None:
        return False
    length = 0
    for text in element.itertext():
        length += len(text)
        if length > _MAX_TEASER_CHARS:
            return False
    return True


def _is_outbound_block(element: Any, url: str) -> bool:
    """Return True if the whole text of an element is a link, or is inside a link, to another page."""
    around = next(element.iterancestors("a"), None)
    links = [around] if around is not None else list(element.iter("a"))
    if not links or (around is None and _text(*links) != _text(element)):
        return False
    return all(_is_other_page(link.get("href") or "", url) for link in links)


def _is_other_page(href: str, url: str) -> bool:
    try:
        there, here = urlsplit(href.strip()), urlsplit(url)
    except ValueError:
        return True
    if not there.path and not there.netloc:
        return False
    same_host = not there.netloc or there.netloc == here.netloc
    return not (here.path.strip("/") and same_host and there.path.startswith(here.path.rstrip("/")))


def _is_link_list(element: Any, url: str) -> bool:
    """Return True if a list consists of headlines that link to other pages."""
    items = [item for item in element if item.tag == "li"]
    words = len(_text(element).split())
    return (
        bool(items)
        and words >= _MIN_HEADLINE_WORDS * len(items)
        and all(_is_outbound_block(item, url) for item in items)
    )


def _find_headings(element: Any) -> list[Any]:
    return list(element.iter(*_HEADING_TAGS))


def _text(*elements: Any) -> str:
    return " ".join(" ".join("".join(element.itertext()).split()) for element in elements)


def _drop(elements: Iterable[Any]) -> None:
    for element in list(elements):
        if element.getparent() is not None:
            element.drop_tree()
