"""Says whether a sentence is supported by the text it cites; coverage and rules, no entailment by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from bot.answers.alignment import Alignment, align
from bot.answers.claims.dates import dates, missing_dates
from bot.answers.claims.names import missing_names
from bot.answers.claims.numbers import missing_numbers
from bot.answers.claims.quotations import missing_quotations
from bot.articles.passages import Span, split_sentences

if TYPE_CHECKING:
    from bot.answers.entailment import Entailment
    from bot.answers.judge import Judge

Verdict = Literal["supported", "weak", "unsupported"]

_UNSUPPORTED, _SUPPORTED = 1.4, -0.75  # scores above the one and below the other
_VERBATIM_SCORE, _RULE_SCORE = -5.0, 3.0
_VERBATIM_WORDS = 4

_MARKER = re.compile(r"\s*(?:\[\^?\d+(?:\s*[,;–-]\s*\d+)*\]|【\d+[^】]{0,20}】)")
_LIST_MARK = re.compile(r"^\s*(?:[-*•#>]+\s+|\d{1,2}[.)]\s+)+")
_EMPHASIS = re.compile(r"(\*\*|__)(\S(?:.*?\S)?)\1")
_SPACES = re.compile(r"[\s\u00a0\u200b]+")
_FOLDED = str.maketrans("“”„‟«»＂‘’‚‛´`–—‑‐", '"""""""\'\'\'\'\'\'----')


@dataclass(frozen=True, slots=True)
class Support:
    """A verdict on one sentence. `score` is higher for less supported, `reason` is for people.

    `source` is the index of the text that holds the best evidence, `span` the sentence of that text.
    """

    verdict: Verdict
    score: float
    reason: str
    source: int | None = None
    span: Span | None = None


class Verifier:
    """Checks sentences against the texts they cite; an entailment model or a judge can be asked as well."""

    def __init__(self, *, entailment: Entailment | None = None, judge: Judge | None = None) -> None:
        self._entailment = entailment
        self._judge = judge

    def check(self, sentence: str, sources: Sequence[str], *, context: str = "") -> Support:
        """Judge `sentence` against all `sources` together.

        `context` is what names, numbers and dates may stand in as well: title, outlet and date of the articles.
        """
        sentence = strip_markers(sentence)
        found = _verbatim(sentence, sources)
        if found:
            return Support("supported", _VERBATIM_SCORE, "stands there word for word", *found)
        alignment = align(sentence, sources)
        return _weighed(sentence, sources, context, alignment)


def strip_markers(sentence: str) -> str:
    """Return `sentence` without citation marks, list marks and emphasis."""
    return _LIST_MARK.sub("", _EMPHASIS.sub(r"\2", _MARKER.sub("", sentence))).strip()


def _weighed(sentence: str, sources: Sequence[str], context: str, alignment: Alignment) -> Support:
    text = "\n".join(sources)
    around = f"{text}\n{context}"
    best = alignment.closest[0] if alignment.closest else None
    place = (best.source, best.span) if best else (None, None)
    names = missing_names(sentence, around)
    broken = _broken_rule(sentence, sources, text, context)
    missing = len({name.word for name in names}) + bool(broken)
    score = 3.7 - 5.0 * alignment.cov3 - 2.1 * alignment.lcs + 0.55 * min(missing, 3)
    if broken:
        return Support("unsupported", max(score, _RULE_SCORE), broken, *place)
    if names:
        return Support(
            "unsupported",
            max(score, _RULE_SCORE),
            f"the name {names[0].word} is not in the cited text",
            *place,
        )
    if score > _UNSUPPORTED:
        return Support("unsupported", score, "little of it is in the cited text", *place)
    if score > _SUPPORTED:
        return Support("weak", score, "only part of it is in the cited text", *place)
    return Support("supported", score, "its words are in the cited text", *place)


def _broken_rule(sentence: str, sources: Sequence[str], text: str, context: str) -> str:
    """Say what the sentence holds that no equal of is in the text; nothing when all is there."""
    around = f"{text}\n{context}"
    if lacking := missing_quotations(sentence, sources):
        return f"the quotation “{lacking[0].strip()}” is not in the cited text"
    if lacking := missing_dates(sentence, text, context=context):
        return f"the date {lacking[0]} is not in the cited text"
    if lacking := missing_numbers(_without_dates(sentence), _without_days(around)):
        return f"the number {lacking[0]} is not in the cited text"
    return ""


def _without_dates(text: str) -> str:
    return _blanked(text, [dated.span for dated in dates(text)])


@lru_cache(maxsize=512)
def _without_days(text: str) -> str:
    return _blanked(text, [dated.span for dated in dates(text) if dated.month])


def _blanked(text: str, spans: Sequence[Span]) -> str:
    for start, end in spans:
        text = text[:start] + ";" * (end - start) + text[end:]
    return text


def _verbatim(sentence: str, sources: Sequence[str]) -> tuple[int, Span] | None:
    """Return where `sentence` stands word for word: as a whole sentence, or as enough words of one."""
    wanted = _fold(sentence).rstrip(".!?… ")
    if not wanted:
        return None
    for at, source in enumerate(sources):
        for span in split_sentences(source):
            text = _fold(source[span.start : span.end])
            if wanted == text.rstrip(".!?… ") or (
                len(wanted.split()) >= _VERBATIM_WORDS
                and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text)
            ):
                return at, span
    return None


@lru_cache(maxsize=2048)
def _fold(text: str) -> str:
    plain = _SPACES.sub(" ", text.translate(_FOLDED)).strip()
    return plain[:1].lower() + plain[1:]
