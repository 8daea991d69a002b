"""Text on its way to Slack and from it: what others wrote is shown as they wrote it, and never does anything."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from bot.answering.quotes import QuoteParts, bold_markdown
from bot.articles.article import clean_line
from bot.slack.rendering.limits import TEXT

# Invisible, and no break: set inside what Slack would take for an emoji, a link or a name, it is none any more.
WORD_JOINER = "\u2060"

# Marks that turn the direction of what stands beside them, and joiners: those in a shown text are all ours.
_HIDDEN = re.compile("[\u200e\u200f\u061c\u2060]")

# A joiner stands behind what opens a mention, an entity, an emoji or a name, and before what makes an address.
_OPENS = re.compile(r"<(?=[!@#/?\w])|&(?=\#?\w{1,31};)|:(?=[^\s:]+:)|[@#](?=\w)")
_ADDRESSES = re.compile(
    r"(?<=\w)(?=:[^\s\d])"  # https://… and mailto:…, but not 12:30
    r"|(?<=\S)(?=[.。．｡][^\W\d_]{2})|(?i:(?<=www))(?=\.)"
)
_EDGE = re.compile(r"(?<!\w)[*_~`]+|[*_~`]+(?!\w)|`+")  # where emphasis and code begin or end
# Quotes, lists, headings, tables and rules.
_OPENS_LINE = re.compile(r"[>•◦▪#|=]|[-+](?:\s|$)|--|\d{1,9}[.)](?:\s|$)")
_PUNCTUATION = re.compile(r"[\\`*_~\[\]|<]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def strip_invisible(text: str) -> str:
    """Return text on one line, without characters that control, reorder or hide; "" where nothing can be seen."""
    shown = clean_line(_HIDDEN.sub("", text))
    return shown if any(unicodedata.category(char) not in ("Cf", "Mn") for char in shown) else ""


def neutralize(text: str) -> str:
    """Return text of others for rich text and plain text objects.

    They hold no markup; what a reader of messages could still take for a mention, a link or an emoji is broken.
    """
    return _ADDRESSES.sub(WORD_JOINER, _OPENS.sub(rf"\g<0>{WORD_JOINER}", strip_invisible(text)))


def escape(text: str) -> str:
    """Return text of others for mrkdwn, such as a message's `text`, which shows and does no more than it says.

    Entities are written last, and nothing is unescaped after that. Without joiners, and with its entities read, the
    result is `visible(text)`.
    """
    shown = _EDGE.sub(rf"{WORD_JOINER}\g<0>{WORD_JOINER}", neutralize(text))
    return _opened(shown).translate(_ENTITIES)


def escape_markdown(text: str) -> str:
    """Return text of others for the standard Markdown of streamed messages, which Slack reads for mentions as well."""
    return _opened(_escape_punctuation(neutralize(text)))


def bold_words(quote: QuoteParts) -> str:
    """Return a quote of literal text as `escape_markdown` does, its words in bold."""
    if _OPENS_LINE.match(_escape_punctuation("".join(quote))):
        first = "before" if quote.before else "words"
        quote = quote._replace(**{first: WORD_JOINER + getattr(quote, first)})
    return bold_markdown(quote, _escape_punctuation)


def literal_quote(quote: QuoteParts, limit: int, *, opening: str = "", closing: str = "") -> QuoteParts:
    """Return the literal text of a quote in at most `limit` characters, in parts that follow each other."""
    shown = clip_literal(f"{opening}{clip(''.join(quote), limit)}{closing}", TEXT) or "…"
    words = _shown_words(quote, opening, shown.replace(WORD_JOINER, ""))
    if words is None:
        return QuoteParts(shown, "", "")
    start, end = (_literal_offset(shown, offset) for offset in words)
    return QuoteParts(shown[:start], shown[start:end], shown[end:])


def clip(text: str, limit: int) -> str:
    """Return the visible text in at most `limit` characters, cut behind a word and marked with "…"."""
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


def clip_literal(text: str, limit: int) -> str:
    """Return `literal(text)` in at most `limit` characters."""
    return _clipped(neutralize, text, limit)


def clip_escaped(text: str, limit: int) -> str:
    """Return `escape(text)` in at most `limit` characters."""
    return _clipped(escape, text, limit)


def _clipped(form: Callable[[str], str], text: str, limit: int) -> str:
    """Cut before the text takes its form, so that no entity is ever cut."""
    room = limit
    while len(formed := form(clip(text, room))) > limit:
        room = min(room - 1, room * limit // len(formed))
    return formed


def _shown_words(quote: QuoteParts, opening: str, shown: str) -> tuple[int, int] | None:
    """Return the offsets of a quote's words, or of their beginning, in what is shown of it."""
    whole, words, at = (
        strip_invisible("".join(quote)),
        strip_invisible(quote.words),
        len(strip_invisible(quote.before)),
    )
    start = next((place for place in (at, at + 1) if words and whole.startswith(words, place)), None)
    if start is None:
        return None
    start += len(opening)
    kept = shown[: _alike(shown, opening + whole)].rstrip()  # without the "…" of a clipped quote
    end = min(start + len(words), len(kept))
    return (start, end) if start < end else None


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _literal_offset(shown: str, offset: int) -> int:
    """Return where in a literal text the character is that has this offset in the text without joiners."""
    places = [place for place, char in enumerate(shown) if char != WORD_JOINER]
    return [0, *places[1:], len(shown)][offset]


def _escape_punctuation(line: str) -> str:
    return _PUNCTUATION.sub(r"\\\g<0>", line)


def _opened(line: str) -> str:
    return WORD_JOINER + line if _OPENS_LINE.match(line) else line
