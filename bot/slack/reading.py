"""What a person wrote in Slack: its words as a question, and whom it mentions."""

from __future__ import annotations

import html
import re

from bot.slack.text import visible

_TOKEN = re.compile(r"<([^<>]*)>")
_CODE = re.compile(r"`+")
_QUOTE = re.compile(r"^(?:&gt;|>)+[ \t]?", re.MULTILINE)
# A mark's text holds none of its own kind: each look ends at the next one, however many are never closed.
_EMPHASIS = re.compile(r"(?<![\w*_~])([*_~])(?=\S)((?:(?!\1)[^\n])+)(?<=\S)\1(?![\w*_~])")
_ENTITY = re.compile(r"&(?:lt|gt|amp);")  # the only ones that Slack writes
_MENTION = re.compile(
    r"<@([UW]\w+)(?:\|[^<>]*)?>|<!subteam\^(S\w+)[^<>]*>|<!(here|channel|everyone)(?:\|[^<>]*)?>"
)
_LEAD = re.compile(r"^[\s,:;–—-]+")

# What stands for a thing without a label; a call to everybody is no word of a question.
_NEUTRAL = {"@": "somebody", "#": "the channel", "!subteam": "the group"}


def words_of(text: str, me: str) -> str:
    """Return the plain words of a message: mentions of `me`, code marks, quote marks and markup are taken out.

    Mentions and links become their labels. Entities are read once, and last: what only looks like a mention
    stays words.
    """
    bare = _TOKEN.sub(lambda match: _label(match[1], me), text)
    bare = _QUOTE.sub("", _CODE.sub("", bare))
    for _ in range(3):  # emphasis within emphasis
        bare = _EMPHASIS.sub(r"\2", bare)
    words = _ENTITY.sub(lambda match: html.unescape(match[0]), bare)
    return visible(_LEAD.sub("", words))


def mentioned(text: str) -> frozenset[str]:
    """Return the ids of people (U…, W…) and groups (S…) that a message mentions, and "here" and the like."""
    return frozenset(found for match in _MENTION.finditer(text) for found in match.groups() if found)


def _label(token: str, me: str) -> str:
    name, _, label = token.partition("|")
    if me and name == f"@{me}":
        return " "
    if label:
        return label.removeprefix("@")
    if name[:1] == "!":
        return _NEUTRAL.get(name.partition("^")[0], "")
    return _NEUTRAL.get(name[:1], name.removeprefix("mailto:") if name.startswith("mailto:") else "the link")
