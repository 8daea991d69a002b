"""Slack's documented limits on blocks and views, as tables, and the one function that walks a payload along them.

    check_blocks(blocks, surface="message")    raises Refused("invalid_blocks", …) as Slack would

What slack_sdk's own models refuse is refused too, so every payload that reaches the tests' server was checked by them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from slack_server.block_kit import (
    BLOCK_TEXT,
    BLOCKS,
    ELEMENTS,
    MESSAGES_ONLY,
    MOST_BLOCKS,
    MOST_CHARACTERS,
    MOST_MARKDOWN,
    VIEW,
    Many,
    One,
    String,
    Table,
    Text,
)
from slack_server.refusal import Refused, refuse


def check_blocks(blocks: Any, *, surface: str = "message") -> None:
    """Refuse what Slack refuses in the blocks of a message, a modal or a home tab."""
    refuse(not isinstance(blocks, list), "invalid_blocks_format", "blocks is no list")
    refuse(
        len(blocks) > MOST_BLOCKS[surface],
        "invalid_blocks",
        f"no more than {MOST_BLOCKS[surface]} items allowed",
    )
    for number, block in enumerate(blocks):
        _check_block(block, f"/blocks/{number}", surface)
    _check_unique([block["block_id"] for block in blocks if "block_id" in block], "block_id", "/blocks")
    markdown = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    refuse(markdown > MOST_MARKDOWN, "invalid_blocks", f"{markdown} characters in markdown blocks")
    _ask_sdk(blocks)
    if surface == "message":
        refuse(
            characters(blocks) > MOST_CHARACTERS, "msg_blocks_too_long", f"{characters(blocks)} characters"
        )


def check_view(view: Any, *, kinds: tuple[str, ...]) -> None:
    """Refuse what Slack refuses in a modal or a home tab."""
    refuse(not isinstance(view, dict), "invalid_arguments", "view is no object")
    kind = view.get("type")
    refuse(kind not in kinds, "invalid_arguments", f"view type {kind!r} where {kinds} may stand")
    refuse(len(json.dumps(view)) > 250_000, "view_too_large")
    _walk(view, VIEW | ({"title": Text(24)} if kind == "modal" else {}), "/view", code="invalid_arguments")
    blocks = view.get("blocks")
    check_blocks(blocks, surface=kind)
    has_input = any(block["type"] == "input" for block in blocks)
    refuse(
        kind == "modal" and has_input and "submit" not in view, "invalid_arguments", "/view/submit is missing"
    )
    try:
        View(**view).validate_json()
    except (SlackObjectFormationError, TypeError, ValueError) as exc:
        raise Refused("invalid_arguments", f"slack_sdk: {exc}") from exc


def characters(blocks: Any) -> int:
    """Count the characters of every text in blocks."""
    return sum(len(text) for text in texts(blocks))


def texts(node: Any) -> Iterator[str]:
    """Yield every text that a reader sees."""
    if isinstance(node, list):
        for item in node:
            yield from texts(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in {"text", "alt_text"} and isinstance(value, str):
                yield value
            else:
                yield from texts(value)


def _check_block(block: Any, at: str, surface: str) -> None:
    refuse(not isinstance(block, dict), "invalid_blocks_format", f"{at} is no object")
    kind = block.get("type")
    refuse(kind not in BLOCKS, "invalid_blocks", f"unsupported type: {kind} [{at}]")
    refuse(
        surface != "message" and kind in MESSAGES_ONLY, "invalid_blocks", f"{kind} only in messages [{at}]"
    )
    refuse(kind == "section" and not (block.get("text") or block.get("fields")), "invalid_blocks",
           f"a section needs text or fields [{at}]")  # fmt: skip
    _walk(block, BLOCKS[kind] | {"block_id": String(255)}, at)
    elements = [*block.get("elements", ()), block.get("accessory"), block.get("element")]
    _check_unique([item["action_id"] for item in elements if isinstance(item, dict) and "action_id" in item],
                  "action_id", at)  # fmt: skip


def _check_unique(ids: list[str], name: str, at: str) -> None:
    twice = [value for value, count in Counter(ids).items() if count > 1]
    refuse(bool(twice), "invalid_blocks", f"{name} {twice} already exists [{at}]")


def _walk(node: Any, table: Table, at: str, code: str = "invalid_blocks") -> None:
    refuse(not isinstance(node, dict), code, f"{at} is no object")
    for name, rule in table.items():
        _check(node.get(name), rule, f"{at}/{name}", code)


def _check(value: Any, rule: Any, at: str, code: str) -> None:
    required = rule.get("required", False) if isinstance(rule, dict) else getattr(rule, "required", False)
    if value is None:
        return refuse(bool(required), code, f"missing required field [{at}]")
    return _CHECKS[type(rule)](value, rule, at, code)


def _check_text(value: Any, rule: Text, at: str, code: str) -> None:
    refuse(not isinstance(value, dict) or value.get("type") not in rule.types, code,
           f"a text object of {' or '.join(rule.types)} [{at}]")  # fmt: skip
    text = value.get("text")
    refuse(not isinstance(text, str) or not text, code, f"must be more than 0 characters [{at}/text]")
    refuse(len(text) > rule.longest, code, f"must be less than {rule.longest + 1} characters [{at}/text]")
    misplaced = {"plain_text": "verbatim", "mrkdwn": "emoji"}[value["type"]]
    refuse(misplaced in value, code, f"{misplaced} does not go with {value['type']} [{at}]")


def _check_string(value: Any, rule: String, at: str, code: str) -> None:
    refuse(not isinstance(value, str), code, f"must be a string [{at}]")
    refuse(bool(rule.values) and value not in rule.values, code, f"one of {rule.values} [{at}]")
    refuse(
        rule.longest > 0 and len(value) > rule.longest,
        code,
        f"must be less than {rule.longest + 1} characters [{at}]",
    )
    refuse(rule.required and not value, code, f"must be more than 0 characters [{at}]")


def _check_many(value: Any, rule: Many, at: str, code: str) -> None:
    refuse(not isinstance(value, list) or not value, code, f"no fewer than 1 item allowed [{at}]")
    refuse(len(value) > rule.most, code, f"no more than {rule.most} items allowed [{at}]")
    for number, item in enumerate(value):
        each = One(rule.each) if isinstance(rule.each, frozenset) else rule.each
        _check(item, each, f"{at}/{number}", code)


def _check_one(value: Any, rule: One, at: str, code: str) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    refuse(kind not in rule.types, code, f"unsupported type: {kind} [{at}]")
    if kind in BLOCK_TEXT:
        _check_text(value, BLOCK_TEXT[kind], at, code)
    else:
        _walk(value, ELEMENTS[kind], at, code)


_CHECKS: dict[type, Any] = {
    Text: _check_text,
    String: _check_string,
    Many: _check_many,
    One: _check_one,
    dict: _walk,
}


def _ask_sdk(blocks: list[dict[str, Any]]) -> None:
    try:
        for block in Block.parse_all(blocks):
            refuse(block is None, "invalid_blocks", "slack_sdk knows no such block")
            block.validate_json()
            block.to_dict()
    except (SlackObjectFormationError, TypeError, ValueError) as exc:
        raise Refused("invalid_blocks", f"slack_sdk: {exc}") from exc
