"""Takes out of an HTML page what its reader does not see, or what is said there of other pages than this one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

# What is struck out is what its outlet no longer says; a template or a closed dialog is shown when a script says so.
_TAKEN_BACK = "//del | //s | //strike | //template | //dialog[not(@open)]"
_MARKED = "//*[@hidden or @style or @class or @id or @role or @aria-hidden]"
_HIDING_STYLE = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
    r"|font-size\s*:\s*0(?:\.0+)?(?:px|pt|r?em|%)?\s*(?:!|;|$)|max-(?:height|width)\s*:\s*0(?:px)?\s*(?:!|;|$)"
    r"|(?:left|top|right|text-indent|margin-left)\s*:\s*-\d{4,}(?:px)?)",
    re.I,
)
_HIDING_CLASSES = frozenset(
    ("sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "is-hidden", "u-hidden")
)
# Parts of a page that are not its article, whatever they hold.
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
_NEGATING_CLASSES = frozenset(
    ("no", "has", "with", "without")
)  # "has-ads" says something of what is in there
_SHORT = 1_000  # characters that a teaser or a banner has at most; what is longer is taken for the article
_BLOCKS = frozenset(["a", "article", "aside", "div", "figure", "li", "section", "td"])
_HEADINGS = ("h2", "h3", "h4", "h5", "h6")
_HEADLINE_WORDS = 5  # from which a link's text is a headline rather than a name


def remove_hidden(tree: Any) -> None:
    """Take out of a page what is hidden, and what is struck out."""
    _drop(tree.xpath(_TAKEN_BACK))
    _drop(
        element for element in tree.xpath(_MARKED) if element.tag not in ("html", "body") and _hides(element)
    )


def remove_boilerplate(tree: Any, *, address: str) -> None:
    """Take out of a page what leads to other pages, and what its site puts between the lines of all its articles."""
    named = (element for element in tree.xpath("//body//*[@class or @id or @role]") if _is_other(element))
    _drop(element for element in named if _is_small(element))
    title = _said(*tree.xpath("//title"))
    for heading in list(tree.iter(*_HEADINGS)):
        if _is_outbound_block(heading, address) and (said := _said(heading)) and said not in title:
            block = next((above for above in heading.iterancestors() if above.tag in _BLOCKS), None)
            if block is not None and _is_small(block) and len(_headings(block)) == 1:
                _drop([block])
    _drop(element for element in list(tree.iter("ul", "ol")) if _only_links(element, address))


def _hides(element: Any) -> bool:
    hidden = element.get("hidden")
    if (hidden is not None and hidden.lower() != "until-found") or element.get("aria-hidden") == "true":
        return True
    classes = (element.get("class") or "").split()
    # "hidden md:block" is shown on larger screens.
    named = "hidden" in classes and not any(":" in name for name in classes)
    return (
        named
        or not _HIDING_CLASSES.isdisjoint(classes)
        or bool(_HIDING_STYLE.search(element.get("style") or ""))
    )


def _is_other(element: Any) -> bool:
    if (element.get("role") or "").strip().lower() in _OTHER_ROLES:
        return True
    names = f"{element.get('class') or ''} {element.get('id') or ''}".split()
    return any(_names_other(name.lower()) for name in names)


def _names_other(name: str) -> bool:
    """Say whether a class or an id, such as `story__promo-box`, names what is no part of the article."""
    words = re.split(r"[-_]+", name)
    return words[0] not in _NEGATING_CLASSES and any(_OTHER_WORDS.fullmatch(word) for word in words)


def _is_small(element: Any) -> bool:
    """Say whether an element can be a part beside the article, and cannot hold it."""
    if element.tag in ("html", "body", "main") or next(element.iter("h1", "main"), None) is not None:
        return False
    length = 0
    for text in element.itertext():
        length += len(text)
        if length > _SHORT:
            return False
    return True


def _is_outbound_block(element: Any, address: str) -> bool:
    """Say whether all that an element says is a link, or lies in one, to another page than this."""
    around = next(element.iterancestors("a"), None)
    links = [around] if around is not None else list(element.iter("a"))
    if not links or (around is None and _said(*links) != _said(element)):
        return False
    return all(_is_other_page(link.get("href") or "", address) for link in links)


def _is_other_page(href: str, address: str) -> bool:
    try:
        there, here = urlsplit(href.strip()), urlsplit(address)
    except ValueError:
        return True
    if not there.path and not there.netloc:
        return False
    same_host = not there.netloc or there.netloc == here.netloc
    return not (here.path.strip("/") and same_host and there.path.startswith(here.path.rstrip("/")))


def _only_links(element: Any, address: str) -> bool:
    """Say whether a list is one of headlines that lead to other pages."""
    items = [item for item in element if item.tag == "li"]
    words = len(_said(element).split())
    return (
        bool(items)
        and words >= _HEADLINE_WORDS * len(items)
        and all(_is_outbound_block(item, address) for item in items)
    )


def _headings(element: Any) -> list[Any]:
    return list(element.iter(*_HEADINGS))


def _said(*elements: Any) -> str:
    return " ".join(" ".join("".join(element.itertext()).split()) for element in elements)


def _drop(elements: Iterable[Any]) -> None:
    for element in list(elements):
        if element.getparent() is not None:
            element.drop_tree()
