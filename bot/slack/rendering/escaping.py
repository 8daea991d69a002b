"""Escape untrusted text for mrkdwn, Markdown and rich text: Slack shows it literally and it has no effect."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from bot.answering.quotes import QuoteParts, bold_markdown
from bot.articles.article import clean_line
from bot.slack.rendering.limits import MAX_TEXT

# Invisible and non-breaking: inserted into text that Slack would treat as an emoji, a link or a name, it prevents that.
WORD_JOINER = "\u2060"

# Directional marks, and joiners: they are removed, so that all joiners in the resulting text are ours.
_HIDDEN = re.compile("[\u200e\u200f\u061c\u2060]")

# A joiner is inserted after the start of a mention, entity, emoji or name, and before the part that makes a URL.
_OPENS = re.compile(r"<(?=[!@#/?\w])|&(?=\#?\w{1,31};)|:(?=[^\s:]+:)|[@#](?=\w)")
_ADDRESSES = re.compile(
    r"(?<=\w)(?=:[^\s\d])"  # https://… and mailto:…, but not 12:30
    r"|(?<=\S)(?=[.。．｡][^\W\d_]{2})|(?i:(?<=www))(?=\.)"
)
_EDGE = re.compile(r"(?<!\w)[*_~`]+|[*_~`]+(?!\w)|`+")  # start or end of emphasis or code
# Quotes, lists, headings, tables and rules.
_OPENS_LINE = re.compile(r"[>•◦▪#|=]|[-+](?:\s|$)|--|\d{1,9}[.)](?:\s|$)")
_PUNCTUATION = re.compile(r"[\\`*_~\[\]|<]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def strip_invisible(text: str) -> str:
    """Return text on one line without control, directional and hidden characters, or "" if no visible one is left."""
    shown = clean_line(_HIDDEN.sub("", text))
    return shown if any(unicodedata.category(char) not in ("Cf", "Mn") for char in shown) else ""


def neutralize(text: str) -> str:
    """Return untrusted text for rich text and plain text objects.

    These have no markup, but a Slack client could still treat parts of the text as a mention, link or emoji: joiners
    prevent that.
    """
    return _ADDRESSES.sub(WORD_JOINER, _OPENS.sub(rf"\g<0>{WORD_JOINER}", strip_invisible(text)))


def escape_mrkdwn(text: str) -> str:
    """Return untrusted text for mrkdwn, such as the `text` of a message.

    Entities are written last, and nothing is unescaped after that. With its joiners removed and its entities decoded,
    the result equals `strip_invisible(text)`.
    """
    shown = _EDGE.sub(rf"{WORD_JOINER}\g<0>{WORD_JOINER}", neutralize(text))
    return _break_line_start(shown).translate(_ENTITIES)


def escape_markdown(text: str) -> str:
    """Return untrusted text for the standard Markdown of streamed messages, in which Slack also recognizes mentions."""
    return _break_line_start(_escape_punctuation(neutralize(text)))


def bold_words(quote: QuoteParts) -> str:
    """Return a neutralized quote escaped like `escape_markdown`, with its answer words in bold."""
    if _OPENS_LINE.match(_escape_punctuation("".join(quote))):
        first = "before" if quote.before else "words"
        quote = quote._replace(**{first: WORD_JOINER + getattr(quote, first)})
    return bold_markdown(quote, _escape_punctuation)


def clip_quote(quote: QuoteParts, limit: int, *, opening: str = "", closing: str = "") -> QuoteParts:
    """Return a quote neutralized and truncated.

    Args:
        limit: maximum number of characters of the quote, without `opening` and `closing`.
        opening: text to put before the quote, such as a quotation mark.
        closing: text to put after the quote.

    Returns:
        Consecutive parts of the result. All text is in `before` if the answer words are unknown or were cut off.
    """
    shown = clip_and_neutralize(f"{opening}{clip(''.join(quote), limit)}{closing}", MAX_TEXT) or "…"
    words = _locate_words(quote, opening, shown.replace(WORD_JOINER, ""))
    if words is None:
        return QuoteParts(shown, "", "")
    start, end = (_offset_with_joiners(shown, offset) for offset in words)
    return QuoteParts(shown[:start], shown[start:end], shown[end:])


def clip(text: str, limit: int) -> str:
    """Return the visible text truncated to `limit` characters, after a word if possible, with "…" at the end."""
    shown = strip_invisible(text)
    if len(shown) <= limit:
        return shown
    cut = shown[: max(0, limit - 2)]
    word = f"{cut}{shown[len(cut)]}".rfind(" ")
    if word > limit // 2:
        return f"{cut[:word].rstrip(' ,;:–—-')} …"
    while cut and unicodedata.category(shown[len(cut)])[0] == "M":  # an accent stays with its letter
        cut = cut[:-1]
    return f"{cut}…"


def clip_and_neutralize(text: str, limit: int) -> str:
    """Return the neutralized text, truncated so that it has at most `limit` characters."""
    return _clip_and_transform(neutralize, text, limit)


def clip_and_escape(text: str, limit: int) -> str:
    """Return the text escaped for mrkdwn, truncated so that it has at most `limit` characters."""
    return _clip_and_transform(escape_mrkdwn, text, limit)


def _clip_and_transform(transform: Callable[[str], str], text: str, limit: int) -> str:
    """Truncate the text before it is transformed, so that no entity is cut."""
    room = limit
    while len(result := transform(clip(text, room))) > limit:
        room = min(room - 1, room * limit // len(result))
    return result


def _locate_words(quote: QuoteParts, opening: str, shown: str) -> tuple[int, int] | None:
    """Return the offsets of the answer words of a quote, or of the part of them that is left, in its truncated text.

    Args:
        opening: text before the quote in `shown`.
        shown: truncated text, without joiners.
    """
    whole, words, at = (
        strip_invisible("".join(quote)),
        strip_invisible(quote.words),
        len(strip_invisible(quote.before)),
    )
    start = next((offset for offset in (at, at + 1) if words and whole.startswith(words, offset)), None)
    if start is None:
        return None
    start += len(opening)
    unclipped = shown[: _common_prefix_length(shown, opening + whole)].rstrip()  # without "…" at the end
    end = min(start + len(words), len(unclipped))
    return (start, end) if start < end else None


def _common_prefix_length(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((offset for offset, (a, b) in pairs if a != b), min(len(one), len(other)))


def _offset_with_joiners(shown: str, offset: int) -> int:
    """Convert an offset in the text without joiners to the offset in the text with them."""
    offsets = [index for index, char in enumerate(shown) if char != WORD_JOINER]
    return [0, *offsets[1:], len(shown)][offset]


def _escape_punctuation(line: str) -> str:
    return _PUNCTUATION.sub(r"\\\g<0>", line)


def _break_line_start(line: str) -> str:
    """Insert a joiner if the line starts with block markup, such as a quote, list or heading."""
    return WORD_JOINER + line if _OPENS_LINE.match(line) else line
