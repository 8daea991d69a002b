"""Back-ups: what is written while all goes on comes back whole, and what is not whole does not come back."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import WordEmbedder, make, take_in, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from bot.articles.article import Article
from bot.doctor import examine
from bot.errors import BackupError, DatabaseError
from bot.services import Services
from bot.settings import load_settings
from bot.storage import migrations
from bot.storage.backup import create_backup
from bot.storage.backup_archive import LIBRARY, Manifest
from bot.storage.restore import restore
from bot.storage.schema import slack_jobs

Open = Callable[[str], Services]


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Open]:
    """Opens a data folder by its name."""
    opened: list[Services] = []

    def open_one(name: str) -> Services:
        opened.append(
            Services(load_settings(data_dir=tmp_path / name, min_confidence=0.3), embedder=WordEmbedder())
        )
        return opened[-1]

    yield open_one
    for workspace in opened:
        workspace.close()


@pytest.fixture
def archive(at: Open, four: list[Article], tmp_path: Path) -> Path:
    """A back-up of four articles."""
    kept = at("kept")
    take_in(kept, four)
    create_backup(kept.settings, tmp_path / "four.tar")
    return tmp_path / "four.tar"


def assert_healthy(workspace: Services) -> None:
    workspace.bm25_sync.sync(wait=True)  # as the command does, or else the first question
    assert [check for check in examine(workspace) if not check.ok] == []
    (collection,) = workspace.articles.collections()
    assert workspace.vector_store.count(collection.location) == workspace.articles.totals().passages


def holds_nothing(folder: Path) -> bool:
    return not (folder / LIBRARY).exists()


def remains(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".citewire")]


# There and back


def test_what_comes_back_is_what_was_there(at: Open, four: list[Article], tmp_path: Path) -> None:
    kept, restored = at("kept"), at("restored")
    take_in(kept, four)
    *_, trace = kept.pipeline.run(kept_question())
    kept.answers.save(trace)
    manifest = create_backup(kept.settings, tmp_path / "all.tar")
    assert restore(restored.settings, tmp_path / "all.tar") == manifest
    assert (manifest.articles, manifest.passages) == (4, 4)
    assert restored.articles.content_hash() == kept.articles.content_hash() == manifest.content_hash
    assert restored.articles.library_id == kept.articles.library_id
    assert restored.answers.load(trace.answer.id) == kept.answers.load(trace.answer.id)
    again = restored.chain.invoke("Who won the final against France on penalties?")
    assert (again.text, again.citations) == (trace.answer.text, trace.answer.citations)
    assert again.status == "answered"
    assert_healthy(restored)
    take_in(restored, [make({"id": "new", "text": "A comet was seen over Oslo."})])
    assert_healthy(restored)
    assert restored.articles.totals().articles == 5


OPEN = [
    ("question", "waiting", "failed"),
    ("edit", "working", "failed"),
    ("command", "waiting", "failed"),
    ("check", "working", "failed"),
    ("correction", "waiting", "waiting"),  # who has been told too much has lost nothing
    ("delete", "working", "working"),
    ("question", "done", "done"),
]


def test_what_was_open_in_slack_is_not_answered_a_second_time(at: Open, tmp_path: Path) -> None:
    own = at("data")
    with own.articles.transaction() as connection:
        for n, (kind, state, _) in enumerate(OPEN):
            row = dict.fromkeys(
                ("lane", "channel", "thread", "target", "ts", "person", "team", "text"), str(n)
            )
            row |= {"kind": kind, "state": state, "owner": "", "reply": "", "answer_id": ""}
            times = {"received": 0.0, "due": 0.0, "tries": 0, "posting": False, "details": {}}
            connection.execute(slack_jobs.insert().values(row | times))
    create_backup(own.settings, tmp_path / "slack.tar")
    new = load_settings(data_dir=tmp_path / "new")
    restore(new, tmp_path / "slack.tar")
    with at("new").articles.connect() as connection:
        found = connection.execute(slack_jobs.select().order_by(slack_jobs.c.id)).all()
    assert [(row.kind, row.state) for row in found] == [(kind, now) for kind, _, now in OPEN]
    assert [row.posting for row in found] == [True] * 6 + [False]  # looked for before it is said again


def kept_question() -> Any:
    from bot.answering.question import Question

    return Question("Who won the final against France on penalties?")


def test_only_its_owner_can_read_a_back_up_and_nothing_else_is_left(archive: Path, tmp_path: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    assert remains(tmp_path) == []
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert names[0] == "manifest.json"
    assert not [name for name in names if name.startswith(("words", "encoders"))]


def test_a_folder_without_articles_comes_back_too(at: Open, tmp_path: Path) -> None:
    kept, restored = at("kept"), at("restored")
    assert kept.articles.is_empty()
    create_backup(kept.settings, tmp_path / "none.tar")
    assert restore(restored.settings, tmp_path / "none.tar").articles == 0
    assert restored.articles.library_id == kept.articles.library_id


def test_what_was_forgotten_is_in_no_library_that_was_backed_up(
    at: Open, four: list[Article], tmp_path: Path
) -> None:
    kept = at("kept")
    take_in(kept, [*four, make({"id": "secret", "text": "Zanzibarbarossa " * 200})])
    with kept.index_writer() as indexer:
        indexer.publish(retired=["secret"])
    create_backup(kept.settings, tmp_path / "all.tar")
    # Of the library: Chroma writes what happens to lie in its process's memory into the unused rooms of its files.
    with tarfile.open(tmp_path / "all.tar") as tar:
        content = tar.extractfile(LIBRARY).read()  # type: ignore[union-attr]
    assert b"Argentina won the final" in content
    assert b"Zanzibarbarossa" not in content


# While all goes on


def test_it_waits_for_no_writer_and_holds_what_was_published(
    at: Open, four: list[Article], tmp_path: Path
) -> None:
    kept, restored = at("kept"), at("restored")
    take_in(kept, four[:3])
    with kept.index_writer() as indexer:
        write(indexer, [four[3], make({"id": "moon", "text": "The lander has tipped over."})])
        create_backup(kept.settings, tmp_path / "meanwhile.tar")
        indexer.publish()
    assert restore(restored.settings, tmp_path / "meanwhile.tar").articles == 3
    assert_healthy(restored)
    assert "touched down" in restored.articles.article("moon").text  # type: ignore[union-attr]
    take_in(restored, four)  # which first discards what was half done
    assert restored.articles.totals().articles == 4
    assert restored.articles.stale_passages() == []
    assert_healthy(restored)


def test_whatever_is_published_meanwhile_each_back_up_is_of_one_moment(at: Open, tmp_path: Path) -> None:
    kept, stop = at("kept"), threading.Event()
    take_in(kept, [make({"id": "first", "text": "The first of many."})])

    def ingest() -> None:
        writer, number = at("kept"), 0
        while not stop.is_set():
            number += 1
            ids = (number, number + 1)  # one that is new and one that is replaced
            take_in(writer, [make({"id": f"a{n}", "text": f"Number {number} of it. " * 60}) for n in ids])

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        for number in range(8):
            manifest = create_backup(kept.settings, tmp_path / f"{number}.tar")
            restored = at(f"restored-{number}")
            restore(restored.settings, tmp_path / f"{number}.tar")
            assert restored.articles.generation() == manifest.generation
            assert restored.articles.content_hash() == manifest.content_hash
            restored.retriever.search("number")
            assert_healthy(restored)
    finally:
        stop.set()
        thread.join()


def test_vectors_that_are_taken_away_while_they_are_read_are_not_missed(
    at: Open, four: list[Article], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between naming a collection and opening its files, which no loop would hit."""
    from bot.storage import backup

    kept, restored, locations = at("kept"), at("restored"), backup._locations
    take_in(kept, four[:2])
    late = iter(four[2:])

    def twice_published(library: Any) -> list[str]:
        found = locations(library)
        for article in late:  # the first collection is swept only after the second publishing
            take_in(at("kept"), [article])
        return found

    monkeypatch.setattr(backup, "_locations", twice_published)
    assert create_backup(kept.settings, tmp_path / "all.tar").articles == 4
    restore(restored.settings, tmp_path / "all.tar")
    assert_healthy(restored)


def test_one_back_up_at_a_time(archive: Path, at: Open, tmp_path: Path) -> None:
    from filelock import FileLock

    with FileLock(tmp_path / "kept" / "backup.lock"), pytest.raises(BackupError, match="being made"):
        create_backup(at("kept").settings, tmp_path / "other.tar")
    assert not (tmp_path / "other.tar").exists()


# What is refused


def test_a_back_up_is_not_written_over_another(archive: Path, at: Open) -> None:
    before = archive.read_bytes()
    with pytest.raises(BackupError, match="exists"):
        create_backup(at("kept").settings, archive)
    assert archive.read_bytes() == before


def test_a_folder_without_a_library_is_no_folder_to_back_up(at: Open, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="holds no library"):
        create_backup(at("nowhere").settings, tmp_path / "none.tar")
    assert not (tmp_path / "nowhere").exists()


def test_lost_vectors_are_not_backed_up_as_if_they_were_there(
    archive: Path, at: Open, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "kept" / "chroma")
    with pytest.raises(BackupError, match="nothing is left of it"):
        create_backup(at("kept").settings, tmp_path / "lost.tar")
    assert not (tmp_path / "lost.tar").exists()
    assert remains(tmp_path) == []


@pytest.mark.parametrize(
    "servers",
    [
        {"database_url": "postgresql+psycopg://citewire@db/citewire"},
        {"chroma_url": "http://chroma:8000"},
        {"database_url": "postgresql+psycopg://citewire@db/citewire", "chroma_url": "http://chroma:8000"},
    ],
)
def test_servers_are_backed_up_by_their_own_means(
    servers: dict[str, str], archive: Path, tmp_path: Path
) -> None:
    configured = load_settings(data_dir=tmp_path / "new", **servers)
    for act in (create_backup, restore):
        with pytest.raises(BackupError, match=r"CITEWIRE_(DATABASE|CHROMA)_URL.*deploy/backup\.sh"):
            act(configured, archive)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", [LIBRARY, "library.sqlite-wal", "chroma", "words", "notes.txt"])
def test_nothing_is_restored_over_anything(name: str, archive: Path, at: Open, tmp_path: Path) -> None:
    folder = tmp_path / "used"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(BackupError, match="is not empty"):
        restore(at("used").settings, archive)
    assert (folder / name).read_text() == "mine"
    assert {path.name for path in folder.iterdir()} <= {name, "library.lock"}


def test_a_new_disk_and_an_interrupted_restore_count_as_empty(
    archive: Path, at: Open, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    for name in ("lost+found", "restoring/chroma", "chroma/half"):
        (folder / name).mkdir(parents=True)
    restore(at("disk").settings, archive)
    assert_healthy(at("disk"))
    assert not (folder / "restoring").exists()
    assert not (folder / "chroma" / "half").exists()


def test_who_opens_the_folder_meanwhile_waits_for_the_library(
    archive: Path, at: Open, tmp_path: Path
) -> None:
    done = threading.Event()

    def restore_all() -> None:
        restore(at("new").settings, archive)
        done.set()

    from filelock import FileLock

    (tmp_path / "new").mkdir()
    with FileLock(tmp_path / "new" / "library.lock"):  # as an opener holds it, and the restore too
        thread = threading.Thread(target=restore_all)
        thread.start()
        assert not done.wait(0.2)
        assert holds_nothing(tmp_path / "new")
    thread.join()
    assert at("new").articles.totals().articles == 4


# Archives that are not whole, or not ours


def changed(archive: Path, **fields: object) -> Path:
    """Return a copy with another manifest, all else the same."""

    def manifest(content: dict[str, Any]) -> dict[str, Any]:
        return content | fields

    return rebuilt(archive, manifest=manifest)


def rebuilt(
    archive: Path,
    *,
    manifest: Callable[[dict[str, Any]], dict[str, Any]] = lambda same: same,
    rename: Callable[[str], str] = lambda same: same,
    extra: list[tarfile.TarInfo] | None = None,
) -> Path:
    target = archive.with_name("rebuilt.tar")
    with tarfile.open(archive) as source, tarfile.open(target, "w") as tar:
        for member in source:
            content = source.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == "manifest.json":
                content = json.dumps(manifest(json.loads(content))).encode()
            member.name, member.size = rename(member.name), len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra or ():
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return target


def assert_refused(archive: Path, workspace: Services, match: str) -> None:
    with pytest.raises(BackupError, match=match):
        restore(workspace.settings, archive)
    folder = workspace.settings.data_dir
    assert not folder.exists() or {path.name for path in folder.iterdir()} <= {"library.lock"}


@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.2, 0.5, 0.9, 0.97])
def test_an_archive_that_is_cut_short_restores_nothing(share: float, archive: Path, at: Open) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    assert_refused(archive, at("new"), "cannot be restored")
    archive.write_bytes(whole)
    restore(at("new").settings, archive)
    assert_healthy(at("new"))


def test_parts_that_are_missing_are_missed(archive: Path, at: Open) -> None:
    with tarfile.open(archive) as tar:
        at_end = tar.getmembers()[-1].offset
    archive.write_bytes(archive.read_bytes()[:at_end] + bytes(1024))  # a well-formed end
    assert_refused(archive, at("new"), "is missing")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_byte_that_was_changed_is_found_or_does_not_matter(
    data: st.DataObject, archive: Path, at: Open, tmp_path: Path
) -> None:
    content = bytearray(archive.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 3000))
    content[place] ^= data.draw(st.integers(1, 255))
    (tmp_path / "damaged.tar").write_bytes(content)
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    try:
        restore(at("new").settings, tmp_path / "damaged.tar")
    except BackupError:
        assert holds_nothing(tmp_path / "new")
    else:
        assert at("new").articles.content_hash() == at("kept").articles.content_hash()
        at("new").close()


@pytest.mark.parametrize(
    "name",
    [
        "../outside", "/tmp/outside", "chroma/../../outside", "chroma/../library.sqlite", "chroma/./x", "chroma//x",
        "chroma/", "chroma", "words/x", "chroma/.hidden", "citewire.toml", "chroma\\x", "chroma/C:x", "chroma/a\nb", "",
        "chroma/" + "x" * 300,
    ],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(name: str, archive: Path, at: Open, tmp_path: Path) -> None:
    def manifest(content: dict[str, Any]) -> dict[str, Any]:
        last = list(content["parts"])[-1]
        return content | {"parts": content["parts"] | {name: content["parts"][last]}}

    before = set(tmp_path.iterdir())
    assert_refused(rebuilt(archive, manifest=manifest), at("new"), "has no place in a data folder")
    extra = tarfile.TarInfo(name)
    assert_refused(rebuilt(archive, extra=[extra]), at("new"), "its manifest does not")
    assert {path.name for path in set(tmp_path.iterdir()) - before} == {"rebuilt.tar", "new"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_nothing_but_files_is_taken_out(kind: bytes, archive: Path, at: Open, tmp_path: Path) -> None:
    odd = tarfile.TarInfo("chroma/link")
    odd.type, odd.linkname = kind, str(archive)

    def manifest(content: dict[str, Any]) -> dict[str, Any]:
        empty = {"size": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
        return content | {"parts": content["parts"] | {"chroma/link": empty}}

    assert_refused(rebuilt(archive, manifest=manifest, extra=[odd]), at("new"), "its manifest does not")


def test_a_part_comes_once(archive: Path, at: Open) -> None:
    assert_refused(rebuilt(archive, extra=[tarfile.TarInfo(LIBRARY)]), at("new"), "its manifest does not")


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"schema_version": len(migrations.MIGRATIONS) + 1}, "newer Citewire"),
        ({"format": 2}, "manifest cannot be understood: format"),
        ({"unknown": 1}, "manifest cannot be understood: unknown"),
        ({"parts": {LIBRARY: {"size": 10**18, "sha256": "0" * 64}}}, "the disk of"),
    ],
)
def test_what_is_not_understood_is_not_restored(
    fields: dict[str, object], match: str, archive: Path, at: Open
) -> None:
    assert_refused(changed(archive, **fields), at("new"), match)


@pytest.mark.parametrize("content", [b"", b"not a tar file", bytes(10_240), b"\x1f\x8b" + bytes(100)])
def test_other_files_are_not_back_ups(content: bytes, at: Open, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(content)
    assert_refused(tmp_path / "other", at("new"), "cannot be restored")


def test_a_tar_of_something_else_is_not_a_back_up(at: Open, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("notes")
    with tarfile.open(tmp_path / "other.tar", "w") as tar:
        tar.add(tmp_path / "notes", "notes")
    assert_refused(tmp_path / "other.tar", at("new"), "does not begin with a manifest")
    assert_refused(tmp_path / "nothing.tar", at("new"), "No such file")
    assert_refused(tmp_path, at("new"), "Is a directory")


# Schemas


@pytest.mark.parametrize("number", range(1, len(migrations.MIGRATIONS)))
def test_an_older_library_is_backed_up_as_it_is_and_brought_up_when_it_is_opened(
    number: int, at: Open, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    engine = create_engine(f"sqlite:///{tmp_path / 'kept' / LIBRARY}")
    migrations.migrate(engine, migrations.MIGRATIONS[:number])
    engine.dispose()
    assert create_backup(at("kept").settings, tmp_path / "old.tar").schema_version == number
    restore(at("new").settings, tmp_path / "old.tar")
    assert at("new").articles.schema_version() == len(migrations.MIGRATIONS)


def test_a_newer_library_under_an_older_number_is_not_opened(archive: Path, at: Open, tmp_path: Path) -> None:
    newer = (*migrations.MIGRATIONS, lambda _: None)
    engine = create_engine(f"sqlite:///{tmp_path / 'kept' / LIBRARY}")
    migrations.migrate(engine, newer)
    engine.dispose()
    manifest = create_backup(at("kept").settings, tmp_path / "newer.tar")
    assert manifest.schema_version == len(newer)
    assert_refused(tmp_path / "newer.tar", at("new"), "newer Citewire")
    lying = changed(tmp_path / "newer.tar", schema_version=len(migrations.MIGRATIONS))
    restore(at("new").settings, lying)
    with pytest.raises(DatabaseError, match="newer Citewire"):
        assert at("new").articles


# Disks that fill up, and processes that die


def limited(size: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [4_096, 60_000, 150_000])
def test_where_no_more_can_be_written_nothing_is_left(size: int, archive: Path, tmp_path: Path) -> None:
    assert archive.stat().st_size > size
    for command, file, data in (("backup", "full.tar", "kept"), ("restore", archive, "new")):
        done = subprocess.run(
            [Path(sys.executable).with_name("citewire"), "--data-dir", tmp_path / data, command, file],
            preexec_fn=limited(size), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("citewire: "), done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "full.tar").exists()
    assert remains(tmp_path) == []
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"library.lock"}


# Forks a process for each thing that a back-up or restore does to the file system, which dies before it does it.
_DYING = """
import json, os, signal, sys
from pathlib import Path
from bot.storage.backup import create_backup
from bot.storage.restore import restore
from bot.settings import load_settings

act, folder, archive = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}

def die_at(count):
    left = count
    def hook(event, arguments):
        nonlocal left
        if event in EVENTS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

count = 0
while True:
    data, target = (folder, f"{archive}.{count}") if act == "backup" else (f"{folder}-{count}", archive)
    child = os.fork()
    if not child:
        die_at(count)
        (create_backup if act == "backup" else restore)(load_settings(data_dir=data), Path(target))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        break
    count += 1
print(count if status == 0 else -1)
"""


def dying(act: str, folder: Path, archive: Path) -> int:
    program = [sys.executable, "-c", _DYING, act, str(folder), str(archive)]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return int(subprocess.run(program, capture_output=True, text=True, check=True, env=env).stdout)


def test_a_restore_that_is_killed_anywhere_leaves_nothing_or_all(
    archive: Path, at: Open, tmp_path: Path
) -> None:
    moments = dying("restore", tmp_path / "new", archive)
    assert moments > 20
    whole = 0
    for number in range(moments + 1):
        workspace = at(f"new-{number}")
        if not workspace.settings.data_dir.exists() or holds_nothing(workspace.settings.data_dir):
            restore(workspace.settings, archive)  # the same again goes through
        else:
            whole += 1
        assert workspace.articles.totals().articles == 4
        assert_healthy(workspace)
        workspace.close()
    assert 1 <= whole < moments


def test_a_back_up_that_is_killed_anywhere_is_not_there_or_whole(
    archive: Path, at: Open, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    moments = dying("backup", tmp_path / "kept", tmp_path / "elsewhere" / "b")
    assert moments > 20
    found = [path for path in (tmp_path / "elsewhere").iterdir() if path.name.startswith("b.")]
    assert tmp_path / "elsewhere" / f"b.{moments}" in found
    for path in found:
        restore(at(f"from-{path.name}").settings, path)
        assert_healthy(at(f"from-{path.name}"))
    assert remains(tmp_path / "elsewhere") == []  # each tidied up after the one before
    assert_healthy(at("kept"))


# The commands


def test_the_manifest_is_what_the_commands_print(
    archive: Path, at: Open, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer.testing import CliRunner

    from bot.cli.main import app

    done = CliRunner().invoke(
        app, ["--data-dir", str(tmp_path / "kept"), "backup", str(tmp_path / "cli.tar"), "--json"]
    )
    assert done.exit_code == 0
    printed = Manifest.model_validate_json(done.stdout)
    with tarfile.open(tmp_path / "cli.tar") as tar:
        assert Manifest.model_validate_json(tar.extractfile("manifest.json").read()) == printed  # type: ignore[union-attr]
    empty = at("empty")
    assert empty.articles.is_empty()
    create_backup(empty.settings, tmp_path / "empty.tar")
    done = CliRunner().invoke(
        app, ["--data-dir", str(tmp_path / "other"), "restore", str(tmp_path / "empty.tar")]
    )
    assert done.exit_code == 0
    assert "0 articles, 0 passages as of" in done.stdout
