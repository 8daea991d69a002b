"""Check which citations of stored answers are still valid after corrections and deletions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select

from bot.answering.answer import Answer, Citation, CitationStatus, Sentence
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks
from bot.storage.schema import answers, articles, changes, cited


class ArticleChange(NamedTuple):
    """The current state of a cited article.

    Args:
        version: the visible version, or None if the article was deleted.
        changed: time of the last change, if known.
    """

    version: int | None
    changed: datetime | None


class AffectedAnswer(NamedTuple):
    """A stored answer with the current status of its citations and sentences.

    Args:
        answer: the answer, with updated `standing` and `support` fields.
        given: time of the answer.
        article_changes: current states of the articles that have changed, by the number of the citation.
    """

    answer: Answer
    given: datetime
    article_changes: Mapping[int, ArticleChange]

    @property
    def invalid_citations(self) -> tuple[Citation, ...]:
        """The citations that are no longer valid."""
        return tuple(citation for citation in self.answer.citations if citation.standing != "stands")


class CitationAudit:
    """Compares the citations of stored answers with the current articles."""

    def __init__(self, store: ArticleStore) -> None:
        self._store = store

    def find_affected_answers(self, article_ids: Collection[str] | None = None) -> Iterator[AffectedAnswer]:
        """Yield every stored answer that cites an article that has changed since, newest first.

        Args:
            article_ids: limit the search to these articles.
        """
        for answer_id in self.find_affected_ids(article_ids):
            if affected := self.for_answer(answer_id):
                yield affected

    def find_affected_ids(
        self, article_ids: Collection[str] | None = None, *, generation: int | None = None
    ) -> list[str]:
        """Return the ids of all stored answers that cite an article that has changed since, newest first.

        Args:
            article_ids: limit the search to these articles.
            generation: limit the search to changes after this generation of the article store.
        """
        another = or_(articles.c.version.is_(None), articles.c.version != cited.c.version)
        query = select(cited.c.answer_id).join(articles, articles.c.id == cited.c.article_id, isouter=True)
        query = query.where(another)
        if article_ids is not None:
            query = query.where(cited.c.article_id.in_(article_ids))
        if generation is not None:
            query = query.join(changes, changes.c.article_id == cited.c.article_id)
            query = query.where(changes.c.generation > generation)
        found = select(answers.c.id).where(answers.c.id.in_(query))
        with self._store.connect() as connection:
            return list(connection.scalars(found.order_by(answers.c.given.desc(), answers.c.id)))

    def for_answer(self, answer_id: str) -> AffectedAnswer | None:
        """Return a stored answer with its current status, or None if there is no answer with this id."""
        with self._store.connect() as connection:
            row = connection.execute(select(answers).where(answers.c.id == answer_id)).first()
        if row is None:
            return None
        answer = Answer.model_validate(row.answer)
        current = self._current_versions({citation.article_id for citation in answer.citations})
        article_changes = {
            citation.n: current[citation.article_id]
            for citation in answer.citations
            if current[citation.article_id].version != citation.version
        }
        return AffectedAnswer(
            self._update_statuses(answer, article_changes), datetime.fromisoformat(row.given), article_changes
        )

    def _current_versions(self, article_ids: Collection[str]) -> dict[str, ArticleChange]:
        current = select(articles.c.id, articles.c.version)
        recorded = select(changes.c.article_id, changes.c.changed).where(changes.c.changed != "")
        versions: dict[str, int | None] = {}
        changed_at: dict[str, datetime] = {}
        with self._store.connect() as connection:
            for chunk in chunks(article_ids):
                rows = connection.execute(current.where(articles.c.id.in_(chunk)))
                versions |= {row.id: row.version for row in rows}
                rows = connection.execute(recorded.where(changes.c.article_id.in_(chunk)))
                changed_at |= {row.article_id: datetime.fromisoformat(row.changed) for row in rows}
        return {key: ArticleChange(versions.get(key), changed_at.get(key)) for key in article_ids}

    def _update_statuses(self, answer: Answer, article_changes: Mapping[int, ArticleChange]) -> Answer:
        citations = tuple(
            citation.model_copy(update={"standing": self._current_status(citation)})
            if citation.n in article_changes
            else citation
            for citation in answer.citations
        )
        invalid = {citation.n for citation in citations if citation.standing != "stands"}
        sentences = tuple(_with_current_status(sentence, invalid) for sentence in answer.sentences)
        return answer.model_copy(update={"citations": citations, "sentences": sentences})

    def _current_status(self, citation: Citation) -> CitationStatus:
        article = self._store.article(citation.article_id)
        if article is None:
            return "withdrawn"
        return "stands" if citation.quote in article.text else "changed"


def _with_current_status(sentence: Sentence, invalid: set[int]) -> Sentence:
    if sentence.citations and invalid.issuperset(sentence.citations):
        return sentence.model_copy(update={"support": "lost"})
    return sentence


def describe_status(standing: CitationStatus, change: ArticleChange) -> str:
    """Describe in words the status of a citation whose article has changed."""
    when = f" on {change.changed.date()}" if change.changed else " since"
    if standing == "withdrawn":
        return f"withdrawn{when}"
    rest = "the quote still stands" if standing == "stands" else "it no longer holds the quote"
    return f"changed{when}: {rest}"
