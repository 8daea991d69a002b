"""Slack's blocks and what stands in them. Text is structure here, not markup: nothing in it can become a link."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote as percent_encode

from bot.answering.quotes import QuoteParts
from bot.articles.article import clean_text, is_web_url
from bot.slack.rendering.escaping import clip_literal
from bot.slack.rendering.limits import LABEL, TEXT, URL, Block

Part = dict[str, Any]


def text_element(text: str, **style: bool) -> Part:
    """Return text as it is, in a style such as bold=True; "…" where it is longer than Slack takes."""
    return _styled({"type": "text", "text": clip_literal(text, TEXT) or "…"}, style)


def quote_words(quote: QuoteParts, **style: bool) -> list[Part]:
    """Return a quote of literal text in a style, its words in bold."""
    parts = ((quote.before, style), (quote.words, {**style, "bold": True}), (quote.after, style))
    return [raw_text(text, **of_part) for text, of_part in parts if text]


def raw_text(text: str, **style: bool) -> Part:
    """Return text of ours, whose spaces and line breaks count."""
    return _styled({"type": "text", "text": text}, style)


def link(url: str | None, label: str, *, longest: int = URL, **style: bool) -> Part:
    """Return a link with this label, or the label alone where there is no address that may be shown."""
    if address := web_address(url, longest=longest):
        return _styled({"type": "link", "url": address, "text": clip_literal(label, TEXT) or "…"}, style)
    return text_element(label, **style)


def person(identifier: str) -> Part:
    """Return a mention of a person (U…, W…) or of a user group (S…), which calls all of its people."""
    if identifier.startswith("S"):
        return {"type": "usergroup", "usergroup_id": identifier}
    return {"type": "user", "user_id": identifier}


def channel(identifier: str) -> Part:
    """Return a channel's name, which leads there."""
    return {"type": "channel", "channel_id": identifier}


def text_section(*parts: Part) -> Part:
    """Return a run of text. Two runs that follow each other need a line break of their own."""
    return {"type": "rich_text_section", "elements": list(parts)}


def quote_section(*parts: Part) -> Part:
    """Return a quotation, set apart by a bar."""
    return {"type": "rich_text_quote", "elements": list(parts)}


def bullets(items: Iterable[Part]) -> Part:
    """Return a list of lines."""
    return {"type": "rich_text_list", "style": "bullet", "elements": list(items)}


def rich_text_block(*elements: Part) -> Block:
    """Return a block of lines, quotations and lists."""
    return {"type": "rich_text", "elements": list(elements)}


def plain_text(text: str, *, longest: int = TEXT) -> Part:
    """Return a plain text object: no markup, no emoji by name."""
    return {"type": "plain_text", "text": clip_literal(text, longest) or "…", "emoji": False}


def section(text: str, *, accessory: Part | None = None) -> Block:
    """Return a block of plain text, with a menu or a button at its side."""
    block = {"type": "section", "text": plain_text(text)}
    return {**block, "accessory": accessory} if accessory else block


def header(text: str) -> Block:
    """Return a heading."""
    return {"type": "header", "text": plain_text(text, longest=150)}


def context(text: str) -> Block:
    """Return a line in small print."""
    return {"type": "context", "elements": [plain_text(text)]}


def button(label: str, action: str, value: str, **more: Any) -> Part:
    """Return a button; `action` is what its press is called, unique in its block."""
    text = {"type": "plain_text", "text": label[:LABEL]}
    return {"type": "button", "text": text, "action_id": action, "value": value, **more}


def web_address(url: str | None, *, longest: int = URL) -> str | None:
    """Return an address that may be a link, without characters that nobody sees; None where there is none."""
    if url is None or not is_web_url(url):
        return None
    address = "".join(_encoded(char) for char in clean_text(url))
    return address if len(address) <= longest and is_web_url(address) else None


def _encoded(char: str) -> str:
    return char if char.isprintable() else percent_encode(char)


def _styled(part: Part, style: dict[str, bool]) -> Part:
    return {**part, "style": style} if style else part
