"""Block Kit's documented limits, as tables: which texts, strings, lists and elements may stand where, and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Text:
    """A text object: its longest text, and which types may stand there."""

    longest: int
    types: tuple[str, ...] = ("plain_text",)
    required: bool = True


@dataclass(frozen=True)
class String:
    """A bare string: its longest length, or the values that it may have."""

    longest: int = 0
    values: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True)
class Many:
    """A list of 1 to `most` of what `each` says: a rule, or the set of types allowed there."""

    most: int
    each: Any
    required: bool = True


@dataclass(frozen=True)
class One:
    """An object of a type in `types`, checked by its own table."""

    types: frozenset[str]
    required: bool = False


Table = dict[str, Any]

ANY = ("plain_text", "mrkdwn")
CONFIRM: Table = {
    "title": Text(100),
    "text": Text(300, ANY),
    "confirm": Text(30),
    "deny": Text(30),
    "style": String(values=("primary", "danger")),
}
OPTION: Table = {
    "text": Text(75),
    "value": String(150, required=True),
    "description": Text(75, required=False),
}
MARKED_OPTION = OPTION | {"text": Text(75, ANY), "description": Text(75, ANY, required=False)}
OVERFLOW_OPTION = OPTION | {"url": String(3000)}
GROUP: Table = {"label": Text(75), "options": Many(100, OPTION)}
VOTE: Table = {"text": Text(75), "value": String(2000, required=True), "accessibility_label": String(75)}
ACTION: Table = {"action_id": String(255, required=True), "confirm": CONFIRM}
PLACEHOLDER: Table = {"placeholder": Text(150, required=False)}
OPTIONS: Table = {
    "options": Many(100, OPTION, required=False),
    "option_groups": Many(100, GROUP, required=False),
}
SELECTS = ("static", "external", "users", "conversations", "channels")

ELEMENTS: dict[str, Table] = {
    "button": ACTION | {"text": Text(75), "url": String(3000), "value": String(2000),
                        "style": String(values=("primary", "danger")), "accessibility_label": String(75)},
    "overflow": ACTION | {"options": Many(5, OVERFLOW_OPTION)},
    "radio_buttons": ACTION | {"options": Many(10, MARKED_OPTION)},
    "checkboxes": ACTION | {"options": Many(10, MARKED_OPTION)},
    "datepicker": ACTION | PLACEHOLDER,
    "timepicker": ACTION | PLACEHOLDER,
    "datetimepicker": ACTION,
    "plain_text_input": ACTION | PLACEHOLDER | {"initial_value": String(3000)},
    "number_input": ACTION | PLACEHOLDER,
    "email_text_input": ACTION | PLACEHOLDER,
    "url_text_input": ACTION | PLACEHOLDER,
    "rich_text_input": ACTION | PLACEHOLDER,
    "feedback_buttons": ACTION | {"positive_button": VOTE, "negative_button": VOTE},
    "icon_button": ACTION | {"icon": String(values=("trash",), required=True), "text": Text(75), "value": String(2000),
                             "accessibility_label": String(75)},
    "image": {"image_url": String(3000), "alt_text": String(2000, required=True)},
    "static_select": ACTION | PLACEHOLDER | OPTIONS,
    "multi_static_select": ACTION | PLACEHOLDER | OPTIONS,
} | {f"{many}{of}_select": ACTION | PLACEHOLDER for of in SELECTS if of != "static" for many in ("", "multi_")}  # fmt: skip

CHOICES = frozenset(name for name in ELEMENTS if name.endswith("_select"))
PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker", "radio_buttons", "checkboxes"})
TYPED = frozenset(name for name in ELEMENTS if name.endswith("_input"))

BLOCKS: dict[str, Table] = {
    "section": {"text": Text(3000, ANY, required=False), "fields": Many(10, Text(2000, ANY), required=False),
                "accessory": One(CHOICES | PICKERS | {"button", "overflow", "image"})},
    "header": {"text": Text(150)},
    "divider": {},
    "context": {"elements": Many(10, frozenset({"image", *ANY}))},
    "actions": {"elements": Many(25, CHOICES | PICKERS | {"button", "overflow"})},
    "context_actions": {"elements": Many(5, frozenset({"feedback_buttons", "icon_button"}))},
    "image": ELEMENTS["image"] | {"title": Text(2000, required=False)},
    "input": {"label": Text(2000), "hint": Text(2000, required=False),
              "element": One(CHOICES | PICKERS | TYPED, required=True)},
    "markdown": {"text": String(12_000, required=True)},
    "rich_text": {},
    "table": {},
    "video": {},
    "file": {},
    "task_card": {},
    "plan": {},
}  # fmt: skip
MESSAGES_ONLY = frozenset({"context_actions", "markdown", "file", "table", "task_card", "plan"})
MOST_BLOCKS = {"message": 50, "modal": 100, "home": 100}
MOST_MARKDOWN = 12_000
MOST_TEXT = 4_000  # of the `text` argument, as chat.update refuses more
MOST_CHARACTERS = 13_000  # of all blocks together: not documented, measured by others at 13,172 to 13,297
# Every block's text object that is neither a label nor an option.
BLOCK_TEXT: Table = {"plain_text": Text(3000), "mrkdwn": Text(3000, ANY)}

VIEW: Table = {
    "title": Text(24, required=False),
    "submit": Text(24, required=False),
    "close": Text(24, required=False),
    "private_metadata": String(3000),
    "callback_id": String(255),
    "external_id": String(255),
}
