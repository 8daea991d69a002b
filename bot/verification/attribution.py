"""Finds what a sentence stands on: the passages it cites, or another one that carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bot.articles.chunking import Span
from bot.indexing.bm25_index import analyze
from bot.retrieval.models import NumberedPassage
from bot.verification.prompt_injection import truncate_at_injection
from bot.verification.verifier import SupportResult, Verifier

_DISTINCT = 3  # stems by which the passage that carries a sentence can be told from others


class SourceSpan(NamedTuple):
    """A sentence of a passage, to be shown beside the one that it supports; `span` counts in the passage."""

    source: NumberedPassage
    span: Span

    @property
    def in_article(self) -> Span:
        """The span in the article's text."""
        at = self.source.hit.passage.start
        return Span(at + self.span.start, at + self.span.end)


class Attribution(NamedTuple):
    """What the verifier says of a sentence, and where it stands; nowhere, where it is not supported."""

    support: SupportResult | None
    places: list[SourceSpan]


class Attributor:
    """Checks sentences against passages, and corrects their citations."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    def attribute(
        self, sentence: str, cited: Sequence[NumberedPassage], found: Sequence[NumberedPassage]
    ) -> Attribution:
        """Check a sentence against the passages it cites together, and where they do not carry it, against each other.

        Another passage takes their place only if it supports the sentence plainly.
        """
        support = self._check(sentence, cited) if cited else None
        is_plain = support is not None and support.verdict == "supported"
        if not is_plain and len(set(analyze(sentence))) >= _DISTINCT:
            others = [(source, self._check(sentence, [source])) for source in found if source not in cited]
            carrying = [pair for pair in others if pair[1].verdict == "supported"]
            if carrying:
                better = min(carrying, key=lambda pair: pair[1].score)
                return Attribution(better[1], [_place(*better)])
        if support is None or support.verdict == "unsupported":
            return Attribution(support, [])
        return Attribution(support, self._needed_citations(sentence, cited, support))

    def _needed_citations(
        self, sentence: str, cited: Sequence[NumberedPassage], together: SupportResult
    ) -> list[SourceSpan]:
        """Leave out cited passages that add nothing: the others carry the sentence as well without them."""
        if len(cited) == 1:
            return [_place(cited[0], together)]
        alone = [(source, self._check(sentence, [source])) for source in cited]
        carrying = [pair for pair in alone if pair[1].verdict == together.verdict]
        kept = carrying or sorted(alone, key=lambda pair: pair[1].score)[:2]
        return [_place(*pair) for pair in kept]

    def _check(self, sentence: str, cited: Sequence[NumberedPassage]) -> SupportResult:
        context = "\n".join(truncate_at_injection(source.hit.header) for source in cited)
        return self._verifier.check(sentence, [source.text for source in cited], context=context)


def _place(source: NumberedPassage, support: SupportResult) -> SourceSpan:
    return SourceSpan(source, support.span or Span(0, len(source.text)))
