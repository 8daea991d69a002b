"""The sentences of found passages that can be quoted: whole, of the article itself, and clear by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.answers.orders import reported
from bot.articles.passages import Span, split_sentences
from bot.retrieval.hits import Hit
from bot.text.datelines import DATELINE

_WORDS = (4, 90)  # fewer is a heading, more is a table that lost its lines
_ENDS = re.compile(r"[.!…][\"'”’)\]]*$")  # what asks answers nothing, least of all a quiz's own question
# What stands around an article: it speaks of the page, the newsletter or the picture.
_FURNITURE = re.compile(
    r"^\W*(?:read more|read the full|sign up|subscribe|click|follow us|follow @|watch:|listen:|related:|more:|"
    r"advertisement|"
    r"editor.?s note|contributing:|photo(?:graph)?s?(?: by|:| credit)|image(?: source|:| credit)|picture:|©|copyright|"
    r"this (?:story|article|page|post) (?:has been|was|is) (?:updated|corrected|published|part)|"
    r"a version of this (?:story|article)|by using this (?:site|website)|we use cookies|"
    r"(?:please )?(?:enable|accept|manage) (?:javascript|cookies)|all rights reserved|"
    r"by [A-Z][\w.’'-]+ [A-Z][\w.’'-]+(?:,| and| \|)|see the recall notice)|"
    r"\bgetty images\b|\bshutterstock\b|\bap photo\b|[\w)]/(?:ap|afp|epa|reuters)\b|\b(?:ap|afp|epa)/\w|"
    r"\b(?:sign up (?:here )?(?:for|to) (?:get |our |the |receive )|weekly newsletter\b|cookie policy|privacy policy|"
    r"(?:read|see|find) more (?:here|at|on)\b|in your inbox|delivered to your inbox)",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"^\W*(?:he|she|it|they|his|her|hers|its|their|theirs|him|them|this(?! (?:week|month|year|summer|season)\b)|"
    r"that|these|those|such|both|neither|"
    r"but|and|so|however|meanwhile|instead|also|then|therefore|moreover|the former|the latter)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a hit; `span` counts in the passage's text. `before` is the sentence before it there."""

    hit: Hit
    span: Span
    before: Span | None

    @property
    def text(self) -> str:
        """The sentence, verbatim."""
        return self.hit.passage.text[self.span.start : self.span.end]

    @property
    def points_back(self) -> bool:
        """Whether it begins with a word that only what came before explains."""
        return _points_back(self.text)

    @property
    def dangles(self) -> bool:
        """Whether it points back, and not even the sentence before it, shown as well, would explain it."""
        text, before = self.hit.passage.text, self.before
        return self.points_back and (before is None or _points_back(text[before.start : before.end]))

    @property
    def clear(self) -> Span:
        """The span that a reader understands: with the sentence before it, where that explains its beginning."""
        if not self.points_back or self.before is None:
            return self.span
        return Span(self.before.start, self.span.end)


def candidates(hits: Sequence[Hit]) -> Iterator[Candidate]:
    """Yield every sentence of these hits that can be quoted, in the order of hits and text."""
    for hit in hits:
        for span, before in _quotable(hit.passage.text):
            yield Candidate(hit, span, before)


@lru_cache(maxsize=4_096)  # passages: a team asks of the day's news, and finds the same ones again and again
def _quotable(text: str) -> tuple[tuple[Span, Span | None], ...]:
    """Return the sentences of a passage that can be quoted, each with the one before it."""
    found: list[tuple[Span, Span | None]] = []
    before = None
    for whole in split_sentences(reported(text)):
        dateline = DATELINE.match(text, whole.start, whole.end)
        span = Span(dateline.end(), whole.end) if dateline else whole
        quotable = is_quotable(text[span.start : span.end])
        if quotable:
            found.append((span, before))
        before = span if quotable else None
    return tuple(found)


def is_quotable(text: str) -> bool:
    """Say whether this is a whole sentence of an article, no heading, caption, byline or notice of the page."""
    few, many = _WORDS
    return few <= len(text.split()) <= many and bool(_ENDS.search(text)) and not _FURNITURE.search(text)


def _points_back(text: str) -> bool:
    return _POINTS_BACK.match(text) is not None
