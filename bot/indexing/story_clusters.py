"""Clusters syndicated copies of one story by shingle overlap.

The index writer updates the clusters after each publication, from the changes recorded in the article store; readers on
every machine use the result. Two articles of different sources are copies of one story if the longer text contains most
word sequences of the shorter one.
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

# Copies that keep a third of the text, or change a word in ten and add paragraphs, reach the threshold;
# reports of two sources on one event stay below .45 even if they quote the same statement at length.
_CONTAINMENT_THRESHOLD = 0.5
_MIN_LENGTH_RATIO = 0.15  # to the longer text: a round-up that contains a short item is not a copy of it
_MIN_SHARED_KEYS = 2  # of two sketches, to compare their articles
_MAX_CANDIDATES = 20  # articles that one is compared with
# A key of more articles is from boilerplate such as a newsletter's footer, or its articles are linked through
# these.
_MAX_ARTICLES_PER_KEY = 50
_MAX_CHARS = 100_000  # longer than any agency text; comparing longer texts would delay questions
_BATCH_SIZE = 200
_SYNC_KEY = "stories"
_HOUR_LENGTH = len("2026-06-17T08")


class ClusterMember(NamedTuple):
    """Membership of an article in a story cluster, and the hour in which the article store first had its text."""

    story: str
    since: str


class _ArticleShingles(NamedTuple):
    outlet: str
    written: str
    shingles: NDArray[np.uint64]


class StoryClusters:
    """Story clusters of one article store; safe to share between threads."""

    def __init__(self, store: ArticleStore) -> None:
        self._store = store

    def clusters_of(self, article_ids: Iterable[str]) -> dict[str, ClusterMember]:
        """Return all members of the clusters of the given articles, by article id."""
        found: dict[str, ClusterMember] = {}
        with self._store.connect() as connection:
            for chunk in chunks(dict.fromkeys(article_ids)):
                cluster_ids = select(stories.c.story).where(stories.c.article_id.in_(chunk))
                rows = connection.execute(select(stories).where(stories.c.story.in_(cluster_ids)))
                found |= {row.article_id: ClusterMember(row.story, row.since[:_HOUR_LENGTH]) for row in rows}
        return found

    def sync(self) -> None:
        """Apply the changes of the article store since the last sync; only the index writer may call this."""
        now = self._store.generation()
        with self._store.connect() as connection:
            value = connection.scalar(select(facts.c.value).where(facts.c.key == _SYNC_KEY))
        before = int(value) if value else None
        if before == now:
            return
        if before is None:  # an interrupted run may have left rows
            with self._store.transaction() as connection:
                for table in (stories, story_keys, story_links):
                    connection.execute(delete(table))
        for article_ids, generation in self._iter_changes(before, now):
            with self._store.transaction() as connection:
                self._update_clusters(connection, article_ids)
                if generation is not None:
                    upsert(connection, facts, {"key": _SYNC_KEY, "value": str(generation)}, key=("key",))

    def _iter_changes(self, before: int | None, now: int) -> Iterator[tuple[list[str], int | None]]:
        """Yield batches of changed article ids.

        Yields:
            Article ids, and the generation that is completely processed after them: None in a first run, `now` at the
            end.
        """
        if before is None:
            ids = (article_id for article_id, _ in self._store.origins())
            yield from ((batch, None) for batch in chunks(ids, _BATCH_SIZE))
        else:
            rows = select(changes.c.article_id, changes.c.generation).where(changes.c.generation > before)
            with self._store.connect() as connection:
                found = connection.execute(rows.order_by(changes.c.generation)).all()
            for batch in chunks(found, _BATCH_SIZE):
                # The generation of the last row may continue in the next batch.
                yield [row.article_id for row in batch], batch[-1].generation - 1
        yield [], now

    def _update_clusters(self, connection: Connection, article_ids: Sequence[str]) -> None:
        """Delete the rows of the given articles, and assign those that are visible to clusters."""
        if not article_ids:
            return
        known = select(stories.c.story).where(stories.c.article_id.in_(article_ids))
        touched = {story for story in connection.scalars(known) if story}
        by_id = _load_shingles(connection, article_ids)
        keys = {article_id: sketch(one.shingles) for article_id, one in by_id.items()}
        since = _known_since(connection, keys)
        _delete_rows(connection, article_ids)
        pairs = _find_candidates(
            connection, keys, {article_id: one.outlet for article_id, one in by_id.items()}
        )
        links = _find_links(
            by_id | _load_shingles(connection, {other for _, other in pairs} - by_id.keys()), pairs
        )
        rows = [
            {"article_id": key, "outlet": one.outlet, "since": since.get(key, one.written)}
            for key, one in by_id.items()
        ]
        _insert(connection, stories, rows)
        _insert(connection, story_links, [{"article_id": one, "other_id": other} for one, other in links])
        _assign_cluster_ids(connection, touched, {*by_id, *(other for _, other in links)})


def _known_since(connection: Connection, keys: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Return the recorded times of the given articles whose text is mostly unchanged.

    An old article that is turned into a copy of another one thus counts as new.
    """
    query = select(stories.c.article_id, stories.c.since, story_keys.c.key)
    query = query.join(story_keys, story_keys.c.article_id == stories.c.article_id)
    before, since = defaultdict[str, set[int]](set), {}
    for row in connection.execute(query.where(stories.c.article_id.in_(keys))):
        before[row.article_id].add(row.key)
        since[row.article_id] = row.since
    return {
        key: since[key]
        for key, old in before.items()
        if len(old & {*keys[key]}) >= _CONTAINMENT_THRESHOLD * len(old)
    }


def _delete_rows(connection: Connection, article_ids: Sequence[str]) -> None:
    for table in (stories, story_keys):
        connection.execute(delete(table).where(table.c.article_id.in_(article_ids)))
    either = or_(story_links.c.article_id.in_(article_ids), story_links.c.other_id.in_(article_ids))
    connection.execute(delete(story_links).where(either))


def _load_shingles(connection: Connection, article_ids: Iterable[str]) -> dict[str, _ArticleShingles]:
    """Return source and shingles of the given articles that are visible, ordered by id."""
    query = select(versions.c.article_id, versions.c.source, versions.c.written, versions.c.text)
    query = query.join(
        articles, (articles.c.id == versions.c.article_id) & (articles.c.version == versions.c.version)
    ).where(func.length(versions.c.text) <= _MAX_CHARS)
    found: dict[str, _ArticleShingles] = {}
    for chunk in chunks(sorted(article_ids)):
        rows = connection.execute(query.where(articles.c.id.in_(chunk)).order_by(articles.c.id))
        found |= {
            row.article_id: _ArticleShingles(normalize_label(row.source), row.written, shingles(row.text))
            for row in rows
        }
    return found


def _find_candidates(
    connection: Connection, keys: Mapping[str, Sequence[int]], outlets: dict[str, str]
) -> list[tuple[str, str]]:
    """Return pairs of articles whose sketches share keys, and save the sketches of the given articles."""
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
        others = [other for other, count in shared.most_common() if count >= _MIN_SHARED_KEYS]
        apart = [other for other in others if not outlets[other] or outlets[other] != outlets[article_id]]
        pairs += [(article_id, other) for other in apart[:_MAX_CANDIDATES]]
        for key in sketched:
            if len(holders[key]) < _MAX_ARTICLES_PER_KEY:
                holders[key].append(article_id)
                rows.append({"key": key, "article_id": article_id})
    _insert(connection, story_keys, rows)
    return pairs


def _find_links(
    by_id: Mapping[str, _ArticleShingles], pairs: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    return [
        (one, other)
        for one, other in pairs
        if _is_copy(by_id[one].shingles, by_id[other].shingles)
    ]  # fmt: skip


def _is_copy(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> bool:
    shorter, longer = sorted((len(one), len(other)))
    return shorter >= _MIN_LENGTH_RATIO * longer and containment(one, other) >= _CONTAINMENT_THRESHOLD


def _assign_cluster_ids(connection: Connection, touched: set[str], article_ids: set[str]) -> None:
    """Give each connected component of articles one cluster id, which is the first of their article ids."""
    members = dict.fromkeys(article_ids)
    for chunk in chunks(article_ids):
        query = select(stories.c.story).where(stories.c.article_id.in_(chunk))
        touched = touched | {story for story in connection.scalars(query) if story}
    for chunk in chunks(touched):
        members |= dict.fromkeys(
            connection.scalars(select(stories.c.article_id).where(stories.c.story.in_(chunk)))
        )
    names = _connected_components(members, _iter_links(connection, members))
    by_name = defaultdict[str | None, list[str]](list)
    for article_id, name in names.items():
        by_name[name].append(article_id)
    for name, together in by_name.items():
        for chunk in chunks(together):
            change = update(stories).where(
                stories.c.article_id.in_(chunk), stories.c.story.is_distinct_from(name)
            )
            connection.execute(change.values(story=name))


def _iter_links(connection: Connection, members: Iterable[str]) -> Iterator[tuple[str, str]]:
    for chunk in chunks(members):
        query = select(story_links.c.article_id, story_links.c.other_id)
        for row in connection.execute(query.where(story_links.c.article_id.in_(chunk))):
            yield row.article_id, row.other_id


def _connected_components(members: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Return the first id of each member's connected component, or None if it has no links."""
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
