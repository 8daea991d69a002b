"""Puts away what visits have led to: articles first, and only then what is remembered of their pages.

A page's validators that were remembered before its article is published would hide it for ever after a crash: the
server would say that nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from bot.articles.article import Article
from bot.crawler.feed_poller import Found, Polled
from bot.crawler.page_fetch import Visit
from bot.crawler.store import InFlight, Ledger, page_key
from bot.ingestion.pipeline import Report, ingest
from bot.services import Workspace
from bot.storage.models import Known


class Intake:
    """Takes articles into the library, and notes what came of pages and feeds."""

    def __init__(
        self,
        workspace: Workspace,
        ledger: Ledger,
        in_flight: InFlight,
        *,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self._in_flight = in_flight
        self._on_wait = on_wait

    def put_away(self, found: Sequence[Found]) -> Report:
        """Publish the articles and retractions, then remember all else; return what this has changed."""
        report = Report()
        try:
            visits = self._without_copies([one for one in found if isinstance(one, Visit)])
            self._publish(visits, report)
            self._ledger.put_pages(visit.record for visit in visits if _is_remembered(visit))
            for one in found:
                if isinstance(one, Polled) and one.record:
                    self._note_feed(one)
        finally:
            self._in_flight.end(one.record.key for one in found if isinstance(one, Visit))
        report.skipped += [one.skipped for one in found if one.skipped]
        return report

    def _publish(self, visits: Sequence[Visit], report: Report) -> None:
        articles = [visit.article for visit in visits if visit.article]
        known = self._workspace.library.known(article.id for article in articles)
        fresh = [article for article in articles if not _is_known(article, known)]
        retired = self._retired(visits)
        still = (
            v for v in visits if not (v.article or v.skipped or v.retired or v.record.state == "forgotten")
        )
        report.unchanged += len(articles) - len(fresh) + sum(1 for _ in still)
        if not fresh and not retired:
            return
        with self._workspace.writing(on_wait=self._on_wait) as indexer:
            if fresh:
                report.add(ingest(indexer, self._workspace.library, fresh))
            if retired:
                indexer.publish(retired=retired)
                report.removed += len(retired)

    def _without_copies(self, visits: Sequence[Visit]) -> list[Visit]:
        """Let one page keep each article: two would replace each other's text for ever.

        It is the page at the article's own address, else the one that has brought it first: what a second page of a
        long article or one for telephones shows may be less.
        """
        bringers = self._ledger.bringers(visit.article.id for visit in visits if visit.article)
        replaced, kept = set[str](), []
        for visit in sorted(visits, key=lambda one: not _is_at_home(one)):
            key = visit.record.key
            first = bringers.setdefault(visit.article.id, key) if visit.article else key
            if visit.article and first != key and _is_at_home(visit):
                replaced.add(first)
                bringers[visit.article.id] = key
            elif first != key:
                kept.append(Visit(record=replace(visit.record, state="copy", due=None)))
                continue
            kept.append(visit)
        others = self._ledger.pages(replaced - {visit.record.key for visit in visits if visit.article})
        return [*kept, *(Visit(record=replace(one, state="copy", due=None)) for one in others.values())]

    def _retired(self, visits: Iterable[Visit]) -> list[str]:
        """Return the articles that are to disappear: those that readers have from the very page that is gone."""
        wanted = {visit.retired: visit.record.key for visit in visits if visit.retired}
        known = self._workspace.library.known(wanted)
        bringers = self._ledger.bringers(wanted)
        return [
            article_id
            for article_id, key in wanted.items()
            if article_id in known
            and page_key(known[article_id].origin) == key == bringers.get(article_id, key)
        ]

    def _note_feed(self, polled: Polled) -> None:
        assert polled.record
        if polled.before:
            self._ledger.put_feed(polled.record, before=polled.before)
        else:
            self._ledger.put_known_feed(polled.record)


def _is_known(article: Article, known: dict[str, Known]) -> bool:
    return article.id in known and known[article.id] == Known(article.content_hash, article.origin)


def _is_at_home(visit: Visit) -> bool:
    """Say whether a page's address is the one that its article is known by."""
    return bool(visit.article and visit.article.url and page_key(visit.article.url) == visit.record.key)


def _is_remembered(visit: Visit) -> bool:
    """Say whether a page is worth a row: one that was named by hand and gave nothing may be a slip of the hand."""
    return bool(visit.record.feed or visit.record.article_id)
