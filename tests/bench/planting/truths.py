"""Truths: what a careful writer makes of a sentence without changing what it says."""

from __future__ import annotations

import re

from .world import Line, World, put, without_quotations

_TRAILING = re.compile(
    r", (?:which|who|whose|where|when|while|including|adding|saying|as well as|according to) [^,]+[.!?]$"
)
_PRONOUN = re.compile(
    r"(?:he|she|it|they|we|i|you|his|her|its|their|this|that|these|those|but|and|however|so)\b", re.IGNORECASE
)
_SAID_SO = re.compile(
    r"^((?:[A-Z][\w’-]+|the|of|for) ?(?:[\w’-]+ ?){0,5}?) (?:said|says) (?:on \w+day )?that ([^“”\"]+)\.$"
)
_ACCORDING = re.compile(r"^([^“”\"]+), according to ([^,“”\"]+)\.$")
_TELLING = ((r"\bsaid to (?=[A-Z])", "told "), (r"\btold (?=[A-Z]\w+ that\b)", "said to "), (r"\bsaid that\b", "stated that"),
            (r"\bsaid\b(?! in| on| of| to|\.|”)", "stated"), (r"\bsaid\b", "stated"))  # fmt: skip


def verbatim(line: Line, world: World) -> str | None:
    """Repeat the sentence."""
    return line.text


def shortened(line: Line, world: World) -> str | None:
    """Drop a clause at the end."""
    spot = _TRAILING.search(without_quotations(line.text))
    if spot is None or len(line.text[: spot.start()].split()) < 7:
        return None
    return line.text[: spot.start()] + "."


def joined(line: Line, world: World) -> str | None:
    """Join the sentence and the next one to one."""
    both = len(f"{line.text} {line.following}".split())
    if (
        not line.following
        or not line.text.endswith(".")
        or both > 50
        or re.match(r"(But|And|However|So|Or)\b|\W", line.following)
    ):
        return None
    return line.text[:-1] + world.chance.choice(("; ", ", and ")) + _lowered(line.following, world)


def attribution_moved(line: Line, world: World) -> str | None:
    """Put who says so at the other end."""
    if (match := _SAID_SO.match(line.text)) and not _PRONOUN.match(match[2]) and not _PRONOUN.match(match[1]):
        return f"{match[2][0].upper()}{match[2][1:]}, according to {_lowered(match[1], world)}."
    if (match := _ACCORDING.match(line.text)) and not _PRONOUN.match(match[1]):
        return f"According to {match[2]}, {_lowered(match[1], world)}."
    return None


def verb_reworded(line: Line, world: World) -> str | None:
    """Say "told" or "stated" for "said", outside quotations."""
    bare = without_quotations(line.text)
    for pattern, verb in _TELLING:
        if spot := re.search(pattern, bare):
            return put(line.text, spot, verb)
    return None


def _lowered(text: str, world: World) -> str:
    first = re.split(r"[\s,]", text, maxsplit=1)[0]
    return text[0].lower() + text[1:] if world.is_ordinary(first) and first != "I" else text
