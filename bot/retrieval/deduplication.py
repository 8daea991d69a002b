"""Takes what several outlets carry for one story: cited once, from the article that the library has known longest.

Who copies an article, and tunes or backdates the copy, cannot take its place: when the library met it, no author
writes. What came in within one hour, as archives do, is ordered by its date of publication. Sentence by sentence: an
outlet is named only beside what it says itself, and what an earlier one does not say stays a hit of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bot.articles.article import Article
from bot.articles.chunking import Passage, Span, split_sentences
from bot.indexing.filters import SearchFilters
from bot.indexing.story_clusters import ClusterMember, StoryClusters
from bot.retrieval.models import Hit
from bot.storage.article_store import ArticleStore
from bot.storage.models import ArticleSummary, PendingVersion
from bot.text.shingles import contains_sentence, negations, overlap, words

_MEMBERS = 12  # articles of one story that are read for one question
_NO_DATE = datetime.max.replace(tzinfo=UTC)


def collapse_copies(
    question: str, hits: Sequence[Hit], stories: StoryClusters, library: ArticleStore, filters: SearchFilters
) -> Iterator[Hit]:
    """Yield the hits, best first, with what one story says at several outlets said by one of them."""
    carriers = stories.clusters_of(hit.passage.article_id for hit in hits)
    told = _told(hits, carriers, library, filters) if carriers else {}
    asked, seen = words(question), set[str]()
    for hit in hits:
        carrier = carriers.get(hit.passage.article_id)
        parts = told[carrier.story].resolve(hit) if carrier else ()
        # Of several parts that with more of the question's words is likelier what was found.
        for one in sorted(parts, key=lambda part: -len(asked & words(part.passage.text))) or (hit,):
            if one.passage.id not in seen:
                seen.add(one.passage.id)
                yield one


def _told(
    hits: Sequence[Hit], carriers: Mapping[str, ClusterMember], library: ArticleStore, filters: SearchFilters
) -> dict[str, _StoryCluster]:
    """Return these stories, each with the articles that may be searched, the one known longest first."""
    chosen = defaultdict[str, dict[str, None]](dict)
    for article_id in (*(hit.passage.article_id for hit in hits), *sorted(carriers)):
        carrier = carriers.get(article_id)
        if carrier and len(chosen[carrier.story]) < _MEMBERS:
            chosen[carrier.story][article_id] = None
    found = list(library.iter_versions(article_id for together in chosen.values() for article_id in together))
    found.sort(key=lambda draft: _rank(draft.article, carriers[draft.article.id]))
    drafts = defaultdict[str, list[PendingVersion]](list)
    for draft in found:
        article = draft.article
        if filters.matches(article.published, article.source, article.tags):
            drafts[carriers[article.id].story].append(draft)
    return {story: _StoryCluster(drafts[story]) for story in chosen}


def _rank(article: Article, carrier: ClusterMember) -> tuple[str, datetime, str]:
    return carrier.since, article.published or _NO_DATE, article.id


class _StoryCluster:
    """One story as its outlets print it, in the order in which they are believed to have had it."""

    def __init__(self, drafts: Sequence[PendingVersion]) -> None:
        self._drafts = drafts
        self._places = {draft.article.id: place for place, draft in enumerate(drafts)}
        self._parts: dict[str, Passage | None] = {}

    def resolve(self, hit: Hit) -> Iterator[Hit]:
        """Yield what stands for a hit: passages of earlier articles that say the same, and what of it only it says."""
        place = self._places.get(hit.passage.article_id)
        if place is None:  # one of more articles than are read
            yield hit
            return
        found: dict[str, tuple[int, Passage]] = {}
        own = []
        for span, sentence in _sentences(hit.passage.text):
            if home := self._earliest_copy(sentence, place):
                found[home[1].id] = home
            else:
                own.append(span)
        for at, passage in found.values():
            yield self._with_copies(replace(hit, passage=passage, headline=_headline(self._drafts[at])))
        rest = _cut(hit.passage, own) if own else None
        if rest:
            yield self._with_copies(replace(hit, passage=rest))

    def _earliest_copy(self, sentence: str, before: int) -> tuple[int, Passage] | None:
        """Return the first article before a place that says a sentence, and what of a passage there is its own."""
        for place, draft in enumerate(self._drafts[:before]):
            if contains_sentence(draft.article.text, sentence):
                passage = self._part(place, _passage_of(draft, sentence))
                if passage and _agrees(passage, sentence):
                    return place, passage
        return None

    def _part(self, place: int, passage: Passage) -> Passage | None:
        """Return what of a passage no earlier article says, from the first such sentence to the last."""
        if passage.id not in self._parts:
            earlier = self._drafts[:place]
            own = [
                span
                for span, sentence in _sentences(passage.text)
                if not any(contains_sentence(draft.article.text, sentence) for draft in earlier)
            ]
            self._parts[passage.id] = _cut(passage, own) if own else None
        return self._parts[passage.id]

    def _with_copies(self, hit: Hit) -> Hit:
        """Name beside a hit the articles that say some of it; what is cited of it is compared with them once more."""
        said = [sentence for _, sentence in _sentences(hit.passage.text) if _is_substantial(sentence)]
        return hit.with_copies(
            _headline(draft)
            for draft in self._drafts
            if any(contains_sentence(draft.article.text, sentence) for sentence in said)
        )


def _passage_of(draft: PendingVersion, sentence: str) -> Passage:
    """Return the passage that says most of a sentence."""
    at = draft.article.text.find(sentence)
    within = (passage for passage in draft.passages if passage.start <= at < passage.end)
    return next(within, None) or max(draft.passages, key=lambda passage: overlap(passage.text, sentence))


def _agrees(passage: Passage, sentence: str) -> bool:
    """Say whether a passage says a sentence, and does not deny what it affirms."""
    if not contains_sentence(passage.text, sentence):
        return False
    nearest = max(
        (theirs for _, theirs in _sentences(passage.text)), key=lambda theirs: overlap(theirs, sentence)
    )
    return negations(nearest) <= negations(sentence)


def _sentences(text: str) -> list[tuple[Span, str]]:
    return [(span, text[span.start : span.end]) for span in split_sentences(text)]


def _is_substantial(sentence: str) -> bool:
    """Say whether a sentence says something by itself: no heading, no dateline."""
    return len(sentence.split()) > 3


def _cut(passage: Passage, spans: Sequence[Span]) -> Passage | None:
    """Return a passage from the first of these spans to the last; None where they say nothing."""
    if not any(_is_substantial(passage.text[span.start : span.end]) for span in spans):
        return None
    start, end = spans[0].start, spans[-1].end
    return replace(
        passage, start=passage.start + start, end=passage.start + end, text=passage.text[start:end]
    )


def _headline(draft: PendingVersion) -> ArticleSummary:
    one = draft.article
    return ArticleSummary(one.id, draft.version, one.title, one.source, one.published, one.url)
