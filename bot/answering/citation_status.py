"""What has become of what answers cited: articles are corrected and withdrawn after they were cited."""

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
    """The version of a cited article that readers see now, None where it is gone, and when that came about."""

    version: int | None
    changed: datetime | None


class AffectedAnswer(NamedTuple):
    """An answer and what has become of it: its citations and sentences say what still stands.

    `since` has the citations, by their numbers, whose article is another by now.
    """

    answer: Answer
    given: datetime
    since: Mapping[int, ArticleChange]

    @property
    def broken(self) -> tuple[Citation, ...]:
        """The citations that no longer stand."""
        return tuple(citation for citation in self.answer.citations if citation.standing != "stands")


class CitationAudit:
    """Compares what was cited with the articles as they are now."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def affected(self, article_ids: Collection[str] | None = None) -> Iterator[AffectedAnswer]:
        """Yield every stored answer that cited what has changed since, the newest first; see `affected_ids`."""
        for answer_id in self.affected_ids(article_ids):
            if affected := self.for_answer(answer_id):
                yield affected

    def affected_ids(
        self, article_ids: Collection[str] | None = None, *, generation: int | None = None
    ) -> list[str]:
        """Return the ids of all stored answers that cited what has changed since, the newest first.

        Where they are named, only `article_ids` count, and what changed after this `generation` of the library.
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
        with self._library.connect() as connection:
            return list(connection.scalars(found.order_by(answers.c.given.desc(), answers.c.id)))

    def for_answer(self, answer_id: str) -> AffectedAnswer | None:
        """Return what has become of a stored answer; None where there is none."""
        with self._library.connect() as connection:
            row = connection.execute(select(answers).where(answers.c.id == answer_id)).first()
        if row is None:
            return None
        answer = Answer.model_validate(row.answer)
        now = self._now({citation.article_id for citation in answer.citations})
        since = {
            citation.n: now[citation.article_id]
            for citation in answer.citations
            if now[citation.article_id].version != citation.version
        }
        return AffectedAnswer(self._restated(answer, since), datetime.fromisoformat(row.given), since)

    def _now(self, article_ids: Collection[str]) -> dict[str, ArticleChange]:
        visible = select(articles.c.id, articles.c.version)
        noted = select(changes.c.article_id, changes.c.changed).where(changes.c.changed != "")
        versions: dict[str, int | None] = {}
        when: dict[str, datetime] = {}
        with self._library.connect() as connection:
            for chunk in chunks(article_ids):
                rows = connection.execute(visible.where(articles.c.id.in_(chunk)))
                versions |= {row.id: row.version for row in rows}
                rows = connection.execute(noted.where(changes.c.article_id.in_(chunk)))
                when |= {row.article_id: datetime.fromisoformat(row.changed) for row in rows}
        return {key: ArticleChange(versions.get(key), when.get(key)) for key in article_ids}

    def _restated(self, answer: Answer, since: Mapping[int, ArticleChange]) -> Answer:
        citations = tuple(
            citation.model_copy(update={"standing": self._standing(citation)})
            if citation.n in since
            else citation
            for citation in answer.citations
        )
        lost = {citation.n for citation in citations if citation.standing != "stands"}
        sentences = tuple(_with_current_status(sentence, lost) for sentence in answer.sentences)
        return answer.model_copy(update={"citations": citations, "sentences": sentences})

    def _standing(self, citation: Citation) -> CitationStatus:
        article = self._library.article(citation.article_id)
        if article is None:
            return "withdrawn"
        return "stands" if citation.quote in article.text else "changed"


def _with_current_status(sentence: Sentence, lost: set[int]) -> Sentence:
    if sentence.citations and lost.issuperset(sentence.citations):
        return sentence.model_copy(update={"support": "lost"})
    return sentence


def describe_status(standing: CitationStatus, since: ArticleChange) -> str:
    """Say in words what has become of a citation whose article is another by now."""
    when = f" on {since.changed.date()}" if since.changed else " since"
    if standing == "withdrawn":
        return f"withdrawn{when}"
    rest = "the quote still stands" if standing == "stands" else "it no longer holds the quote"
    return f"changed{when}: {rest}"
