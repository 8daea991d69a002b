"""The word index in tantivy: BM25 over each passage's text and its article's title."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import tantivy

from bot.errors import KeywordIndexError
from bot.indexing.filters import SearchFilters, normalize_label

if TYPE_CHECKING:
    from bot.storage.models import PendingVersion

_META = "meta.json"
_WRITER_BYTES = 128_000_000
# A headline names the subject, the passage has the answer: without the title's field hit@1 is 0.05 to 0.09 lower.
_TITLE_WEIGHT = 0.7
_WITHOUT_STOP_WORDS = frozenset({"arabic", "greek", "romanian", "tamil", "turkish"})  # tantivy has none


class Bm25Index:
    """One tantivy index in a folder. Readers see what another process commits; one process writes."""

    def __init__(self, folder: Path, *, language: str = "english") -> None:
        self.folder = folder
        self._language = language
        self._committed: tuple[int, int] | None = None

    def search(self, text: str, k: int, filters: SearchFilters) -> list[tuple[str, float]]:
        """Return the ids of the k best passages with their BM25 scores, best first.

        The words of `text` are terms, never query syntax.
        """
        return self._search(text, k, lambda schema: _conditions(schema, filters))

    def scores(self, text: str, passage_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 scores of these passages; those that share no word with `text` are left out."""
        if not passage_ids:
            return {}
        ids = list(passage_ids)
        return dict(
            self._search(
                text, len(ids), lambda schema: [tantivy.Query.term_set_query(schema, "passage", ids)]
            )
        )

    def analyze(self, text: str) -> list[str]:
        """Return the stems of `text` without stop words, in this index's language."""
        return analyze(text, self._language)

    def terms(self, text: str) -> list[str]:
        """Return the distinct stems of `text` that carry meaning, in their order."""
        return list(dict.fromkeys(self.analyze(text)))

    def idf(self, term: str) -> float:
        """Return the inverse document frequency of a stem over passages; that of "" is the highest there is."""
        with translated(self.folder):
            searcher = self._searcher()
            holding = searcher.doc_freq("text", term)
        return (
            math.log(1 + (searcher.num_docs - holding + 0.5) / (holding + 0.5))
            if searcher.num_docs >= holding
            else 0.0
        )

    def exists(self) -> bool:
        """Return whether there is an index at all."""
        return (self.folder / _META).exists()

    def count(self, filters: SearchFilters = SearchFilters()) -> int:  # noqa: B008 - frozen
        """Return how many passages of the index pass the filters."""
        with translated(self.folder):
            searcher = self._searcher()
            if not filters.is_restrictive:
                return int(searcher.num_docs)
            query = _all_of(_conditions(self._index.schema, filters))
            return int(searcher.search(query, limit=1, count=True).count)  # type: ignore[attr-defined]  # it has

    def ids(self, filters: SearchFilters) -> list[str]:
        """Return the ids of all passages that pass the filters, in no order."""
        return self._ids(self.count(filters), lambda schema: _conditions(schema, filters))

    def filter_ids(self, passage_ids: Sequence[str], filters: SearchFilters) -> set[str]:
        """Return which of these passages pass the filters."""
        ids = list(passage_ids)

        def conditions(schema: tantivy.Schema) -> Iterator[tantivy.Query]:
            yield tantivy.Query.term_set_query(schema, "passage", ids)
            yield from _conditions(schema, filters)

        return set(self._ids(len(ids), conditions))

    def delete(self) -> None:
        """Remove the index from the disk, to be made anew."""
        self.__dict__.pop("_index", None)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def writer(self) -> Iterator[Bm25Writer]:
        """Open the index for writing, making it where there is none; uncommitted work is dropped at the end."""
        with translated(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.__dict__["_index"] = _open_or_create(self.folder, self._language)
            writer = Bm25Writer(self._index.writer(heap_size=_WRITER_BYTES, num_threads=1), self.folder)
        try:
            yield writer
        finally:
            writer.close()

    def _search(
        self, text: str, k: int, conditions: Callable[[tantivy.Schema], Iterable[tantivy.Query]]
    ) -> list[tuple[str, float]]:
        terms = self.terms(text)
        if not terms:
            return []
        with translated(self.folder):
            searcher, schema = self._searcher(), self._index.schema
            hits = searcher.search(_query(schema, terms, conditions(schema)), k).hits
            # A shared score is ordered by id, so that every machine ranks alike.
            found = [(str(searcher.doc(address)["passage"][0]), float(score)) for score, address in hits]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def _ids(self, limit: int, conditions: Callable[[tantivy.Schema], Iterable[tantivy.Query]]) -> list[str]:
        if not limit:
            return []
        with translated(self.folder):
            searcher = self._searcher()
            hits = searcher.search(_all_of(conditions(self._index.schema)), limit, count=False).hits
            return [str(searcher.doc(address)["passage"][0]) for _, address in hits]

    def _searcher(self) -> tantivy.Searcher:
        index = self._index
        meta = (self.folder / _META).stat()  # replaced by every commit, of whatever process
        committed = (meta.st_ino, meta.st_mtime_ns)
        if committed != self._committed:
            index.reload()
            self._committed = committed
        return index.searcher()

    @cached_property
    def _index(self) -> tantivy.Index:
        if not self.exists():
            raise KeywordIndexError(
                f"{self.folder}: the word index is missing; run `citewire reindex --words`"
            )
        return _open_or_create(self.folder, self._language)


class Bm25Writer:
    """The one writer of a word index; nothing is seen before `commit`."""

    def __init__(self, writer: tantivy.IndexWriter, folder: Path) -> None:
        self._writer = writer
        self._folder = folder

    def add(
        self, drafts: Iterable[PendingVersion], progress: Callable[[int], None] = lambda done: None
    ) -> int:
        """Add all passages of these drafts, telling how many there are so far; return how many there were."""
        done = 0
        with translated(self._folder):
            for draft in drafts:
                for passage in draft.passages:
                    self._writer.add_document(_document(draft, passage.id, passage.text))
                done += len(draft.passages)
                progress(done)
        return done

    def remove(self, article_ids: Sequence[str]) -> None:
        """Remove all passages of these articles; ids that are not there are no error."""
        with translated(self._folder):
            for article_id in article_ids:
                self._writer.delete_documents_by_term("article", article_id)

    def clear(self) -> None:
        """Remove everything."""
        with translated(self._folder):
            self._writer.delete_all_documents()

    def commit(self) -> None:
        """Put all changes on disk at once, for every reader to see."""
        with translated(self._folder):
            self._writer.commit()

    def close(self) -> None:
        """Wait for merges, and free the writer's lock."""
        with translated(self._folder):
            self._writer.rollback()
            self._writer.wait_merging_threads()


def analyze(text: str, language: str = "english") -> list[str]:
    """Return the stems of `text` without stop words: lower case, accents folded ("Türkiye" is "turkiy")."""
    return list(_analyzer(language).analyze(text))


@lru_cache(maxsize=4)  # building one costs more than analysing a passage
def _analyzer(language: str) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    steps = [tantivy.Filter.remove_long(80), tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold()]
    if language not in _WITHOUT_STOP_WORDS:
        steps.append(tantivy.Filter.stopword(language))
    for step in (*steps, tantivy.Filter.stemmer(language)):
        builder = builder.filter(step)
    return builder.build()


def _open_or_create(folder: Path, language: str) -> tantivy.Index:
    # The name of the analyzer is part of the schema: an index of another language is refused.
    analyzer = f"news_{language}"
    index = tantivy.Index(_schema(analyzer), path=str(folder))
    index.register_tokenizer(analyzer, _analyzer(language))
    return index


def _schema(analyzer: str) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("passage", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("article", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", tokenizer_name=analyzer, index_option="freq")
    builder.add_text_field("title", tokenizer_name=analyzer, index_option="freq")
    builder.add_text_field("source", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("tag", tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("published", indexed=True, fast=True)
    return builder.build()


def _document(draft: PendingVersion, passage_id: str, text: str) -> tantivy.Document:
    article = draft.article
    document = tantivy.Document()
    document.add_text("passage", passage_id)
    document.add_text("article", article.id)
    document.add_text("text", text)
    document.add_text("title", article.title)
    document.add_text("source", normalize_label(article.source))
    for tag in article.tags:
        document.add_text("tag", normalize_label(tag))
    if article.published:
        document.add_integer("published", int(article.published.timestamp()))
    return document


def _query(
    schema: tantivy.Schema, terms: Sequence[str], conditions: Iterable[tantivy.Query]
) -> tantivy.Query:
    anywhere = [
        (
            tantivy.Occur.Should,
            tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term), weight),
        )
        for term in terms
        for field, weight in (("text", 1.0), ("title", _TITLE_WEIGHT))
    ]
    # A condition narrows and adds nothing to the score.
    narrowed = (tantivy.Query.const_score_query(condition, 0.0) for condition in conditions)
    return _all_of([tantivy.Query.boolean_query(anywhere), *narrowed])


def _all_of(queries: Iterable[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query) for query in queries])


def _conditions(schema: tantivy.Schema, filters: SearchFilters) -> Iterator[tantivy.Query]:
    if filters.window and (filters.window.since or filters.window.until):
        since, until = filters.window.since, filters.window.until
        yield tantivy.Query.range_query(
            schema,
            "published",
            tantivy.FieldType.Integer,
            int(since.timestamp()) if since else None,
            int(until.timestamp()) if until else None,
            include_upper=until is None,
        )
    if filters.sources:
        yield tantivy.Query.term_set_query(schema, "source", list(map(normalize_label, filters.sources)))
    if filters.tags:
        yield tantivy.Query.term_set_query(schema, "tag", list(map(normalize_label, filters.tags)))


@contextlib.contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn what tantivy and its files raise into a KeywordIndexError."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as exc:  # all that tantivy's binding raises
        raise KeywordIndexError(
            f"{folder}: the word index cannot be used: {exc}; run `citewire reindex --words`"
        ) from exc
