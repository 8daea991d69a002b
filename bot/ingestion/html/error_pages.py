"""Recognizes error pages, paywalls, login and consent walls."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAX_NOTICE_PAGE_CHARS = 1_500  # a page with more text is an article, whatever its title
_MAX_NOTICE_LINE_CHARS = 500
_TITLE_SEPARATOR = re.compile(r"\s+[|–—·•»-]\s+")  # between a page's title and its site's name


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.I)


# Patterns of whole titles.
_NOT_FOUND = _any_of(
    r"(?:error\W*)?404(?:\W+(?:error|(?:page )?not found))?\W*",
    r"(?:oops|sorry)?\W*(?:(?:the |this |that |your )?(?:page|article|story|content)(?: you \w+ looking for)? )?"
    r"(?:(?:was |is |could |can)?(?:not|no longer)|can.t|couldn.t) (?:be )?(?:found|available|exists?)\W*",
    r"(?:the |this |that )?(?:page|article|story) (?:does not|doesn.t|no longer) exists?\W*",
    r"(?:sorry, )?(?:we )?(?:can.?t|couldn.t|could not) find (?:that|the|this|your) (?:page|article|story)\W*",
    "seite nicht gefunden|page introuvable|página no encontrada|pagina non trovata",
)
_ACCESS_WALL = _any_of(
    r"just a moment\W*|attention required\W*|access (?:to this page has been )?denied|forbidden|unauthori[sz]ed",
    r"(?:error\W*)?(?:401|403|429|50[0-4])(?:\W+(?:error|forbidden|unauthori[sz]ed|(?:internal )?server error"
    r"|bad gateway|service (?:temporarily )?unavailable|gateway time-?out|too many requests|access denied))?\W*",
    r"(?:an )?error(?: has)?(?: occurred)?\W*|bad gateway",
    r"are you (?:a )?(?:robot|human)\W*|(?:robot|security|human) (?:check|verification)|captcha|too many requests",
    r"(?:please )?verify(?:ing)? (?:that )?you.?(?: a|.)re (?:a |not a )?(?:human|robot)\W*",
    r"before you continue.{0,40}|(?:we value )?your privacy(?: choices| settings)?",
    r"(?:cookie|privacy|consent)s?(?: notice| settings| preferences| policy| wall)?",
    r"log ?in|sign ?in|sign ?up|register|subscribe|create an account|(?:log|sign) in (?:to|or).{0,40}",
    r"service (?:temporarily )?unavailable|(?:site |scheduled |under |down for )*maintenance",
    r"we.ll be (?:right )?back(?: soon| shortly)?\W*",
    r"(?:please )?enable (?:javascript|cookies).{0,40}|javascript (?:is )?(?:required|disabled)",
    r"redirecting\W*|loading\W*",
)
# Patterns of the start of a paragraph.
_NOTICE_LINE = _any_of(
    r"(?:this|the (?:rest|remainder) of this|the full) (?:article|story|content|page|text) (?:is|are) "
    r"(?:\w+ ){0,4}(?:subscribers|members|registered (?:users|readers))(?: only)?(?:\W*$|[.!]|,? (?:log|sign) )",
    r"(?:please )?(?:subscribe|register|log ?in|sign ?in|sign ?up|join)"
    r"(?: (?:now|today|here|for|free|or \w+|in))* to (?:\w+ ){0,4}(?:continue|read|reading|unlock|access|view)\b",
    r"to (?:continue|keep|go on) reading\b|continue reading with\b",
    r"already (?:a |have an? |registered|subscribed)(?:subscriber|member|subscription|account)?\W*\?",
    r"you(?: have|.ve) (?:read|reached|used) (?:your|all|the) (?:\w+ ){0,6}(?:limit|articles?)\b",
    r"you(?: have|.ve) \w+ free (?:articles?|stories) (?:left|remaining)\b",
    r"(?:please )?(?:enable|turn on|allow|activate) (?:javascript|cookies)\b",
    r"(?:we|this (?:site|website|page)) (?:use|uses) cookies\b|this (?:site|page|website) requires javascript\b",
    r"we (?:and|,) our (?:\d+ )?(?:trusted )?partners\b|we value your privacy\b",
    r"you don.t have permission to access\b|(?:checking|verifying) (?:if |that )?(?:you are|your browser)\b",
    # In e-mail newsletters.
    r"(?:view|read|open|see) (?:[\w-]+ ){0,3}(?:in|on) (?:\w+ )?(?:browser|web)\b|see the web version\b|unsubscribe\b",
    r"you(?:.re| are)? (?:receiv\w+|got|getting) this (?:e-?mail|message|newsletter)\b",
    r"manage (?:your )?(?:e-?mail )?preferences\b|was this (?:e-?mail|message|newsletter) forwarded to you\b",
)


def is_not_found_page(titles: Iterable[str], text: str) -> bool:
    """Return True if a page is an error page for a page that was not found."""
    return len(text) < _MAX_NOTICE_PAGE_CHARS and any(
        _NOT_FOUND.fullmatch(part) for part in _title_parts(titles)
    )


def is_access_wall(titles: Iterable[str], text: str) -> bool:
    """Return True if a page is a login, consent or bot wall, or reports an error of the site."""
    return len(text) < _MAX_NOTICE_PAGE_CHARS and any(
        _ACCESS_WALL.fullmatch(part) for part in _title_parts(titles)
    )


def strip_notices(text: str) -> str:
    """Return a text without paragraphs that ask the visitor to log in, subscribe or accept cookies."""
    lines = text.split("\n")
    if not any(map(_is_notice, lines)):
        return text
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line for line in lines if not _is_notice(line))).strip()


def _is_notice(line: str) -> bool:
    return len(line) < _MAX_NOTICE_LINE_CHARS and bool(_NOTICE_LINE.match(line.lstrip("\"'“”*>([• \t")))


def _title_parts(titles: Iterable[str]) -> Iterable[str]:
    return (
        part
        for title in titles
        for part in {title.strip(), *_TITLE_SEPARATOR.split(title.strip())[:1]}
        if part
    )
