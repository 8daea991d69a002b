"""Finds the articles of different outlets that carry one story, and keeps them at what the library shows.

The writer brings them up after it has published, by the library's own note of what changed; whatever machine asks,
reads the outcome. Two articles carry one story where most of the shorter one's words in a row stand in the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, Table, delete, func, or_, select, update

from bot.indexing.filters import normalize_label
from bot.storage.article_store import ArticleStore
from bot.storage.database import chunks, upsert
from bot.storage.schema import articles, changes, facts, stories, story_keys, story_links, versions
from bot.text.shingles import containment, shingles, sketch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Reprints that keep a third, or change a word in ten and add paragraphs of their own, reach it; reports of two outlets
# on one event stay below .45 even where they quote the same statement at length.
_SAME = 0.5
_PART = 0.15  # of the longer text: a round-up that holds a short item is no reprint of it
_SHARED, _CANDIDATES = (
    2,
    20,
)  # keys that two sketches must share to be compared, and articles one is compared with
_HOLDERS = (
    50  # articles that a key is kept for: what more have is a newsletter's footer, or linked through these
)
_LONGEST = (
    100_000  # characters of what an agency sends; a question would wait for longer texts to be compared
)
_BATCH = 200
_MARK = "stories"
_HOUR = len("2026-06-17T08")


class ClusterMember(NamedTuple):
    """What an article carries, and since which hour the library knows that it does."""

    story: str
    since: str


class _ArticleShingles(NamedTuple):
    outlet: str
    written: str
    shingles: NDArray[np.uint64]


class StoryClusters:
    """The stories of one library; safe to share between threads."""

    def __init__(self, library: ArticleStore) -> None:
        self._library = library

    def clusters_of(self, article_ids: Iterable[str]) -> dict[str, ClusterMember]:
        """Return the articles that carry a story with any of these, those among them, by their ids."""
        found: dict[str, ClusterMember] = {}
        with self._library.connect() as connection:
            for chunk in chunks(dict.fromkeys(article_ids)):
                named = select(stories.c.story).where(stories.c.article_id.in_(chunk))
                rows = connection.execute(select(stories).where(stories.c.story.in_(named)))
                found |= {row.article_id: ClusterMember(row.story, row.since[:_HOUR]) for row in rows}
        return found

    def sync(self) -> None:
        """Take in what has changed in the library since the last time; the writer's to call."""
        now = self._library.generation()
        with self._library.connect() as connection:
            said = connection.scalar(select(facts.c.value).where(facts.c.key == _MARK))
        before = int(said) if said else None
        if before == now:
            return
        if before is None:  # a run that broke off may have left some
            with self._library.transaction() as connection:
                for table in (stories, story_keys, story_links):
                    connection.execute(delete(table))
        for article_ids, mark in self._changed(before, now):
            with self._library.transaction() as connection:
                self._take_in(connection, article_ids)
                if mark is not None:
                    upsert(connection, facts, {"key": _MARK, "value": str(mark)}, key=("key",))

    def _changed(self, before: int | None, now: int) -> Iterator[tuple[list[str], int | None]]:
        """Yield the articles to look at, and up to which generation all is done with them; at the end `now`."""
        if before is None:
            ids = (article_id for article_id, _ in self._library.origins())
            yield from ((batch, None) for batch in chunks(ids, _BATCH))
        else:
            rows = select(changes.c.article_id, changes.c.generation).where(changes.c.generation > before)
            with self._library.connect() as connection:
                found = connection.execute(rows.order_by(changes.c.generation)).all()
            for batch in chunks(found, _BATCH):  # of the last one's generation there may be more
                yield [row.article_id for row in batch], batch[-1].generation - 1
        yield [], now

    def _take_in(self, connection: Connection, article_ids: Sequence[str]) -> None:
        """Forget what was known of these articles, and find the stories of those that are visible."""
        if not article_ids:
            return
        known = select(stories.c.story).where(stories.c.article_id.in_(article_ids))
        touched = {story for story in connection.scalars(known) if story}
        told = _told(connection, article_ids)
        keys = {article_id: sketch(one.shingles) for article_id, one in told.items()}
        since = _kept(connection, keys)
        _forget(connection, article_ids)
        pairs = _candidates(connection, keys, {article_id: one.outlet for article_id, one in told.items()})
        links = _linked(told | _told(connection, {other for _, other in pairs} - told.keys()), pairs)
        rows = [
            {"article_id": key, "outlet": one.outlet, "since": since.get(key, one.written)}
            for key, one in told.items()
        ]
        _insert(connection, stories, rows)
        _insert(connection, story_links, [{"article_id": one, "other_id": other} for one, other in links])
        _assign_cluster_ids(connection, touched, {*told, *(other for _, other in links)})


def _kept(connection: Connection, keys: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Return since when the library knows those of these articles whose text is mostly what it was.

    Who turns an old article into a copy of another is a newcomer with it.
    """
    query = select(stories.c.article_id, stories.c.since, story_keys.c.key)
    query = query.join(story_keys, story_keys.c.article_id == stories.c.article_id)
    before, since = defaultdict[str, set[int]](set), {}
    for row in connection.execute(query.where(stories.c.article_id.in_(keys))):
        before[row.article_id].add(row.key)
        since[row.article_id] = row.since
    return {key: since[key] for key, old in before.items() if len(old & {*keys[key]}) >= _SAME * len(old)}


def _forget(connection: Connection, article_ids: Sequence[str]) -> None:
    for table in (stories, story_keys):
        connection.execute(delete(table).where(table.c.article_id.in_(article_ids)))
    either = or_(story_links.c.article_id.in_(article_ids), story_links.c.other_id.in_(article_ids))
    connection.execute(delete(story_links).where(either))


def _told(connection: Connection, article_ids: Iterable[str]) -> dict[str, _ArticleShingles]:
    """Return outlet and shingles of the visible ones of these articles, in the order of their ids."""
    query = select(versions.c.article_id, versions.c.source, versions.c.written, versions.c.text)
    query = query.join(
        articles, (articles.c.id == versions.c.article_id) & (articles.c.version == versions.c.version)
    ).where(func.length(versions.c.text) <= _LONGEST)
    found: dict[str, _ArticleShingles] = {}
    for chunk in chunks(sorted(article_ids)):
        rows = connection.execute(query.where(articles.c.id.in_(chunk)).order_by(articles.c.id))
        found |= {
            row.article_id: _ArticleShingles(normalize_label(row.source), row.written, shingles(row.text))
            for row in rows
        }
    return found


def _candidates(
    connection: Connection, keys: Mapping[str, Sequence[int]], outlets: dict[str, str]
) -> list[tuple[str, str]]:
    """Return pairs of articles whose sketches have something in common, and keep these articles' own."""
    holders, outlets = defaultdict[int, list[str]](list), dict(outlets)
    query = select(story_keys.c.key, stories.c.article_id, stories.c.outlet)
    query = query.join(stories, stories.c.article_id == story_keys.c.article_id)
    for chunk in chunks({key for sketched in keys.values() for key in sketched}):
        for row in connection.execute(query.where(story_keys.c.key.in_(chunk))):
            holders[row.key].append(row.article_id)
            outlets[row.article_id] = row.outlet
    pairs, rows = [], []
    for article_id, sketched in keys.items():
        shared = Counter(other for key in sketched for other in holders[key])
        others = [other for other, count in shared.most_common() if count >= _SHARED]
        apart = [other for other in others if not outlets[other] or outlets[other] != outlets[article_id]]
        pairs += [(article_id, other) for other in apart[:_CANDIDATES]]
        for key in sketched:
            if len(holders[key]) < _HOLDERS:
                holders[key].append(article_id)
                rows.append({"key": key, "article_id": article_id})
    _insert(connection, story_keys, rows)
    return pairs


def _linked(told: Mapping[str, _ArticleShingles], pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (one, other)
        for one, other in pairs
        if _is_reprint(told[one].shingles, told[other].shingles)
    ]  # fmt: skip


def _is_reprint(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> bool:
    shorter, longer = sorted((len(one), len(other)))
    return shorter >= _PART * longer and containment(one, other) >= _SAME


def _assign_cluster_ids(connection: Connection, touched: set[str], article_ids: set[str]) -> None:
    """Give all articles that hang together, through however many links, one story; its name is the first one's id."""
    members = dict.fromkeys(article_ids)
    for chunk in chunks(article_ids):
        query = select(stories.c.story).where(stories.c.article_id.in_(chunk))
        touched = touched | {story for story in connection.scalars(query) if story}
    for chunk in chunks(touched):
        members |= dict.fromkeys(
            connection.scalars(select(stories.c.article_id).where(stories.c.story.in_(chunk)))
        )
    names = _components(members, _links_of(connection, members))
    by_name = defaultdict[str | None, list[str]](list)
    for article_id, name in names.items():
        by_name[name].append(article_id)
    for name, together in by_name.items():
        for chunk in chunks(together):
            change = update(stories).where(
                stories.c.article_id.in_(chunk), stories.c.story.is_distinct_from(name)
            )
            connection.execute(change.values(story=name))


def _links_of(connection: Connection, members: Iterable[str]) -> Iterator[tuple[str, str]]:
    for chunk in chunks(members):
        query = select(story_links.c.article_id, story_links.c.other_id)
        for row in connection.execute(query.where(story_links.c.article_id.in_(chunk))):
            yield row.article_id, row.other_id


def _components(members: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Return for each member the first id of those it hangs together with; None where it stands alone."""
    first = {member: member for member in members}

    def root(member: str) -> str:
        while first[member] != member:
            first[member] = first[first[member]]
            member = first[member]
        return member

    for one, other in links:
        if one in first and other in first:
            low, high = sorted((root(one), root(other)))
            first[high] = low
    sizes = Counter(map(root, list(first)))
    return {member: root(member) if sizes[root(member)] > 1 else None for member in first}


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
