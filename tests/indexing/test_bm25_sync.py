"""The word index after the library: on every machine the same, whoever wrote and whatever was interrupted."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tantivy

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.indexing.bm25_index import Bm25Index
from bot.indexing.bm25_sync import Bm25Sync
from bot.indexing.filters import SearchFilters
from bot.storage.article_store import ArticleStore
from bot.storage.models import PendingVersion


def publish(library: ArticleStore, articles: list[Article], retired: list[str] | None = None) -> None:
    numbers = library.next_versions(article.id for article in articles)
    drafts = [
        PendingVersion(a, numbers[a.id], tuple(split_passages(a.id, numbers[a.id], a.text))) for a in articles
    ]
    library.publish(library.write(drafts), retired=retired or [])


class Machine:
    """A word index of its own beside the shared library."""

    def __init__(self, folder: Path, library: ArticleStore) -> None:
        self.words = Bm25Index(folder / "words")
        self.library = library
        self.follower = Bm25Sync(self.words, library)

    def found(self, question: str) -> list[str]:
        self.follower.sync()
        hits = self.library.passages([key for key, _ in self.words.search(question, 10, SearchFilters())])
        return sorted(passage.text for passage, _ in hits.values())

    def agrees(self) -> bool:
        return self.words.count() == self.library.totals().passages


@pytest.fixture
def machine(tmp_path: Path, library: ArticleStore) -> Callable[[str], Machine]:
    return lambda name: Machine(tmp_path / name, library)


@pytest.fixture
def one(machine: Callable[[str], Machine], library: ArticleStore, four: list[Article]) -> Iterator[Machine]:
    publish(library, four)
    return machine("one")


def test_what_one_machine_writes_the_other_finds(
    one: Machine, machine: Callable[[str], Machine], library: ArticleStore, four: list[Article]
) -> None:
    two = machine("two")
    assert one.found("lander") == two.found("lander") == [four[0].text]
    publish(library, [replace(four[0], text="A lander crashed on Mars.")], retired=["bank"])
    for each in (one, two):
        assert each.found("lander") == ["A lander crashed on Mars."]
        assert each.found("bank") == []
        assert each.agrees()
    publish(library, [four[1]])
    assert one.found("bank") == two.found("bank") != []
    assert one.agrees()
    assert two.agrees()


def test_an_article_of_the_same_text_that_comes_again_stands_once(
    one: Machine, library: ArticleStore, four: list[Article]
) -> None:
    one.follower.sync()
    publish(library, [], retired=["moon"])
    publish(library, [four[0]])
    assert one.found("lander") == [four[0].text]
    assert one.agrees()


def test_an_article_written_twice_before_it_is_published_is_one_change(
    one: Machine, library: ArticleStore, four: list[Article]
) -> None:
    one.follower.sync()
    written = []
    for text in ("A lander crashed on Mars.", "A lander crashed on Venus."):
        number = library.next_versions(["moon"])["moon"]
        article = replace(four[0], text=text)
        written += library.write(
            [PendingVersion(article, number, tuple(split_passages("moon", number, text)))]
        )
    library.publish(written)
    assert one.found("lander") == ["A lander crashed on Venus."]


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def half_removed(folder: Path) -> None:
    (folder / "meta.json").unlink()


def unmarked(folder: Path) -> None:
    (folder / "followed.json").unlink()


def marked_with_nonsense(folder: Path) -> None:
    (folder / "followed.json").write_text('{"generation": []', encoding="utf-8")


def of_another_library(folder: Path) -> None:
    mark = json.loads((folder / "followed.json").read_text("utf-8"))
    (folder / "followed.json").write_text(json.dumps({**mark, "library": "another"}), encoding="utf-8")


def of_an_older_citewire(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    tantivy.Index(tantivy.SchemaBuilder().add_text_field("text").build(), path=str(folder))


@pytest.mark.parametrize(
    "harm", [removed, half_removed, unmarked, marked_with_nonsense, of_another_library, of_an_older_citewire]
)
def test_an_index_that_cannot_follow_is_made_anew(
    one: Machine, machine: Callable[[str], Machine], four: list[Article], harm: Callable[[Path], None]
) -> None:
    one.follower.sync()
    harm(one.words.folder)
    again = machine("one")
    assert again.follower.is_stale()
    assert again.found("lander") == [four[0].text]
    assert not again.follower.is_stale()
    assert again.agrees()


def test_after_a_crash_the_same_changes_are_taken_in_once_more(
    one: Machine, machine: Callable[[str], Machine], library: ArticleStore, four: list[Article]
) -> None:
    one.follower.sync()
    mark = (one.words.folder / "followed.json").read_bytes()
    publish(library, [replace(four[0], text="A lander crashed on Mars.")])
    one.follower.sync()
    (one.words.folder / "followed.json").write_bytes(mark)  # the process died before it was noted
    again = machine("one")
    assert again.follower.is_stale()
    assert again.found("lander") == ["A lander crashed on Mars."]
    assert again.agrees()


def test_a_question_does_not_wait_for_another_that_takes_changes_in(
    one: Machine, machine: Callable[[str], Machine], library: ArticleStore, four: list[Article]
) -> None:
    one.follower.sync()
    publish(library, [], retired=["moon"])
    with one.follower._acquire_lock(wait=True):
        assert machine("one").words.count() == 4
        other = machine("one")
        other.follower.sync()
        assert other.words.count() == 4
        waiting = threading.Thread(target=lambda: other.follower.sync(wait=True))
        waiting.start()
    waiting.join(30)
    assert other.agrees()


def test_many_threads_follow_one_index(one: Machine, library: ArticleStore, four: list[Article]) -> None:
    one.follower.sync()
    publish(library, [], retired=["moon", "bank"])
    threads = [threading.Thread(target=one.follower.sync) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    one.follower.sync(wait=True)
    assert one.agrees()


def test_rebuilding_tells_how_far_it_is(one: Machine, library: ArticleStore) -> None:
    told: list[int] = []
    assert one.follower.rebuild(told.append) == library.totals().passages
    assert told == sorted(told)
    assert told[-1] == library.totals().passages
    assert one.agrees()
