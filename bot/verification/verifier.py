"""Score how well cited text supports a sentence: strict rules, then lexical coverage, then optional models."""

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
from bot.verification.coverage import Alignment, SourceSentence, align, all_stems, with_neighbors

if TYPE_CHECKING:
    from bot.verification.llm_judge import SupportJudge
    from bot.verification.nli import NliModel, NliScores

Verdict = Literal["supported", "weak", "unsupported"]

UNSUPPORTED, SUPPORTED = 1.6, -0.5  # scores above the first and below the second
_BANDS: dict[Verdict, tuple[float, float]] = {
    "supported": (-math.inf, SUPPORTED),
    "weak": (SUPPORTED, UNSUPPORTED),
    "unsupported": (UNSUPPORTED + 0.01, math.inf),
}
_VERBATIM_SCORE = -8.0
_NLI_THRESHOLD = 0.5
_MIN_WORDS = 4  # of a sentence that can be scored: "Argentina." is in every text that mentions it
_MIN_CONTENT_WORDS, _MIN_CONTENT_COVERAGE = 2, 0.3  # content words are all except names
_MAX_MISSING = 3  # missing names or claims; more of them add no information

_MARKER = re.compile(r"\s*(?:\[\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]|【\d+[^】]{0,20}】)")
_LIST_MARK = re.compile(r"^\s*(?:[-*•#>]+\s+|\d{1,2}[.)]\s+)+")
_EMPHASIS = re.compile(r"(\*\*|__)(\S(?:.*?\S)?)\1")


class SupportFeatures(NamedTuple):
    """Features of the logistic model: the numbers of missing names and claims, and the fields of `Coverage`."""

    names: float
    claims: float
    stems: float
    near: float
    together: float
    phrases: float

    @property
    def score(self) -> float:
        """The log-odds that the sentence is not supported, fitted by tests/bench/fit_support.py."""
        return _BIAS + sum(weight * value for weight, value in zip(_WEIGHTS, self, strict=True))


_WEIGHTS, _BIAS = SupportFeatures(0.83, 1.38, -2.33, -1.2, -0.7, -0.69), 2.6


@dataclass(frozen=True, slots=True)
class SupportResult:
    """A verdict on one sentence.

    Args:
        verdict: the verdict.
        score: log-odds that the sentence is not supported: higher is less supported.
        reason: explanation for users.
        source: index of the text with the best evidence.
        span: span of the best sentence in that text.
    """

    verdict: Verdict
    score: float
    reason: str
    source: int | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class _Analysis:
    """Findings on a sentence before the verdict.

    Args:
        alignment: alignment with the source sentences.
        names: names that the cited text does not contain.
        missing: quotations, dates and numbers that the cited text does not contain.
        content_coverage: share of the content words (all except names) that the cited text contains.
    """

    alignment: Alignment
    names: list[Name]
    missing: list[str]
    content_coverage: float

    @property
    def evidence(self) -> SupportFeatures:
        """The findings as features of the logistic model."""
        name_count = min(len({name.word for name in self.names}), _MAX_MISSING)
        return SupportFeatures(name_count, min(len(self.missing), _MAX_MISSING), *self.alignment.coverage)


class Verifier:
    """Check sentences against the texts they cite.

    Args:
        entailment: optional NLI model that decides unless a rule has decided.
        judge: optional judge that can change a weak or supported verdict.
    """

    def __init__(self, *, entailment: NliModel | None = None, judge: SupportJudge | None = None) -> None:
        self._entailment = entailment
        self._judge = judge

    def check(self, sentence: str, sources: Sequence[str], *, context: str = "") -> SupportResult:
        """Check `sentence` against all `sources` together.

        Args:
            sentence: the sentence, with or without citation markers.
            sources: the cited texts.
            context: text in which names, numbers and dates also count as present: title, source and date of the
                articles.
        """
        sentence = strip_markers(sentence)
        if found := find_verbatim(sentence, sources):
            return SupportResult("supported", _VERBATIM_SCORE, "it stands there word for word", *found)
        findings = _analyze(sentence, sources, context)
        support = _verdict_from_score(sentence, findings)
        if broken := _find_violated_rule(sentence, "\n".join(sources), findings):
            return _override(support, "unsupported", broken)
        if support.verdict != "unsupported" and len(sentence.split()) < _MIN_WORDS:
            return _override(support, "unsupported", "it is too short to be checked")
        if support.verdict == "supported" and (
            far := _find_distant_match(sentence, sources, findings, context)
        ):
            support = _override(support, "weak", f"{far} stands elsewhere in the cited text")
        if self._entailment:
            support = _apply_entailment(support, self._entailment(sentence, sources))
        # Unsupported sentences are dropped anyway and need no judge: it only raises weak verdicts or rejects sentences.
        if self._judge and support.verdict != "unsupported":
            support = _apply_judgment(support, self._judge(sentence, sources))
        return support


def strip_markers(sentence: str) -> str:
    """Return `sentence` without citation markers, list markers and emphasis."""
    return _LIST_MARK.sub("", _EMPHASIS.sub(r"\2", _MARKER.sub("", sentence))).strip()


def extract_features(sentence: str, sources: Sequence[str], *, context: str = "") -> SupportFeatures:
    """Return the features of `sentence`, to fit the weights."""
    return _analyze(strip_markers(sentence), sources, context).evidence


def _analyze(sentence: str, sources: Sequence[str], context: str) -> _Analysis:
    return _Analysis(
        align(sentence, sources),
        missing_names(sentence, "\n".join([*sources, context])),
        find_missing(sentence, sources, context=context),
        _content_word_coverage(sentence, sources),
    )


def _content_word_coverage(sentence: str, sources: Sequence[str]) -> float:
    """Return the share of a sentence's words except names that `sources` contain, or 1 if there are fewer than two."""
    named = {stem for name in names(sentence) for stem in analyze(name.word)}
    words = {stem for stem in analyze(sentence) if stem not in named and not stem[0].isdigit()}
    if not named or len(words) < _MIN_CONTENT_WORDS:
        return 1.0
    there = words.intersection(stem for source in sources for stem in all_stems(source))
    return sum(map(len, there)) / sum(map(len, words))


def _verdict_from_score(sentence: str, findings: _Analysis) -> SupportResult:
    """Return the verdict for the score; a missing name or a plan reported as done is at best weak."""
    best, score = findings.alignment.best, findings.evidence.score
    place = (best.source, best.span) if best else (None, None)
    if score > UNSUPPORTED:
        return SupportResult("unsupported", score, "little of it is in the cited text", *place)
    if findings.content_coverage < _MIN_CONTENT_COVERAGE:
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


def _find_violated_rule(sentence: str, text: str, findings: _Analysis) -> str:
    """Return the reason if a rule rejects the sentence regardless of its score, else an empty string."""
    if findings.missing:
        return f"{findings.missing[0]} is not in the cited text"
    best = findings.alignment.best
    if best is None:
        return ""
    for name in findings.names:
        if _contains_other_name(best, sentence) or is_substituted_name(name, sentence, text):
            return f"the name {name.word} is not in the cited text"
    if swapped := _find_swapped_name(sentence, findings.alignment.close_matches):
        return f"the cited text says it of another than {swapped}"
    if any(has_negation_mismatch(sentence, other.text) for other in findings.alignment.close_matches):
        return "it denies what the cited text says, or says what that denies"
    return ""


def _find_distant_match(sentence: str, sources: Sequence[str], findings: _Analysis, context: str) -> str:
    """Return a number or date that is not in or next to the closest sentence: it may refer to something else."""
    best = findings.alignment.best
    if best is None:
        return ""
    near = with_neighbors(sources[best.source], best.span)
    return next(iter(find_missing(sentence, [near], context=context)), "")


def _find_swapped_name(sentence: str, close_matches: Sequence[SourceSentence]) -> str:
    """Return a name that no close match contains and that each of them replaces by another name."""
    missing = [{name.word: name for name in missing_names(sentence, other.text)} for other in close_matches]
    for word, name in missing[0].items() if missing else ():
        if all(
            word in missing_there and is_substituted_name(name, sentence, other.text)
            for missing_there, other in zip(missing, close_matches, strict=True)
        ):
            return word
    return ""


def _contains_other_name(best: SourceSentence, sentence: str) -> bool:
    """Return True if the closest sentence has a name that `sentence` lacks: a missing name then replaced it."""
    said = sentence.casefold()
    return any(not name.initial and name.word.casefold() not in said for name in names(best.text))


def _apply_entailment(support: SupportResult, found: NliScores) -> SupportResult:
    """Return the verdict of the entailment model, which decides unless a rule has decided."""
    if found.entailed >= _NLI_THRESHOLD:
        return _override(support, "supported", "an entailment model finds it in the cited text")
    if found.contradicted >= _NLI_THRESHOLD:
        return _override(support, "unsupported", "an entailment model finds the opposite in the cited text")
    verdict: Verdict = "weak" if support.verdict == "supported" else "unsupported"
    return _override(support, verdict, "an entailment model does not find it in the cited text")


def _apply_judgment(support: SupportResult, answer: bool | None) -> SupportResult:
    if answer is False:
        return _override(support, "unsupported", "the judging model does not find it in the cited text")
    if answer and support.verdict == "weak":
        return _override(support, "supported", "the judging model finds it in the cited text")
    return support


def _override(support: SupportResult, verdict: Verdict, reason: str) -> SupportResult:
    """Return `support` with another verdict, its score clipped to the range of that verdict."""
    low, high = _BANDS[verdict]
    return replace(support, verdict=verdict, score=min(max(support.score, low), high), reason=reason)
