"""Takes what several outlets carry for one story: cited once, from the article that the library has known longest.

Who copies an article, and tunes or backdates the copy, cannot take its place: when the library met it, no author
writes. What came in within one hour, as archives do, is ordered by its date of publication. Sentence by sentence: an
outlet is named only beside what it says itself, and what an earlier one does not say stays a hit of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.articles.article import Article
from bot.articles.library import Library
from bot.articles.passages import Passage, Span, split_sentences
from bot.articles.records import Draft, Headline
from bot.retrieval.filters import Filters
from bot.retrieval.hits import Hit
from bot.retrieval.stories import Carrier, Stories
from bot.text.shingles import holds, overlap

_MEMBERS = 12  # articles of one story that are read for one question
_NO_DATE = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Member:
    draft: Draft

    @property
    def article(self) -> Article:
        return self.draft.article

    @property
    def headline(self) -> Headline:
        one = self.article
        return Headline(one.id, self.draft.version, one.title, one.source, one.published, one.url)

    def passage_of(self, sentence: str) -> Passage:
        """Return its passage that says most of a sentence."""
        return max(self.draft.passages, key=lambda passage: overlap(passage.text, sentence))


def told_once(hits: Sequence[Hit], stories: Stories, library: Library, filters: Filters) -> list[Hit]:
    """Return the hits, best first, with what one story says at several outlets said by one of them."""
    carriers = stories.of(hit.passage.article_id for hit in hits)
    if not carriers:
        return list(hits)
    members = _members(hits, carriers, library, filters)
    found: dict[tuple[str, int], Hit] = {}
    for hit in hits:
        carrier = carriers.get(hit.passage.article_id)
        for one in _settled(hit, members.get(carrier.story, ()) if carrier else ()):
            key = (one.passage.id, one.passage.start)
            found[key] = found[key].carried_by(one.copies) if key in found else one
    return list(found.values())


def _members(
    hits: Sequence[Hit], carriers: Mapping[str, Carrier], library: Library, filters: Filters
) -> dict[str, list[_Member]]:
    """Return the articles of these stories that may be searched, the one known longest first."""
    chosen = defaultdict[str, dict[str, None]](dict)
    for article_id in (*(hit.passage.article_id for hit in hits), *sorted(carriers)):
        carrier = carriers.get(article_id)
        if carrier and len(chosen[carrier.story]) < _MEMBERS:
            chosen[carrier.story][article_id] = None
    drafts = library.drafts(article_id for together in chosen.values() for article_id in together)
    members = [_Member(draft) for draft in drafts]
    members.sort(
        key=lambda one: (carriers[one.article.id].since, one.article.published or _NO_DATE, one.article.id)
    )
    by_story = defaultdict[str, list[_Member]](list)
    for member in members:
        one = member.article
        if filters.passes(one.published, one.source, one.tags):
            by_story[carriers[one.id].story].append(member)
    return by_story


def _settled(hit: Hit, members: Sequence[_Member]) -> Iterator[Hit]:
    """Yield what stands for a hit: passages of earlier articles that say the same, and what of it only it says."""
    if all(member.article.id != hit.passage.article_id for member in members):
        yield hit
        return
    text = hit.passage.text
    spans = split_sentences(text)
    elsewhere, own = Counter[tuple[int, str]](), []
    passages: dict[str, Passage] = {}
    for span in spans:
        sentence = text[span.start : span.end]
        place = next(place for place, member in enumerate(members) if _says(member, hit, sentence))
        if members[place].article.id == hit.passage.article_id:
            own.append(span)
        else:
            passage = members[place].passage_of(sentence)
            passages[passage.id] = passage
            elsewhere[place, passage.id] += span.end - span.start
    if len(own) == len(spans):
        yield _carried(hit, members)
        return
    for (place, passage_id), _ in elsewhere.most_common():
        there = replace(hit, passage=passages[passage_id], headline=members[place].headline)
        yield _carried(there, members)
    if any(_is_worth(text[span.start : span.end]) for span in own):
        yield _carried(replace(hit, passage=_cut(hit.passage, own)), members)


def _says(member: _Member, hit: Hit, sentence: str) -> bool:
    return member.article.id == hit.passage.article_id or holds(member.article.text, sentence)


def _is_worth(sentence: str) -> bool:
    """Say whether a sentence says something by itself: no heading, no dateline."""
    return len(sentence.split()) > 3


def _cut(passage: Passage, spans: Sequence[Span]) -> Passage:
    start, end = spans[0].start, spans[-1].end
    at = passage.start
    return replace(passage, start=at + start, end=at + end, text=passage.text[start:end])


def _carried(hit: Hit, members: Iterable[_Member]) -> Hit:
    """Name beside a hit the articles that say some of it; what is cited of it is compared with them once more."""
    text = hit.passage.text
    sentences = [text[span.start : span.end] for span in split_sentences(text)]
    others = (member for member in members if member.article.id != hit.passage.article_id)
    return hit.carried_by(
        member.headline
        for member in others
        if any(_is_worth(one) and holds(member.article.text, one) for one in sentences)
    )
