"""Machines that share a PostgreSQL database and a Chroma server, and nothing else: what one takes in, all answer from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from chroma_process import ChromaProcess
from conftest import WordEmbedder, empty, make, take_in

from bot.articles.article import Article
from bot.errors import VectorStoreUnavailableError
from bot.indexing.filters import SearchFilters
from bot.services import Services
from bot.settings import load_settings
from bot.storage.article_store import open_article_store

Replica = Callable[[str], Services]


@pytest.fixture
def replica(tmp_path: Path, empty_postgres: str, chroma_url: str) -> Iterator[Replica]:
    """Opens a machine by its name, which is that of its data folder."""
    opened: list[Services] = []

    def open_one(name: str) -> Services:
        settings = load_settings(
            data_dir=tmp_path / name, database_url=empty_postgres, chroma_url=chroma_url, min_confidence=0.3
        )
        opened.append(Services(settings, embedder=WordEmbedder()))
        return opened[-1]

    yield open_one
    for workspace in opened:
        workspace.close()


def found(workspace: Services, question: str, *, sources: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the texts that both indexes have for a question, by the article."""
    hits = workspace.retriever.search(question, filters=SearchFilters(sources=sources))
    return {
        hit.passage.article_id: hit.passage.text for hit in hits if hit.ranks.keys() == {"vectors", "words"}
    }


def test_what_is_taken_in_on_one_is_answered_by_the_other(replica: Replica, four: list[Article]) -> None:
    one, two = replica("one"), replica("two")
    assert found(two, "Which bank failed?") == {}
    take_in(one, four)
    assert "bank" in found(two, "Which bank failed?")
    answer = two.chain.invoke("Who won the final against France on penalties?")
    assert answer.text.startswith("Argentina won the final against France on penalties.")
    assert two.articles.totals().passages == two.bm25.count() == one.bm25.count() == 4


def test_a_correction_and_a_removal_arrive_too(replica: Replica, four: list[Article]) -> None:
    one, two = replica("one"), replica("two")
    take_in(one, four)
    assert "Moon" in found(two, "Where did the lander touch down?")["moon"]
    take_in(one, [replace(four[0], text="A lander crashed on Mars. Its rover was lost.")])
    assert "Mars" in found(two, "Where did the lander crash?")["moon"]
    assert "moon" not in found(two, "Moon Wednesday hours")
    with one.index_writer() as indexer:
        indexer.publish(retired=["bank"])
    assert "bank" not in found(two, "Which bank failed?")
    take_in(two, [four[1]])  # and back, by the other
    assert "bank" in found(one, "Which bank failed?")
    assert found(one, "Which bank failed?", sources=("Daily",)) == {}
    for each in (one, two):
        assert each.articles.totals().passages == each.bm25.count() == 4


def test_a_machine_that_is_added_later_begins_with_an_empty_folder(
    replica: Replica, four: list[Article]
) -> None:
    take_in(replica("one"), four)
    late = replica("late")
    assert not late.settings.data_dir.exists()
    assert "quake" in found(late, "What did rescuers search after the quake?")
    assert late.bm25.count() == 4
    report = take_in(late, four)
    assert (report.added, report.unchanged) == (0, 4)


def test_all_may_be_the_first_to_open_the_database(tmp_path: Path, postgres: str) -> None:
    for attempt in range(5):
        empty(postgres)
        with ThreadPoolExecutor(4) as threads:
            opened = list(threads.map(lambda n: open_article_store(tmp_path / f"m{n}", postgres), range(4)))
        assert len({library.library_id for library in opened}) == 1, attempt
        for library in opened:
            library.close()


def test_both_may_take_in_at_once(replica: Replica) -> None:
    one, two = replica("one"), replica("two")
    halves = [[make({"id": f"{h}{n}", "text": f"Subject{h}{n} was seen."}) for n in range(30)] for h in "ab"]
    threads = [
        threading.Thread(target=take_in, args=(workspace, half))
        for workspace, half in zip((one, two), halves, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    [collection] = one.articles.collections()
    for each in (one, two):
        assert "a7" in found(each, "subjecta7")
        assert "b7" in found(each, "subjectb7")
        assert each.articles.totals().passages == each.bm25.count() == 60
        assert each.vector_store.count(collection.location) == 60


def test_made_anew_on_one_the_index_is_read_by_the_other(replica: Replica, four: list[Article]) -> None:
    one, two = replica("one"), replica("two")
    take_in(one, four)
    assert "bank" in found(two, "Which bank failed?")
    for _ in range(3):  # each collection but the last two is removed
        with one.index_writer() as indexer:
            indexer.rebuild(lambda done: None)
        assert "bank" in found(two, "Which bank failed?")


def test_after_an_outage_all_go_on(
    tmp_path: Path, empty_postgres: str, own_chroma: ChromaProcess, four: list[Article]
) -> None:
    machines = [
        Services(
            load_settings(data_dir=tmp_path / name, database_url=empty_postgres, chroma_url=own_chroma.url),
            embedder=WordEmbedder(),
        )
        for name in ("one", "two")
    ]
    take_in(machines[0], four[:2])
    own_chroma.kill()
    for machine in machines:
        with pytest.raises(VectorStoreUnavailableError):
            found(machine, "Which bank failed?")
        with pytest.raises(VectorStoreUnavailableError):
            take_in(machine, four)
    own_chroma.start()
    take_in(machines[1], four)
    for machine in machines:
        assert "bank" in found(machine, "Which bank failed?")
        assert "cup" in found(machine, "Who won the final on penalties?")
        machine.close()
