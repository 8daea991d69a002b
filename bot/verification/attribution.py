"""Find the source sentences that support a claim, and repair its citations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bot.articles.chunking import Span
from bot.indexing.bm25_index import analyze
from bot.retrieval.models import NumberedPassage
from bot.verification.prompt_injection import truncate_at_injection
from bot.verification.verifier import SupportResult, Verifier

_MIN_DISTINCT_STEMS = 3  # distinct stems that a sentence needs to identify the passage that supports it


class SourceSpan(NamedTuple):
    """A sentence of a passage that supports a sentence of the answer; `span` is relative to the passage."""

    source: NumberedPassage
    span: Span

    @property
    def in_article(self) -> Span:
        """The span relative to the article's text."""
        at = self.source.hit.passage.start
        return Span(at + self.span.start, at + self.span.end)


class Attribution(NamedTuple):
    """Support of a sentence by its passages.

    Args:
        support: the result of the verifier, or None if the sentence cites nothing and no passage supports it.
        places: the supporting source sentences; empty if the sentence is not supported.
    """

    support: SupportResult | None
    places: list[SourceSpan]


class Attributor:
    """Check sentences against passages and correct their citations."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def attribute(
        self, sentence: str, cited: Sequence[NumberedPassage], found: Sequence[NumberedPassage]
    ) -> Attribution:
        """Check a sentence against its cited passages together, and if they do not support it, against each other one.

        Another passage replaces the citations only if its verdict is "supported".

        Args:
            sentence: the sentence, with or without citation markers.
            cited: the passages that the sentence cites.
            found: all retrieved passages.
        """
        support = self._check(sentence, cited) if cited else None
        is_plain = support is not None and support.verdict == "supported"
        if not is_plain and len(set(analyze(sentence))) >= _MIN_DISTINCT_STEMS:
            others = [(source, self._check(sentence, [source])) for source in found if source not in cited]
            supporting = [pair for pair in others if pair[1].verdict == "supported"]
            if supporting:
                better = min(supporting, key=lambda pair: pair[1].score)
                return Attribution(better[1], [_to_source_span(*better)])
        if support is None or support.verdict == "unsupported":
            return Attribution(support, [])
        return Attribution(support, self._needed_citations(sentence, cited, support))

    def _needed_citations(
        self, sentence: str, cited: Sequence[NumberedPassage], together: SupportResult
    ) -> list[SourceSpan]:
        """Return the source sentences of the cited passages that are needed.

        A passage is needed if it yields the verdict of all cited passages on its own. If none does, the two best
        passages are kept.
        """
        if len(cited) == 1:
            return [_to_source_span(cited[0], together)]
        alone = [(source, self._check(sentence, [source])) for source in cited]
        supporting = [pair for pair in alone if pair[1].verdict == together.verdict]
        kept = supporting or sorted(alone, key=lambda pair: pair[1].score)[:2]
        return [_to_source_span(*pair) for pair in kept]

    def _check(self, sentence: str, cited: Sequence[NumberedPassage]) -> SupportResult:
        context = "\n".join(truncate_at_injection(source.hit.header) for source in cited)
        return self._verifier.check(sentence, [source.text for source in cited], context=context)


def _to_source_span(source: NumberedPassage, support: SupportResult) -> SourceSpan:
    return SourceSpan(source, support.span or Span(0, len(source.text)))
