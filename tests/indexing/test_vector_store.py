"""The vector index: embedded, where a sealed collection never changes, and on a real Chroma server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import WordEmbedder

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.errors import VectorStoreError
from bot.indexing.chroma_embedded import EmbeddedVectorStore
from bot.indexing.chroma_server import ServerVectorStore
from bot.indexing.vector_store import CollectionWriter, VectorStore
from bot.storage.models import PendingVersion


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    opened: VectorStore = EmbeddedVectorStore(tmp_path / "chroma")
    if request.param == "server":
        opened = ServerVectorStore(request.getfixturevalue("chroma_url"))
    yield opened
    opened.close()


def drafts(articles: list[Article]) -> list[PendingVersion]:
    return [
        PendingVersion(article, 1, tuple(split_passages(article.id, 1, article.text))) for article in articles
    ]


def fill(stage: CollectionWriter, articles: list[Article], embedder: WordEmbedder) -> str:
    made = drafts(articles)
    passages = [passage for draft in made for passage in draft.passages]
    stage.upsert(
        [passage.id for passage in passages], embedder.encode([passage.text for passage in passages])
    )
    stage.commit()
    return stage.location


def nearest(
    store: VectorStore, location: str, text: str, within: list[str] | None = None
) -> list[tuple[str, float]]:
    return store.search(location, WordEmbedder().encode([text])[0], 10, within=within)


def test_the_nearest_comes_first_with_its_cosine(
    store: VectorStore, four: list[Article], embedder: WordEmbedder
) -> None:
    location = fill(store.open_writer(None, "citewire-test-a"), four, embedder)
    assert store.count(location) == 4
    for article, draft in zip(four, drafts(four), strict=True):
        found = nearest(store, location, article.text)
        assert found[0][0] == draft.passages[0].id
        assert found[0][1] == pytest.approx(1, abs=1e-5)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


@pytest.mark.parametrize("chosen", [["moon"], ["bank", "cup"]])
def test_the_nearest_of_some(
    store: VectorStore, four: list[Article], embedder: WordEmbedder, chosen: list[str]
) -> None:
    location = fill(store.open_writer(None, "citewire-test-b"), four, embedder)
    ids = {draft.article.id: draft.passages[0].id for draft in drafts(four)}
    found = nearest(store, location, "moon", within=[ids[name] for name in chosen])
    assert {key for key, _ in found} == {ids[name] for name in chosen}
    with pytest.raises(VectorStoreError):
        nearest(store, location, "moon", within=[*ids.values(), "absent"])


def test_writing_twice_and_removing_the_absent_change_nothing(
    store: VectorStore, four: list[Article], embedder: WordEmbedder
) -> None:
    location = fill(store.open_writer(None, "citewire-test-c"), four, embedder)
    stage = store.open_writer(location, "citewire-test-c")
    stage.remove(["absent"])
    assert store.count(fill(stage, four, embedder)) == 4


def test_more_than_chroma_takes_at_once(store: VectorStore) -> None:
    many = [Article(id=f"a{n}", text="x") for n in range(5_600)]
    vectors = WordEmbedder(dimension=4).encode(["x"]).repeat(len(many), axis=0)
    stage = store.open_writer(None, "citewire-test-d")
    ids = [passage.id for draft in drafts(many) for passage in draft.passages]
    stage.upsert(ids, vectors)
    stage.remove(ids[:5_500])
    stage.commit()
    assert store.count(stage.location) == 100


def test_sweeping_keeps_what_is_named(
    store: VectorStore, four: list[Article], embedder: WordEmbedder
) -> None:
    mine = [fill(store.open_writer(None, "citewire-mine-"), four, embedder) for _ in range(2)]
    other = fill(store.open_writer(None, "citewire-other-"), four, embedder)
    store.delete_unused_collections("citewire-mine-", {mine[0]})
    assert store.count(mine[0]) == store.count(other) == 4
    with pytest.raises(VectorStoreError):
        store.count(mine[1])
    with pytest.raises(VectorStoreError):
        nearest(store, mine[1], "moon")


def test_a_vector_of_another_length_is_refused(
    store: VectorStore, four: list[Article], embedder: WordEmbedder
) -> None:
    location = fill(store.open_writer(None, "citewire-test-e"), four, embedder)
    with pytest.raises(VectorStoreError, match="dimension"):
        fill(store.open_writer(location, "citewire-test-e"), four, WordEmbedder(dimension=8))


def test_a_sealed_collection_never_changes(
    tmp_path: Path, four: list[Article], embedder: WordEmbedder
) -> None:
    store = EmbeddedVectorStore(tmp_path / "chroma")
    first = fill(store.open_writer(None, "c"), four[:2], embedder)
    second = fill(store.open_writer(first, "c"), four[2:], embedder)
    assert [store.count(location) for location in (first, second)] == [2, 4]
    assert [len(nearest(store, location, "moon")) for location in (first, second)] == [2, 4]


def test_reading_leaves_the_vectors_files_alone(tmp_path: Path, embedder: WordEmbedder) -> None:
    many = [
        Article(id=f"a{n}", text=f"number {n}") for n in range(1_500)
    ]  # enough for Chroma to write HNSW files
    first = fill(EmbeddedVectorStore(tmp_path).open_writer(None, "c"), many, embedder)
    files = {path: path.read_bytes() for path in (tmp_path / first).glob("*/*")}
    assert files
    for _ in range(2):
        reader = EmbeddedVectorStore(tmp_path)
        nearest(reader, first, "number 7")
        reader.close()
    assert {path: path.read_bytes() for path in (tmp_path / first).glob("*/*")} == files


def test_an_unfinished_stage_harms_nobody(
    tmp_path: Path, four: list[Article], embedder: WordEmbedder
) -> None:
    store = EmbeddedVectorStore(tmp_path / "chroma")
    first = fill(store.open_writer(None, "c"), four, embedder)
    abandoned = store.open_writer(first, "c")
    abandoned.remove([passage.id for draft in drafts(four) for passage in draft.passages])
    assert len(nearest(EmbeddedVectorStore(tmp_path / "chroma"), first, "moon")) == 4
    store.delete_unused_collections("c", {first})
    assert [path.name for path in (tmp_path / "chroma").iterdir()] == [first]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "localhost:8000", "ftp://x"])
def test_a_server_that_cannot_be_reached_is_named(url: str) -> None:
    with pytest.raises(VectorStoreError, match=r"Chroma|CITEWIRE_CHROMA_URL"):
        nearest(ServerVectorStore(url), "citewire-x", "moon")
    with pytest.raises(VectorStoreError, match=r"Chroma|CITEWIRE_CHROMA_URL"):
        ServerVectorStore(url).count("citewire-x")
