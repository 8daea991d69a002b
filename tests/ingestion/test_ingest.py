"""Ingest: nothing done twice, nothing lost, whatever moment a process dies at."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import WordEmbedder, make, take_in, write

from bot.articles.article import Article
from bot.doctor import examine
from bot.errors import VectorStoreError
from bot.ingestion.loaders import Skipped, read_articles
from bot.services import Services
from bot.settings import load_settings


def agree(workspace: Services) -> bool:
    """Whether library and both indexes hold the same."""
    return all(check.ok for check in examine(workspace))


def asked(workspace: Services, question: str) -> list[str]:
    return [hit.headline.article_id for hit in workspace.retriever.search(question)]


def test_an_unchanged_article_is_not_embedded_again(
    workspace: Services, four: list[Article], embedder: WordEmbedder
) -> None:
    first = take_in(workspace, four)
    assert (first.added, first.unchanged, first.passages) == (4, 0, 4)
    embedder.encoded.clear()
    second = take_in(workspace, four)
    assert (second.added, second.changed, second.unchanged, second.passages) == (0, 0, 4, 0)
    assert embedder.encoded == []
    assert agree(workspace)


def test_a_changed_article_replaces_the_older_and_its_version_is_kept(
    workspace: Services, four: list[Article]
) -> None:
    take_in(workspace, four)
    corrected = replace(four[0], text="A lander crashed on Mars. Nothing rolled out.")
    report = take_in(workspace, [corrected, *four[1:]])
    assert (report.added, report.changed, report.unchanged) == (0, 1, 3)
    assert asked(workspace, "Mars")[0] == "moon"
    assert workspace.articles.article("moon", 1) == four[0]
    assert workspace.articles.totals().passages == 4
    assert agree(workspace)


@pytest.mark.parametrize(
    "change", [{"title": "Other"}, {"source": "Other"}, {"published": None}, {"tags": ("x",)}]
)
def test_whatever_a_reader_sees_counts_as_a_change(
    workspace: Services, four: list[Article], change: dict[str, object]
) -> None:
    take_in(workspace, four)
    assert take_in(workspace, [replace(four[0], **change)]).changed == 1  # type: ignore[arg-type]


def test_an_article_that_only_moved_is_unchanged(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, four)
    assert take_in(workspace, [replace(four[0], origin="elsewhere.jsonl")]).unchanged == 1
    assert dict(workspace.articles.origins())["moon"] == "elsewhere.jsonl"


def test_two_texts_under_one_address_do_not_replace_each_other(
    workspace: Services, four: list[Article]
) -> None:
    other = replace(four[0], text="Another text.")
    for _ in range(2):
        report = take_in(workspace, [four[0], other, four[0]])
        assert [str(skip) for skip in report.failures] == [
            "four.jsonl: https://daily.example/moon: another text under the same address was read before it"
        ]
    assert report.unchanged == 2
    assert workspace.articles.article("moon") == four[0]


def test_skipped_files_are_reported_and_the_rest_goes_on(workspace: Services, four: list[Article]) -> None:
    broken, testset = Skipped("a.jsonl", 3, "broken"), Skipped("t.jsonl", None, "a test set", expected=True)
    report = take_in(workspace, [four[0], broken, testset, four[1]])  # type: ignore[list-item]
    assert report.added == 2
    assert report.failures == [broken]
    assert report.skipped == [broken, testset]


def write_folder(folder: Path, articles: list[Article]) -> None:
    folder.mkdir(exist_ok=True)
    for article in articles:
        (folder / f"{article.id}.txt").write_text(article.text)


def read_in(workspace: Services, *paths: Path, prune: bool = False) -> object:
    return take_in(workspace, list(read_articles(paths)), prune=paths if prune else ())  # type: ignore[arg-type]


def test_prune_removes_what_is_gone_from_the_folder_and_nothing_else(
    workspace: Services, four: list[Article], tmp_path: Path
) -> None:
    write_folder(tmp_path / "mine", four)
    write_folder(tmp_path / "mine-too", four[:1])
    read_in(workspace, tmp_path / "mine", tmp_path / "mine-too")
    assert workspace.articles.totals().articles == 5
    (tmp_path / "mine" / "moon.txt").unlink()
    assert read_in(workspace, tmp_path / "mine").removed == 0  # type: ignore[attr-defined]
    assert read_in(workspace, tmp_path / "mine", prune=True).removed == 1  # type: ignore[attr-defined]
    assert workspace.articles.totals().articles == 4
    assert agree(workspace)


def test_prune_keeps_what_could_not_be_read(workspace: Services, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"id": str(n), "text": f"Text number {n}."}) for n in range(3)]
    path.write_text("\n".join(rows))
    read_in(workspace, tmp_path / "a.jsonl")
    path.write_text("\n".join([rows[0], "{broken"]))
    assert read_in(workspace, path, prune=True).removed == 0  # type: ignore[attr-defined]
    path.write_text(rows[0])
    assert read_in(workspace, path, prune=True).removed == 2  # type: ignore[attr-defined]
    path.unlink()
    assert read_in(workspace, tmp_path, prune=True).removed == 1  # type: ignore[attr-defined]


def test_a_moved_file_is_not_pruned(workspace: Services, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.jsonl").write_text('{"id": "x", "text": "Text."}')
    read_in(workspace, tmp_path / "f")
    (tmp_path / "f" / "a.jsonl").rename(tmp_path / "f" / "b.jsonl")
    assert read_in(workspace, tmp_path / "f", prune=True).removed == 0  # type: ignore[attr-defined]


def test_a_forgotten_article_leaves_nothing(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, four)
    with workspace.index_writer() as indexer:
        indexer.publish(retired=["moon"])
    assert "moon" not in asked(workspace, "lander Moon")
    assert workspace.articles.article("moon", 1) is None
    assert agree(workspace)


def test_an_open_reader_sees_what_another_process_takes_in(
    workspace: Services, four: list[Article], embedder: WordEmbedder
) -> None:
    take_in(workspace, four[:1])
    assert asked(workspace, "final on penalties") == ["moon"]
    other = Services(workspace.settings, embedder=WordEmbedder())
    for _ in range(3):  # older collections are swept away under the reader
        take_in(other, [replace(four[2], title=str(random.random()))])
        assert asked(workspace, "final on penalties")[0] == "cup"
    other.close()


def test_another_model_has_to_be_reindexed_and_then_has_its_own_collection(
    workspace: Services, four: list[Article], tmp_path: Path
) -> None:
    take_in(workspace, four)
    other = Services(workspace.settings, embedder=WordEmbedder("other", dimension=16))
    with pytest.raises(
        VectorStoreError, match=r"embedded with words, not with other: run `citewire reindex`"
    ):
        asked(other, "moon")
    with pytest.raises(VectorStoreError, match=r"run `citewire reindex` first"):
        take_in(other, [make({"id": "new", "text": "A new one."})])
    assert workspace.articles.totals().articles == 4  # the refused article left nothing behind
    with other.index_writer() as indexer:
        assert indexer.rebuild(lambda done: None) == 4
    assert asked(other, "Moon")[0] == asked(workspace, "Moon")[0] == "moon"
    assert len(workspace.articles.collections()) == 2
    assert agree(workspace)
    assert agree(other)
    take_in(other, [make({"id": "new", "text": "A new one."})])
    with pytest.raises(VectorStoreError, match="citewire reindex"):
        asked(workspace, "moon")
    other.close()


@pytest.mark.parametrize("crash", ["before the indexes forget", "before publishing"])
def test_what_a_crash_left_is_tidied_even_if_nothing_changed_since(
    workspace: Services, four: list[Article], crash: str
) -> None:
    take_in(workspace, four)
    if crash == "before publishing":
        with workspace.index_writer() as indexer:
            write(indexer, [replace(four[0], text="Never published.")])
    else:
        workspace.articles.publish([], retired=["bank"], collection=workspace.articles.collections()[0])
        assert not agree(workspace)
        four = [article for article in four if article.id != "bank"]
    assert take_in(workspace, four).unchanged == len(four)
    assert workspace.articles.stale_passages() == []
    assert agree(workspace)


@pytest.mark.parametrize("damage", ["words", "chroma", "both"])
def test_reindex_rebuilds_lost_indexes(
    workspace: Services, four: list[Article], damage: str, tmp_path: Path
) -> None:
    take_in(workspace, four)
    workspace.close()
    data = workspace.settings.data_dir
    for path in [*(data / "words").glob("*"), *(data / "chroma").glob("*/*")]:
        if path.is_file() and damage in (path.relative_to(data).parts[0], "both"):
            path.write_bytes(b"broken")
    again = Services(workspace.settings, embedder=WordEmbedder())
    assert not agree(again)
    with again.index_writer() as indexer:
        indexer.rebuild(lambda done: None)
    assert agree(again)
    assert asked(again, "Moon")[0] == "moon"
    again.close()


def test_two_writers_take_turns(workspace: Services, four: list[Article]) -> None:
    waited, done = threading.Event(), []
    other = Services(workspace.settings, embedder=WordEmbedder())

    def second() -> None:
        with other.index_writer(on_wait=waited.set) as indexer:
            write(indexer, four[2:])
            indexer.publish()
            done.append("second")

    with workspace.index_writer() as indexer:
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(30)
        write(indexer, four[:2])
        indexer.publish()
        done.append("first")
    thread.join(60)
    assert done == ["first", "second"]
    assert workspace.articles.totals().articles == 4
    assert agree(workspace)
    other.close()


def test_a_chroma_server_holds_the_same(workspace: Services, four: list[Article], chroma_url: str) -> None:
    settings = load_settings(data_dir=workspace.settings.data_dir, chroma_url=chroma_url)
    served = Services(settings, embedder=WordEmbedder())
    take_in(served, four)
    assert asked(served, "final on penalties")[0] == "cup"
    take_in(served, [replace(four[0], text="A lander crashed on Mars.")])
    assert asked(served, "Mars")[0] == "moon"
    with served.index_writer() as indexer:
        indexer.publish(retired=["bank"])
        indexer.rebuild(lambda done: None)
    assert agree(served)
    assert served.articles.totals().articles == 3
    served.close()


_WRITER = """
import sys
sys.path[:0] = {tests!r}
from pathlib import Path
from conftest import WordEmbedder, take_in
from bot.ingestion.loaders import read_articles
from bot.indexing import index_writer
from bot.settings import load_settings
from bot.services import Services
# Many small batches, published often.
index_writer._BATCH_SIZE, index_writer._PUBLISH_SECONDS, index_writer._PUBLISH_SHARE = 30, 0.2, 1
workspace = Services(load_settings(data_dir=Path({data!r})), embedder=WordEmbedder())
print("ready", flush=True)
report = take_in(workspace, list(read_articles([Path({source!r})])))
print(report.added, report.changed, report.unchanged, flush=True)
"""


def test_after_any_kill_the_same_command_completes(tmp_path: Path) -> None:
    source = tmp_path / "many.jsonl"
    rows = [
        {"id": f"a{n}", "title": f"Title {n}", "text": f"Sentence {n} about subject{n}. " * 40}
        for n in range(400)
    ]
    source.write_text("\n".join(json.dumps(row) for row in rows))
    command = [
        sys.executable,
        "-c",
        _WRITER.format(
            tests=[str(Path(__file__).parents[1] / name) for name in (".", "helpers")],
            data=str(tmp_path / "data"),
            source=str(source),
        ),
    ]
    chance = random.Random(20)
    for attempt in range(6):
        if attempt == 3:  # from here on every article is replaced by a new version
            rows = [row | {"text": row["text"] + " More."} for row in rows]
            source.write_text("\n".join(json.dumps(row) for row in rows))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.05, 1.5))
            writer.kill()
        between = Services(load_settings(data_dir=tmp_path / "data"), embedder=WordEmbedder())
        for article_id in asked(between, "subject7"):  # what is there can be read at every moment
            assert between.articles.article(article_id)
        between.close()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    workspace = Services(load_settings(data_dir=tmp_path / "data"), embedder=WordEmbedder())
    assert workspace.articles.totals().articles == 400
    assert workspace.articles.stale_passages() == []
    assert agree(workspace)
    assert all(
        (article := workspace.articles.article(f"a{n}")) and article.text.endswith("More.")
        for n in range(400)
    )
    assert len(list((tmp_path / "data" / "chroma").iterdir())) <= 2
    workspace.close()
