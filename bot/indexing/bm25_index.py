"""BM25 index in tantivy, over the text of each passage and the title of its article."""

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

_META_FILE = "meta.json"
_WRITER_BYTES = 128_000_000
# The headline names the subject, and the passage contains the answer: without the title field, hit@1 is 0.05
# to 0.09 lower.
_TITLE_WEIGHT = 0.7
_WITHOUT_STOP_WORDS = frozenset({"arabic", "greek", "romanian", "tamil", "turkish"})  # not in tantivy


class Bm25Index:
    """Tantivy index in a directory, with one writing process; readers see commits of other processes."""

    def __init__(self, folder: Path, *, language: str = "english") -> None:
        self.folder = folder
        self._language = language
        self._committed: tuple[int, int] | None = None

    def search(self, text: str, k: int, filters: SearchFilters) -> list[tuple[str, float]]:
        """Return the ids and BM25 scores of the top `k` passages, best first.

        Args:
            text: read as plain words, never as query syntax.
            k: maximum number of passages.
            filters: conditions that the passages match.
        """
        return self._search(text, k, lambda schema: _build_conditions(schema, filters))

    def scores(self, text: str, passage_ids: Sequence[str]) -> dict[str, float]:
        """Return the BM25 scores of the given passages, without those that share no word with `text`."""
        if not passage_ids:
            return {}
        ids = list(passage_ids)
        return dict(
            self._search(
                text, len(ids), lambda schema: [tantivy.Query.term_set_query(schema, "passage", ids)]
            )
        )

    def analyze(self, text: str) -> list[str]:
        """Return the stems of `text` without stop words, in the language of the index."""
        return analyze(text, self._language)

    def terms(self, text: str) -> list[str]:
        """Return the distinct stems of `text` without stop words, in text order."""
        return list(dict.fromkeys(self.analyze(text)))

    def idf(self, term: str) -> float:
        """Return the inverse document frequency of a stem over passages; the maximum for ""."""
        with translate_errors(self.folder):
            searcher = self._open_searcher()
            document_frequency = searcher.doc_freq("text", term)
        return (
            math.log(1 + (searcher.num_docs - document_frequency + 0.5) / (document_frequency + 0.5))
            if searcher.num_docs >= document_frequency
            else 0.0
        )

    def exists(self) -> bool:
        """Return True if the index exists on disk."""
        return (self.folder / _META_FILE).exists()

    def count(self, filters: SearchFilters = SearchFilters()) -> int:  # noqa: B008 - frozen
        """Return the number of passages that match the filters."""
        with translate_errors(self.folder):
            searcher = self._open_searcher()
            if not filters.is_restrictive:
                return int(searcher.num_docs)
            query = _all_of(_build_conditions(self._index.schema, filters))
            return int(searcher.search(query, limit=1, count=True).count)  # type: ignore[attr-defined]  # missing in the stubs

    def ids(self, filters: SearchFilters) -> list[str]:
        """Return the ids of all passages that match the filters, in arbitrary order."""
        return self._find_ids(self.count(filters), lambda schema: _build_conditions(schema, filters))

    def filter_ids(self, passage_ids: Sequence[str], filters: SearchFilters) -> set[str]:
        """Return the ids of the given passages that match the filters."""
        ids = list(passage_ids)

        def conditions(schema: tantivy.Schema) -> Iterator[tantivy.Query]:
            yield tantivy.Query.term_set_query(schema, "passage", ids)
            yield from _build_conditions(schema, filters)

        return set(self._find_ids(len(ids), conditions))

    def delete(self) -> None:
        """Delete the index from the disk, so that it can be rebuilt."""
        self.__dict__.pop("_index", None)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def writer(self) -> Iterator[Bm25Writer]:
        """Open the index for writing, and create it if it is missing; uncommitted changes are discarded at the end."""
        with translate_errors(self.folder):
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
        with translate_errors(self.folder):
            searcher, schema = self._open_searcher(), self._index.schema
            hits = searcher.search(_build_query(schema, terms, conditions(schema)), k).hits
            # Ties are sorted by id, so that the order is the same on every machine.
            found = [(str(searcher.doc(address)["passage"][0]), float(score)) for score, address in hits]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def _find_ids(
        self, limit: int, conditions: Callable[[tantivy.Schema], Iterable[tantivy.Query]]
    ) -> list[str]:
        if not limit:
            return []
        with translate_errors(self.folder):
            searcher = self._open_searcher()
            hits = searcher.search(_all_of(conditions(self._index.schema)), limit, count=False).hits
            return [str(searcher.doc(address)["passage"][0]) for _, address in hits]

    def _open_searcher(self) -> tantivy.Searcher:
        index = self._index
        meta = (self.folder / _META_FILE).stat()  # replaced by every commit of any process
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
    """The only writer of a BM25 index; changes are visible after `commit`."""

    def __init__(self, writer: tantivy.IndexWriter, folder: Path) -> None:
        self._writer = writer
        self._folder = folder

    def add(
        self, drafts: Iterable[PendingVersion], progress: Callable[[int], None] = lambda done: None
    ) -> int:
        """Add all passages of the drafts.

        Args:
            drafts: article versions with their passages.
            progress: called after each draft with the number of passages added so far.

        Returns:
            The number of passages added.
        """
        done = 0
        with translate_errors(self._folder):
            for draft in drafts:
                for passage in draft.passages:
                    self._writer.add_document(_build_document(draft, passage.id, passage.text))
                done += len(draft.passages)
                progress(done)
        return done

    def remove(self, article_ids: Sequence[str]) -> None:
        """Remove all passages of the given articles; unknown ids are ignored."""
        with translate_errors(self._folder):
            for article_id in article_ids:
                self._writer.delete_documents_by_term("article", article_id)

    def clear(self) -> None:
        """Remove all passages."""
        with translate_errors(self._folder):
            self._writer.delete_all_documents()

    def commit(self) -> None:
        """Write all changes to disk atomically and make them visible to readers."""
        with translate_errors(self._folder):
            self._writer.commit()

    def close(self) -> None:
        """Wait for segment merges and release the writer lock."""
        with translate_errors(self._folder):
            self._writer.rollback()
            self._writer.wait_merging_threads()


def analyze(text: str, language: str = "english") -> list[str]:
    """Return the stems of `text` without stop words, in lower case and without accents ("Türkiye" → "turkiy")."""
    return list(_analyzer(language).analyze(text))


@lru_cache(maxsize=4)  # building one takes longer than analyzing a passage
def _analyzer(language: str) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    steps = [tantivy.Filter.remove_long(80), tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold()]
    if language not in _WITHOUT_STOP_WORDS:
        steps.append(tantivy.Filter.stopword(language))
    for step in (*steps, tantivy.Filter.stemmer(language)):
        builder = builder.filter(step)
    return builder.build()


def _open_or_create(folder: Path, language: str) -> tantivy.Index:
    # The analyzer name is part of the schema, so opening an index of another language fails.
    analyzer = f"news_{language}"
    index = tantivy.Index(_build_schema(analyzer), path=str(folder))
    index.register_tokenizer(analyzer, _analyzer(language))
    return index


def _build_schema(analyzer: str) -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("passage", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("article", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", tokenizer_name=analyzer, index_option="freq")
    builder.add_text_field("title", tokenizer_name=analyzer, index_option="freq")
    builder.add_text_field("source", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("tag", tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("published", indexed=True, fast=True)
    return builder.build()


def _build_document(draft: PendingVersion, passage_id: str, text: str) -> tantivy.Document:
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


def _build_query(
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
    # Conditions filter without changing the score.
    narrowed = (tantivy.Query.const_score_query(condition, 0.0) for condition in conditions)
    return _all_of([tantivy.Query.boolean_query(anywhere), *narrowed])


def _all_of(queries: Iterable[tantivy.Query]) -> tantivy.Query:
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query) for query in queries])


def _build_conditions(schema: tantivy.Schema, filters: SearchFilters) -> Iterator[tantivy.Query]:
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
def translate_errors(folder: Path) -> Iterator[None]:
    """Convert exceptions of tantivy and of file access to a KeywordIndexError."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as exc:  # everything tantivy's binding raises
        raise KeywordIndexError(
            f"{folder}: the word index cannot be used: {exc}; run `citewire reindex --words`"
        ) from exc
