"""Answers with lies of seven kinds among true sentences, made from nothing but the passages in a prompt.

The same prompt gives the same answer. What is called a lie is false by its making.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import lies, truths
from .world import Line, Make, World, lines_of, usable

VERBATIM, JOINED, WRONG_PASSAGE, INVENTED = "verbatim", "joined", "wrong passage", "invented"
LIES = ("wrong number", "wrong date", "altered quotation", "wrong name", WRONG_PASSAGE, INVENTED, "negated")
TRUTHS = (VERBATIM, "shortened", JOINED, "attribution moved", "verb reworded")

# In the order of choosing: what few sentences allow comes first.
_MAKES: dict[str, Make] = {
    "altered quotation": lies.altered_quotation,
    "attribution moved": truths.attribution_moved,
    "wrong date": lies.wrong_date,
    "wrong number": lies.wrong_number,
    "wrong name": lies.wrong_name,
    "negated": lies.negated,
    WRONG_PASSAGE: truths.verbatim,
    "shortened": truths.shortened,
    "verb reworded": truths.verb_reworded,
    JOINED: truths.joined,
    VERBATIM: truths.verbatim,
}


class Said(NamedTuple):
    """A sentence of an answer: of what kind, and from where."""

    kind: str
    text: str
    cited: int
    line: str  # what it was made from

    @property
    def is_lie(self) -> bool:
        return self.kind in LIES

    @property
    def marked(self) -> str:
        """The sentence with its mark, before the full stop where it ends with one."""
        inside = self.text.endswith(".")
        return f"{self.text[:-1]} [{self.cited}]." if inside else f"{self.text} [{self.cited}]"


def answer(world: World) -> list[Said]:
    """Return an answer: a sentence of each kind that these passages give, a true one first."""
    said = list(_said(lines_of(world), world))
    world.chance.shuffle(said)
    return sorted(said, key=lambda one: one.kind != VERBATIM)


def _said(lines: list[Line], world: World) -> Iterator[Said]:
    for kind, make in _MAKES.items():
        if made := next(_made(kind, make, lines, world), None):
            yield made
            lines = [line.without(made.line) for line in lines if line.text not in made.line]
    if invented := lies.invented(world):
        yield Said(INVENTED, *invented, line="")


def _made(kind: str, make: Make, lines: Sequence[Line], world: World) -> Iterator[Said]:
    for line in lines:
        text, n = make(line, world), line.passage.n
        if kind == WRONG_PASSAGE:
            n = lies.wrong_passage(line, world) or n
        changed = (text, n) != (line.text, line.passage.n)
        if text and usable(text) and (changed or kind == VERBATIM):
            yield Said(kind, text, n, f"{line.text} {line.following}" if kind == JOINED else line.text)
