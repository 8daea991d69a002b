"""Block Kit builders. Text is passed as structure, not as markup, so nothing in it can become a link."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote as percent_encode

from bot.answering.quotes import QuoteParts
from bot.articles.article import clean_text, is_web_url
from bot.slack.rendering.escaping import clip_and_neutralize
from bot.slack.rendering.limits import MAX_LABEL, MAX_TEXT, MAX_URL, Block

Part = dict[str, Any]


def text_element(text: str, **style: bool) -> Part:
    """Return a text element that shows text literally, truncated to the limit of Slack.

    Args:
        style: styles to apply, such as bold=True.
    """
    return _apply_style({"type": "text", "text": clip_and_neutralize(text, MAX_TEXT) or "…"}, style)


def quote_elements(quote: QuoteParts, **style: bool) -> list[Part]:
    """Return the text elements of a neutralized quote, with its answer words in bold."""
    parts = ((quote.before, style), (quote.words, {**style, "bold": True}), (quote.after, style))
    return [raw_text(text, **of_part) for text, of_part in parts if text]


def raw_text(text: str, **style: bool) -> Part:
    """Return a text element of trusted text, whose spaces and line breaks are preserved."""
    return _apply_style({"type": "text", "text": text}, style)


def link_element(url: str | None, label: str, *, max_length: int = MAX_URL, **style: bool) -> Part:
    """Return a link, or the label alone if the URL is missing, not safe to link or longer than `max_length`."""
    if address := sanitize_url(url, max_length=max_length):
        return _apply_style(
            {"type": "link", "url": address, "text": clip_and_neutralize(label, MAX_TEXT) or "…"}, style
        )
    return text_element(label, **style)


def mention_element(identifier: str) -> Part:
    """Return a mention of a user (U…, W…) or of a user group (S…), which notifies all of its members."""
    if identifier.startswith("S"):
        return {"type": "usergroup", "usergroup_id": identifier}
    return {"type": "user", "user_id": identifier}


def channel_element(identifier: str) -> Part:
    """Return the name of a channel, linked to it."""
    return {"type": "channel", "channel_id": identifier}


def text_section(*parts: Part) -> Part:
    """Return a rich text section. Two consecutive sections need an explicit line break between them."""
    return {"type": "rich_text_section", "elements": list(parts)}


def quote_section(*parts: Part) -> Part:
    """Return a block quotation."""
    return {"type": "rich_text_quote", "elements": list(parts)}


def bullet_list(items: Iterable[Part]) -> Part:
    """Return a bulleted list."""
    return {"type": "rich_text_list", "style": "bullet", "elements": list(items)}


def rich_text_block(*elements: Part) -> Block:
    """Return a rich text block of sections, quotations and lists."""
    return {"type": "rich_text", "elements": list(elements)}


def plain_text(text: str, *, max_length: int = MAX_TEXT) -> Part:
    """Return a plain text object, without markup and emoji names."""
    return {"type": "plain_text", "text": clip_and_neutralize(text, max_length) or "…", "emoji": False}


def section_block(text: str, *, accessory: Part | None = None) -> Block:
    """Return a section block of plain text, with an optional menu or button next to it."""
    block = {"type": "section", "text": plain_text(text)}
    return {**block, "accessory": accessory} if accessory else block


def header_block(text: str) -> Block:
    """Return a header block."""
    return {"type": "header", "text": plain_text(text, max_length=150)}


def context_block(text: str) -> Block:
    """Return a context block: a line in small print."""
    return {"type": "context", "elements": [plain_text(text)]}


def button_element(label: str, action: str, value: str, **more: Any) -> Part:
    """Return a button.

    Args:
        action: action id, unique in its block.
    """
    text = {"type": "plain_text", "text": label[:MAX_LABEL]}
    return {"type": "button", "text": text, "action_id": action, "value": value, **more}


def sanitize_url(url: str | None, *, max_length: int = MAX_URL) -> str | None:
    """Return a URL without invisible characters, or None if it is missing, not a web URL or too long."""
    if url is None or not is_web_url(url):
        return None
    address = "".join(_encode_char(char) for char in clean_text(url))
    return address if len(address) <= max_length and is_web_url(address) else None


def _encode_char(char: str) -> str:
    return char if char.isprintable() else percent_encode(char)


def _apply_style(part: Part, style: dict[str, bool]) -> Part:
    return {**part, "style": style} if style else part
