"""The word index in tantivy: BM25 over each passage's text and its article's title."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import tantivy

from bot.errors import WordsError
from bot.retrieval.window import Filters, source_key

if TYPE_CHECKING:
    from bot.articles.records import Draft

_ANALYZER = "news_en"
_WRITER_BYTES = 128_000_000
_TITLE_WEIGHT = 0.7  # a headline names the subject, the passage has the answer


class WordIndex:
    """One tantivy index in a folder. Readers follow what another process commits; one process writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search(self, text: str, k: int, filters: Filters) -> list[tuple[str, float]]:
        """Return the ids of the k best passages with their BM25 scores, best first.

        The words of `text` are terms, never query syntax.
        """
        terms = self.terms(text)
        if not terms:
            return []
        with _translated(self._folder):
            searcher = self._searcher()
            hits = searcher.search(self._query(terms, filters), k).hits
            # A shared score is ordered by id, so that every machine ranks alike.
            found = [(str(searcher.doc(address)["passage"][0]), float(score)) for score, address in hits]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))

    def terms(self, text: str) -> list[str]:
        """Return the distinct stems of `text` that carry meaning, in their order."""
        return list(dict.fromkeys(analyze(text)))

    def rarity(self, term: str) -> float:
        """Return the inverse document frequency of a stem over passages; that of "" is the highest there is."""
        with _translated(self._folder):
            searcher = self._searcher()
            holding = searcher.doc_freq("text", term)
        return (
            math.log(1 + (searcher.num_docs - holding + 0.5) / (holding + 0.5))
            if searcher.num_docs >= holding
            else 0.0
        )

    def count(self) -> int:
        """Return how many passages the index holds."""
        with _translated(self._folder):
            return int(self._searcher().num_docs)

    def destroy(self) -> None:
        """Remove the index from the disk, to be made anew."""
        self.__dict__.pop("_index", None)
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def writer(self) -> Iterator[WordWriter]:
        """Open the index for writing, making it where there is none; uncommitted work is dropped at the end."""
        with _translated(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self.__dict__["_index"] = _open_or_create(self._folder)
            writer = WordWriter(self._index.writer(heap_size=_WRITER_BYTES, num_threads=1), self._folder)
        try:
            yield writer
        finally:
            writer.close()

    def _searcher(self) -> tantivy.Searcher:
        self._index.reload()  # costs microseconds, and shows what any process has committed
        return self._index.searcher()

    @cached_property
    def _index(self) -> tantivy.Index:
        if not (self._folder / "meta.json").exists():
            raise WordsError(f"{self._folder}: the word index is missing; run `citewire reindex`")
        return _open_or_create(self._folder)

    def _query(self, terms: Sequence[str], filters: Filters) -> tantivy.Query:
        schema = self._index.schema
        anywhere = [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term), weight),
            )
            for term in terms
            for field, weight in (("text", 1.0), ("title", _TITLE_WEIGHT))
        ]
        conditions = [(tantivy.Occur.Must, query) for query in _conditions(schema, filters)]
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, tantivy.Query.boolean_query(anywhere)), *conditions]
        )


class WordWriter:
    """The one writer of a word index; nothing is seen before `commit`."""

    def __init__(self, writer: tantivy.IndexWriter, folder: Path) -> None:
        self._writer = writer
        self._folder = folder

    def add(self, drafts: Sequence[Draft]) -> None:
        """Add all passages of these drafts; one with the same id is replaced."""
        with _translated(self._folder):
            for draft in drafts:
                for passage in draft.passages:
                    self._writer.delete_documents_by_term("passage", passage.id)
                    self._writer.add_document(_document(draft, passage.id, passage.text))

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove these passages; ids that are not there are no error."""
        with _translated(self._folder):
            for passage_id in passage_ids:
                self._writer.delete_documents_by_term("passage", passage_id)

    def clear(self) -> None:
        """Remove everything."""
        with _translated(self._folder):
            self._writer.delete_all_documents()

    def commit(self) -> None:
        """Put all changes on disk at once, for every reader to see."""
        with _translated(self._folder):
            self._writer.commit()

    def close(self) -> None:
        """Wait for merges, and free the writer's lock."""
        with _translated(self._folder):
            self._writer.rollback()
            self._writer.wait_merging_threads()


def analyze(text: str) -> list[str]:
    """Return the stems of `text` without stop words: lower case, accents folded ("Türkiye" is "turkiy")."""
    return list(_analyzer().analyze(text))


def _analyzer() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(80),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stopword("english"),
        tantivy.Filter.stemmer("english"),
    ):
        builder = builder.filter(step)
    return builder.build()


def _open_or_create(folder: Path) -> tantivy.Index:
    index = tantivy.Index(_schema(), path=str(folder))
    index.register_tokenizer(_ANALYZER, _analyzer())
    return index


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("passage", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text", tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_text_field("title", tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_text_field("source", tokenizer_name="raw", index_option="basic")
    builder.add_integer_field("published", indexed=True, fast=True)
    return builder.build()


def _document(draft: Draft, passage_id: str, text: str) -> tantivy.Document:
    article = draft.article
    document = tantivy.Document()
    document.add_text("passage", passage_id)
    document.add_text("text", text)
    document.add_text("title", article.title)
    document.add_text("source", source_key(article.source))
    if article.published:
        document.add_integer("published", int(article.published.timestamp()))
    return document


def _conditions(schema: tantivy.Schema, filters: Filters) -> Iterator[tantivy.Query]:
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
        yield tantivy.Query.term_set_query(schema, "source", filters.source_keys)


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, RuntimeError) as exc:  # all that tantivy's binding raises
        raise WordsError(f"{folder}: the word index cannot be used: {exc}; run `citewire reindex`") from exc
