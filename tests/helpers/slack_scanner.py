"""Reads what is sent to Slack as Slack would, knowing nothing of how it was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.models.blocks import Block

_JOINER = "\u2060"
_HIDDEN = set("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_MENTIONS = ("user", "usergroup", "broadcast", "channel", "team", "date")
_LEAVES = ("text", "link", *_MENTIONS)


@dataclass
class Seen:
    """All that a payload holds: texts as they are shown, and what can be followed or rings a bell."""

    texts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    mentions: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        return bare("\n".join(self.texts))


def bare(text: str) -> str:
    """What a person sees of a text: joiners are invisible."""
    return text.replace(_JOINER, "")


def scan(payload: Any) -> Seen:
    """Walk blocks, elements and text objects; anything unknown fails."""
    seen = Seen()
    for part in _parts(payload):
        kind = part.get("type")
        if kind == "mrkdwn":
            read = read_mrkdwn(part["text"])
            seen.texts.append(read.texts[0])
            seen.links += read.links
            seen.mentions += read.mentions
        elif kind in ("plain_text", "text"):
            seen.texts.append(part["text"])
        elif kind == "link":
            seen.texts.append(part["text"])
            seen.links.append(part["url"])
        elif kind in _MENTIONS:
            seen.mentions.append(json.dumps(part))
        elif isinstance(part.get("url"), str):
            seen.links.append(part["url"])
    return seen


def read_mrkdwn(text: str) -> Seen:
    """Read mrkdwn as Slack does: tokens in angle brackets, three entities, nothing else special."""
    seen, shown, at = Seen(), "", 0
    while at < len(text):
        char = text[at]
        if char == "<":
            end = text.index(">", at)
            name, _, label = text[at + 1 : end].partition("|")
            (seen.mentions if name[:1] in "@#!" else seen.links).append(name)
            shown, at = shown + (label or name), end + 1
        elif char == "&":
            entity = next(known for known in ("&amp;", "&lt;", "&gt;") if text.startswith(known, at))
            shown, at = shown + {"&amp;": "&", "&lt;": "<", "&gt;": ">"}[entity], at + len(entity)
        else:
            assert char != ">", f"a bare > in {text!r}"
            shown, at = shown + char, at + 1
    seen.texts.append(shown)
    return seen


def read_markdown(text: str) -> str:
    """What is shown of Markdown without any markup: backslashes are gone. Fails where there is markup."""
    shown, at = "", 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            assert text[at] in "\\`*_~[]|<", f"a bare backslash in {text!r}"
        else:
            assert text[at] not in "`*_~[]|<", f"markup in {text!r}"
        shown, at = shown + text[at], at + 1
    assert not re.search(r"<[!@#/?a-z]|&#?\w+;|^\s*([>#+=-]|\d+[.)])\s", text, re.I), f"markup in {text!r}"
    return shown


def assert_harmless(text: str) -> None:
    """Fail where a shown text would ring a bell, be a link or an emoji, or turn what stands around it."""
    assert not re.search(r"<[!@#]", text), text
    assert not re.search(r"\w://|\bwww\.\w|\b(mailto|tel|slack|javascript):\w", text, re.I), text
    assert not re.search(r"(?<!\w)@(channel|here|everyone|[A-Z])|[@#]\w", text), text
    assert not re.search(r"[^\W_][.。][a-z]{2,}", text), text
    assert not re.search(r":[a-z0-9_+'-]+:", text), text
    assert not re.search(r"&(lt|gt|amp|#\d+|#x[0-9a-f]+);", text), text
    assert not _HIDDEN & set(text), text
    assert all(char in "\n" or (char >= " " and not "\x7f" <= char <= "\x9f") for char in text), text
    text.encode()  # no lone surrogates


def assert_takeable(blocks: Any, *, most: int = 50, room: int | None = 12_000) -> None:
    """Fail where Slack would refuse these blocks: by its SDK's own models, and by its documented limits."""
    assert 0 < len(blocks) <= most
    parsed = Block.parse_all(list(blocks))
    assert len(parsed) == len(blocks)
    for block in parsed:
        block.validate_json()
        block.to_dict()
    if room:
        assert len(json.dumps(blocks, ensure_ascii=False).encode()) <= room
        assert sum(len(part["text"]) for part in _parts(blocks) if isinstance(part.get("text"), str)) <= room
    actions = [part["action_id"] for part in _parts(blocks) if "action_id" in part]
    assert all(len(action) <= 255 for action in actions)
    for part in _parts(blocks):
        _assert_part(part)


def _assert_part(part: dict[str, Any]) -> None:
    kind, text = part.get("type"), part.get("text")
    if isinstance(text, str) and kind in (*_LEAVES, "plain_text", "mrkdwn"):
        assert 1 <= len(text) <= 3_000
    if kind == "plain_text" and "emoji" in part:
        assert part["emoji"] is False
    if kind == "mrkdwn":
        assert part["verbatim"] is True
    if kind == "link":
        assert len(part["url"]) <= 3_000
    elements = part.get("elements", ())
    limits = {"context": 10, "actions": 25, "context_actions": 5}
    assert len(elements) <= limits.get(str(kind), 1_000)
    assert kind not in limits or elements
    ids = [element["action_id"] for element in elements if "action_id" in element]
    assert len(ids) == len(set(ids)), "an action id twice in a block"
    if kind == "overflow":
        assert 1 <= len(part["options"]) <= 5
    if kind == "button":
        assert len(part["value"]) <= 2_000
        assert len(part["text"]["text"]) <= 75
    if "options" in part:
        for option in part["options"]:
            assert len(option["text"]["text"]) <= 75
            assert len(option["value"]) <= 150


def _parts(payload: Any) -> Iterator[dict[str, Any]]:
    if isinstance(payload, dict):
        yield payload
        for value in payload.values():
            yield from _parts(value)
    elif isinstance(payload, list | tuple):
        for value in payload:
            yield from _parts(value)
