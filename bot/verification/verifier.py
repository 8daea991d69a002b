"""Says whether a sentence is supported by the text it cites: by rules and coverage, and by a model where one is set."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from bot.articles.chunking import Span
from bot.indexing.bm25_index import analyze
from bot.verification.claims.missing import find_missing
from bot.verification.claims.names import Name, is_substituted_name, missing_names, names
from bot.verification.claims.negation import has_modality_mismatch, has_negation_mismatch
from bot.verification.claims.quotations import find_verbatim
from bot.verification.coverage import Alignment, SourceSentence, align, stems_of, with_neighbours

if TYPE_CHECKING:
    from bot.verification.llm_judge import SupportJudge
    from bot.verification.nli import NliModel, NliScores

Verdict = Literal["supported", "weak", "unsupported"]

UNSUPPORTED, SUPPORTED = 1.6, -0.5  # scores above the one and below the other
_BANDS: dict[Verdict, tuple[float, float]] = {
    "supported": (-math.inf, SUPPORTED),
    "weak": (SUPPORTED, UNSUPPORTED),
    "unsupported": (UNSUPPORTED + 0.01, math.inf),
}
_VERBATIM_SCORE = -8.0
_HALF = 0.5
_FEWEST = 4  # words of what can be weighed: "Argentina." stands in every text that names it
_FEW, _TOLD = 2, 0.3  # words besides names that say something, and the share of them that has to be there
_MOST = 3  # missing names or claims beyond which more say nothing new

_MARKER = re.compile(r"\s*(?:\[\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]|【\d+[^】]{0,20}】)")
_LIST_MARK = re.compile(r"^\s*(?:[-*•#>]+\s+|\d{1,2}[.)]\s+)+")
_EMPHASIS = re.compile(r"(\*\*|__)(\S(?:.*?\S)?)\1")


class SupportFeatures(NamedTuple):
    """What a logistic model weighs: how many names and claims are missing, and `alignment.Coverage`."""

    names: float
    claims: float
    stems: float
    near: float
    together: float
    phrases: float

    @property
    def score(self) -> float:
        """The logarithm of the odds against the sentence, fitted by tests/bench/fit_support.py."""
        return _BIAS + sum(weight * value for weight, value in zip(_WEIGHTS, self, strict=True))


_WEIGHTS, _BIAS = SupportFeatures(0.83, 1.38, -2.33, -1.2, -0.7, -0.69), 2.6


@dataclass(frozen=True, slots=True)
class SupportResult:
    """A verdict on one sentence. `score` is higher for less supported, `reason` is for people.

    `source` is the index of the text that holds the best evidence, `span` the sentence of that text.
    """

    verdict: Verdict
    score: float
    reason: str
    source: int | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class _Analysis:
    """All that is known of a sentence before the verdict."""

    alignment: Alignment
    names: list[Name]
    lacking: list[str]
    told: float  # of what is said of the names, the share that is there too

    @property
    def evidence(self) -> SupportFeatures:
        """The findings as numbers."""
        missing = min(len({name.word for name in self.names}), _MOST)
        return SupportFeatures(missing, min(len(self.lacking), _MOST), *self.alignment.coverage)


class Verifier:
    """Checks sentences against the texts they cite; an entailment model and a judge can be asked as well."""

    def __init__(self, *, entailment: NliModel | None = None, judge: SupportJudge | None = None) -> None:
        self._entailment = entailment
        self._judge = judge

    def check(self, sentence: str, sources: Sequence[str], *, context: str = "") -> SupportResult:
        """Judge `sentence` against all `number_passages` together.

        `context` is what names, numbers and dates may stand in as well: title, outlet and date of the articles.
        """
        sentence = strip_markers(sentence)
        if found := find_verbatim(sentence, sources):
            return SupportResult("supported", _VERBATIM_SCORE, "it stands there word for word", *found)
        findings = _analyze(sentence, sources, context)
        support = _verdict_from_score(sentence, findings)
        if broken := _violated_rule(sentence, "\n".join(sources), findings):
            return _override(support, "unsupported", broken)
        if support.verdict != "unsupported" and len(sentence.split()) < _FEWEST:
            return _override(support, "unsupported", "it is too short to be checked")
        if support.verdict == "supported" and (far := _distant_match(sentence, sources, findings, context)):
            support = _override(support, "weak", f"{far} stands elsewhere in the cited text")
        if self._entailment:
            support = _entailed(support, self._entailment(sentence, sources))
        # What would be dropped anyway need not be judged: the judge lifts what is weak, and no more.
        if self._judge and support.verdict != "unsupported":
            support = _judged(support, self._judge(sentence, sources))
        return support


def strip_markers(sentence: str) -> str:
    """Return `sentence` without citation marks, list marks and emphasis."""
    return _LIST_MARK.sub("", _EMPHASIS.sub(r"\2", _MARKER.sub("", sentence))).strip()


def extract_features(sentence: str, sources: Sequence[str], *, context: str = "") -> SupportFeatures:
    """Return the evidence on `sentence`, to fit the weights by."""
    return _analyze(strip_markers(sentence), sources, context).evidence


def _analyze(sentence: str, sources: Sequence[str], context: str) -> _Analysis:
    return _Analysis(
        align(sentence, sources),
        missing_names(sentence, "\n".join([*sources, context])),
        find_missing(sentence, sources, context=context),
        _content_word_coverage(sentence, sources),
    )


def _content_word_coverage(sentence: str, sources: Sequence[str]) -> float:
    """Return the share of a sentence's words besides its names that `number_passages` have; 1 for less than two."""
    named = {stem for name in names(sentence) for stem in analyze(name.word)}
    words = {stem for stem in analyze(sentence) if stem not in named and not stem[0].isdigit()}
    if not named or len(words) < _FEW:
        return 1.0
    there = words.intersection(stem for source in sources for stem in stems_of(source))
    return sum(map(len, there)) / sum(map(len, words))


def _verdict_from_score(sentence: str, findings: _Analysis) -> SupportResult:
    """Return the verdict of the score; a missing name or a plan told as done is no better than weak."""
    best, score = findings.alignment.best, findings.evidence.score
    place = (best.source, best.span) if best else (None, None)
    if score > UNSUPPORTED:
        return SupportResult("unsupported", score, "little of it is in the cited text", *place)
    if findings.told < _TOLD:
        reason = "hardly more than its names is in the cited text"
        return SupportResult("unsupported", UNSUPPORTED + 0.01, reason, *place)
    if findings.names:
        reason = f"the name {findings.names[0].word} is not in the cited text"
        return SupportResult("weak", max(score, SUPPORTED), reason, *place)
    if any(has_modality_mismatch(sentence, other.text) for other in findings.alignment.close_matches):
        reason = "the cited text says it is planned, expected or possible"
        return SupportResult("weak", max(score, SUPPORTED), reason, *place)
    if score > SUPPORTED:
        return SupportResult("weak", score, "only part of it is in the cited text", *place)
    return SupportResult("supported", score, "its words are in the cited text", *place)


def _violated_rule(sentence: str, text: str, findings: _Analysis) -> str:
    """Say which rule drops the sentence whatever its score; nothing when none does."""
    if findings.lacking:
        return f"{findings.lacking[0]} is not in the cited text"
    best = findings.alignment.best
    if best is None:
        return ""
    for name in findings.names:
        if _names_another(best, sentence) or is_substituted_name(name, sentence, text):
            return f"the name {name.word} is not in the cited text"
    if swapped := _swapped_name(sentence, findings.alignment.close_matches):
        return f"the cited text says it of another than {swapped}"
    if any(has_negation_mismatch(sentence, other.text) for other in findings.alignment.close_matches):
        return "it denies what the cited text says, or says what that denies"
    return ""


def _distant_match(sentence: str, sources: Sequence[str], findings: _Analysis, context: str) -> str:
    """Return a number or date that is not in the closest sentence or beside it: it may be of something else."""
    best = findings.alignment.best
    if best is None:
        return ""
    near = with_neighbours(sources[best.source], best.span)
    return next(iter(find_missing(sentence, [near], context=context)), "")


def _swapped_name(sentence: str, parallel: Sequence[SourceSentence]) -> str:
    """Return a name that none of the parallel sentences has, and each has another in its place."""
    missing = [{name.word: name for name in missing_names(sentence, other.text)} for other in parallel]
    for word, name in missing[0].items() if missing else ():
        if all(
            word in lacking_there and is_substituted_name(name, sentence, other.text)
            for lacking_there, other in zip(missing, parallel, strict=True)
        ):
            return word
    return ""


def _names_another(best: SourceSentence, sentence: str) -> bool:
    """Say whether the closest sentence has a name that `sentence` has not: then a missing one took its place."""
    said = sentence.casefold()
    return any(not name.initial and name.word.casefold() not in said for name in names(best.text))


def _entailed(support: SupportResult, found: NliScores) -> SupportResult:
    """Let the entailment model decide where no rule has."""
    if found.entailed >= _HALF:
        return _override(support, "supported", "an entailment model finds it in the cited text")
    if found.contradicted >= _HALF:
        return _override(support, "unsupported", "an entailment model finds the opposite in the cited text")
    verdict: Verdict = "weak" if support.verdict == "supported" else "unsupported"
    return _override(support, verdict, "an entailment model does not find it in the cited text")


def _judged(support: SupportResult, answer: bool | None) -> SupportResult:
    if answer is False:
        return _override(support, "unsupported", "the judging model does not find it in the cited text")
    if answer and support.verdict == "weak":
        return _override(support, "supported", "the judging model finds it in the cited text")
    return support


def _override(support: SupportResult, verdict: Verdict, reason: str) -> SupportResult:
    """Return `support` with another verdict, and its score within what that verdict has."""
    low, high = _BANDS[verdict]
    return replace(support, verdict=verdict, score=min(max(support.score, low), high), reason=reason)
