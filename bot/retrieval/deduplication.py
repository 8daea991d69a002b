"""Collapse syndicated copies of a story into the copy ingested first.

An attacker who copies an article and optimizes or backdates the copy cannot replace the original, because the time of
ingestion is not under the control of an author. Articles ingested within one hour, for example from an archive, are
ordered by publication date. Copies are compared by sentence: a source is named only for sentences that its article
contains, and sentences that no earlier article contains remain a separate hit.
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

_MAX_CLUSTER_ARTICLES = 12  # articles per story that are read for a question
_NO_DATE = datetime.max.replace(tzinfo=UTC)


def collapse_copies(
    question: str,
    hits: Sequence[Hit],
    story_clusters: StoryClusters,
    articles: ArticleStore,
    filters: SearchFilters,
) -> Iterator[Hit]:
    """Yield the hits, best first, with copies of one story collapsed.

    Args:
        question: ranks the passages that replace a hit.
        hits: best first.
        story_clusters: the clusters of syndicated copies.
        articles: the article store.
        filters: a hit is replaced only by articles that match them.
    """
    members = story_clusters.clusters_of(hit.passage.article_id for hit in hits)
    clusters = _load_clusters(hits, members, articles, filters) if members else {}
    asked, seen = words(question), set[str]()
    for hit in hits:
        member = members.get(hit.passage.article_id)
        parts = clusters[member.story].resolve(hit) if member else ()
        # The part with the most words of the question is probably the reason for the hit.
        for one in sorted(parts, key=lambda part: -len(asked & words(part.passage.text))) or (hit,):
            if one.passage.id not in seen:
                seen.add(one.passage.id)
                yield one


def _load_clusters(
    hits: Sequence[Hit], members: Mapping[str, ClusterMember], articles: ArticleStore, filters: SearchFilters
) -> dict[str, _StoryCluster]:
    """Return the clusters of the hits by id, with the articles that match the filters, the one ingested first first."""
    chosen = defaultdict[str, dict[str, None]](dict)
    for article_id in (*(hit.passage.article_id for hit in hits), *sorted(members)):
        member = members.get(article_id)
        if member and len(chosen[member.story]) < _MAX_CLUSTER_ARTICLES:
            chosen[member.story][article_id] = None
    found = list(
        articles.iter_versions(article_id for together in chosen.values() for article_id in together)
    )
    found.sort(key=lambda draft: _sort_key(draft.article, members[draft.article.id]))
    drafts = defaultdict[str, list[PendingVersion]](list)
    for draft in found:
        article = draft.article
        if filters.matches(article.published, article.source, article.tags):
            drafts[members[article.id].story].append(draft)
    return {story: _StoryCluster(drafts[story]) for story in chosen}


def _sort_key(article: Article, member: ClusterMember) -> tuple[str, datetime, str]:
    return member.since, article.published or _NO_DATE, article.id


class _StoryCluster:
    """Articles of one story, the presumed original first."""

    def __init__(self, drafts: Sequence[PendingVersion]) -> None:
        self._drafts = drafts
        self._positions = {draft.article.id: position for position, draft in enumerate(drafts)}
        self._parts: dict[str, Passage | None] = {}

    def resolve(self, hit: Hit) -> Iterator[Hit]:
        """Yield replacements of a hit: passages of earlier articles with its sentences, and the remaining part."""
        position = self._positions.get(hit.passage.article_id)
        if position is None:  # the story has more articles than were read
            yield hit
            return
        found: dict[str, tuple[int, Passage]] = {}
        own = []
        for span, sentence in _split_into_sentences(hit.passage.text):
            if home := self._earliest_copy(sentence, position):
                found[home[1].id] = home
            else:
                own.append(span)
        for at, passage in found.values():
            yield self._with_copies(replace(hit, passage=passage, headline=_build_summary(self._drafts[at])))
        rest = _trim_passage(hit.passage, own) if own else None
        if rest:
            yield self._with_copies(replace(hit, passage=rest))

    def _earliest_copy(self, sentence: str, before: int) -> tuple[int, Passage] | None:
        """Find a sentence in the articles before a position.

        Returns:
            Position of the first article that contains it, and the part of its passage that is not itself copied; None
            if there is none.
        """
        for position, draft in enumerate(self._drafts[:before]):
            if contains_sentence(draft.article.text, sentence):
                passage = self._own_part(position, _find_passage(draft, sentence))
                if passage and _supports_sentence(passage, sentence):
                    return position, passage
        return None

    def _own_part(self, position: int, passage: Passage) -> Passage | None:
        """Return the part of a passage from the first to the last sentence that no earlier article contains."""
        if passage.id not in self._parts:
            earlier = self._drafts[:position]
            own = [
                span
                for span, sentence in _split_into_sentences(passage.text)
                if not any(contains_sentence(draft.article.text, sentence) for draft in earlier)
            ]
            self._parts[passage.id] = _trim_passage(passage, own) if own else None
        return self._parts[passage.id]

    def _with_copies(self, hit: Hit) -> Hit:
        """Add the articles that contain some of its sentences to a hit; citations are compared with them later."""
        said = [
            sentence for _, sentence in _split_into_sentences(hit.passage.text) if _is_substantial(sentence)
        ]
        return hit.with_copies(
            _build_summary(draft)
            for draft in self._drafts
            if any(contains_sentence(draft.article.text, sentence) for sentence in said)
        )


def _find_passage(draft: PendingVersion, sentence: str) -> Passage:
    """Return the passage that contains a sentence, or the one with the largest overlap."""
    at = draft.article.text.find(sentence)
    within = (passage for passage in draft.passages if passage.start <= at < passage.end)
    return next(within, None) or max(draft.passages, key=lambda passage: overlap(passage.text, sentence))


def _supports_sentence(passage: Passage, sentence: str) -> bool:
    """Return True if a passage contains a sentence and does not negate it."""
    if not contains_sentence(passage.text, sentence):
        return False
    nearest = max(
        (theirs for _, theirs in _split_into_sentences(passage.text)),
        key=lambda theirs: overlap(theirs, sentence),
    )
    return negations(nearest) <= negations(sentence)


def _split_into_sentences(text: str) -> list[tuple[Span, str]]:
    return [(span, text[span.start : span.end]) for span in split_sentences(text)]


def _is_substantial(sentence: str) -> bool:
    """Return True if a sentence has more than three words, unlike a heading or dateline."""
    return len(sentence.split()) > 3


def _trim_passage(passage: Passage, spans: Sequence[Span]) -> Passage | None:
    """Return a passage from the first to the last of the spans, or None if none of them is substantial."""
    if not any(_is_substantial(passage.text[span.start : span.end]) for span in spans):
        return None
    start, end = spans[0].start, spans[-1].end
    return replace(
        passage, start=passage.start + start, end=passage.start + end, text=passage.text[start:end]
    )


def _build_summary(draft: PendingVersion) -> ArticleSummary:
    one = draft.article
    return ArticleSummary(one.id, draft.version, one.title, one.source, one.published, one.url)
