"""The question encoder: what is exported gives the model's own vectors, whole or not at all, without torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HEAVY
from lazy_imports import Later
from test_embeddings import tiny_model

from bot.errors import EmbeddingError
from bot.indexing.embeddings import SentenceTransformerEmbedder
from bot.indexing.onnx_encoder import EncoderState, OnnxEncoder

onnx_export = Later("bot.indexing.onnx_export")

TEXTS = [
    "a bank failed .", "", "rain fell", "  A  Bank\n\tFAILED. ", "rain " * 500, "Ünïcödé 🌍 了 \x00 bank", "a", "##s",
    *(f"{'rain fell on a bank . ' * n}" for n in range(1, 30)),
]  # fmt: skip


def loaded(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def settings_changed(folder: Path, file: str, **fields: object) -> Path:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **fields}), encoding="utf-8")
    return folder


def pooled(*modes: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return settings_changed(
            tiny_model(folder), "1_Pooling/config.json", pooling_mode=modes if len(modes) > 1 else modes[0],
        )  # fmt: skip

    return make


def prompted(folder: Path) -> Path:
    prompts = {"query": "bank rain : ", "document": ""}
    return settings_changed(tiny_model(folder), "config_sentence_transformers.json", prompts=prompts)


def equal(encoder: OnnxEncoder, model: Any) -> None:
    """Assert that both give the same vectors, all of length 1."""
    expected = model.encode(TEXTS, normalize_embeddings=True)
    found = encoder.encode(TEXTS)
    assert (found.shape, found.dtype) == ((len(TEXTS), encoder.dimension), np.float32)
    assert found == pytest.approx(expected, abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
    assert encoder.encode([]).shape == (0, encoder.dimension)
    assert encoder.prompt == model.prompts["query"]


@pytest.mark.parametrize(
    "make",
    [
        pooled("cls", "max", "lasttoken", "weightedmean", "mean", "mean_sqrt_len_tokens"),
        lambda folder: tiny_model(folder, dense=1),
    ],
    ids=["all poolings", "dense layer"],
)
def test_an_exported_encoder_s_vectors_are_the_model_s(make: Callable[[Path], Path], tmp_path: Path) -> None:
    model = loaded(make(tmp_path / "model"))
    onnx_export.export_encoder(model, tmp_path / "encoder")
    equal(OnnxEncoder(tmp_path / "encoder"), model)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prompted(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def exported(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of encoders with that of the tiny model in it."""
    encoders = tmp_path_factory.mktemp("exported") / "encoders"
    SentenceTransformerEmbedder(str(tiny), encoders=encoders).ensure_encoder()
    return encoders


@pytest.fixture
def encoders(exported: Path, tmp_path: Path) -> Path:
    """A copy of it to harm."""
    return shutil.copytree(exported, tmp_path / "encoders")


def without_torch(tiny: Path, encoders: Path, program: str) -> None:
    """Run a program with that embedder as `embedder` and assert that it imports nothing heavy."""
    lines = [
        "import sys",
        "from pathlib import Path",
        "from bot.indexing.embeddings import SentenceTransformerEmbedder",
        f"embedder = SentenceTransformerEmbedder({str(tiny)!r}, encoders=Path({str(encoders)!r}))",
        program,
        f"sys.exit(' '.join(name for name in {HEAVY!r} if name in sys.modules) or 0)",
    ]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_questions_are_encoded_in_a_fresh_process_without_torch(tiny: Path, exported: Path) -> None:
    without_torch(
        tiny, exported,
        "embedder.load()\nassert embedder.dimension == 32\nassert embedder.encode([]).shape == (0, 32)\n"
        "assert embedder.encode_query(['a bank failed', '']).shape == (2, 32)\n"
        "assert embedder.encoder_state().name == 'READY'\nembedder.ensure_encoder()",
    )  # fmt: skip


def test_the_encoder_loads_while_another_thread_imports_numpy(tiny: Path, exported: Path) -> None:
    """As the chat does: its thread loads the model while what the first question needs is imported."""
    without_torch(
        tiny, exported,
        "import threading, time, traceback\n"
        "loading = threading.Thread(target=embedder.load)\n"
        "def stack(): return str(traceback.extract_stack(sys._current_frames()[loading.ident]))\n"
        "def half_way(event, args):\n"
        "    if event == 'import' and args[0] == 'numpy.__config__' and not loading.ident:\n"  # numpy's first own
        "        loading.start()\n"
        "        while '_session' not in stack(): time.sleep(0.01)\n"
        "        loading.join(0.2)\n"  # until it waits for the rest of numpy
        "sys.addaudithook(half_way)\n"
        "import numpy\n"
        "loading.join()\n"
        "assert embedder.encode_query(['a bank failed']).shape == (1, 32)",
    )  # fmt: skip


def test_the_query_prompt_stands_before_what_is_read_at_question_time(tiny: Path, exported: Path) -> None:
    texts = ["a bank failed", "rain"]
    with_torch = SentenceTransformerEmbedder(str(tiny))
    with_onnx = SentenceTransformerEmbedder(str(tiny), encoders=exported)
    expected = with_torch.encode([f"bank rain : {text}" for text in texts])
    assert with_torch.encode_query(texts) == pytest.approx(expected, abs=1e-6)
    assert with_onnx.encode_query(texts) == pytest.approx(expected, abs=1e-6)
    assert np.abs(with_onnx.encode(texts) - expected).max() > 0.01
    assert with_torch.encode_query([]).shape == with_onnx.encode_query([]).shape == (0, 32)


def test_without_its_prompt_the_encoder_gives_the_model_s_vectors(tiny: Path, exported: Path) -> None:
    (folder,) = (path for path in exported.iterdir() if path.is_dir())
    equal(OnnxEncoder(folder), loaded(tiny))


def test_passages_are_encoded_by_the_exported_model(tiny: Path, exported: Path) -> None:
    (folder,) = (path for path in exported.iterdir() if path.is_dir())
    expected = SentenceTransformerEmbedder(str(tiny)).encode(TEXTS)
    assert OnnxEncoder(folder).encode([]).shape == (0, 32)
    assert SentenceTransformerEmbedder(str(tiny), encoders=exported).encode(TEXTS) == pytest.approx(
        expected, abs=1e-6
    )
    if version("torch").endswith("+cpu"):  # elsewhere torch is asked whether it has something faster
        without_torch(tiny, exported, "assert embedder.encode(['rain fell', 'a bank']).shape == (2, 32)")


def test_a_prompt_of_every_text_stands_before_passages_too(tmp_path: Path) -> None:
    model = settings_changed(
        tiny_model(tmp_path / "model"), "config_sentence_transformers.json",
        prompts={"query": "bank : ", "passage": "rain : "}, default_prompt_name="passage",
    )  # fmt: skip
    with_onnx = SentenceTransformerEmbedder(str(model), encoders=tmp_path / "encoders")
    with_onnx.ensure_encoder()
    expected = SentenceTransformerEmbedder(str(model)).encode(TEXTS)
    assert with_onnx.encode(TEXTS) == pytest.approx(expected, abs=1e-6)
    assert (
        np.abs(OnnxEncoder(tmp_path / "encoders" / with_onnx.fingerprint).encode(TEXTS) - expected).max()
        > 0.01
    )


def test_an_encoder_exported_before_passages_were_encoded_with_it_serves_questions_alone(
    tiny: Path, encoders: Path
) -> None:
    (folder,) = (path for path in encoders.iterdir() if path.is_dir())
    description = json.loads((folder / "encoder.json").read_text())
    del description["passage_prompt"]
    (folder / "encoder.json").write_text(json.dumps(description))
    embedder = SentenceTransformerEmbedder(str(tiny), encoders=encoders)
    assert embedder.encoder_state() is EncoderState.READY
    assert embedder.encode(TEXTS) == pytest.approx(
        SentenceTransformerEmbedder(str(tiny)).encode(TEXTS), abs=1e-6
    )


def test_int8_is_another_model_near_the_whole_one(tiny: Path, tmp_path: Path) -> None:
    whole = SentenceTransformerEmbedder(str(tiny))
    rounded = SentenceTransformerEmbedder(str(tiny), encoders=tmp_path / "encoders", int8=True)
    assert (rounded.model, rounded.fingerprint == whole.fingerprint) == (f"{tiny} (int8)", False)
    vectors = rounded.encode(TEXTS)  # exports it first
    assert rounded.encoder_state() is EncoderState.READY
    assert vectors == pytest.approx(
        SentenceTransformerEmbedder(str(tiny), encoders=tmp_path / "encoders", int8=True).encode(TEXTS)
    )
    cosines = np.sum(vectors * whole.encode(TEXTS), axis=1)
    assert 0.95 < cosines.min() < 1 - 1e-6
    query = rounded.encode_query(["a bank failed"]) @ whole.encode_query(["a bank failed"]).T
    assert query.item() > 0.95


def test_int8_is_for_the_cpu(tiny: Path, tmp_path: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(tiny), device="meta", encoders=tmp_path, int8=True)
    for encode in (embedder.encode, embedder.encode_query):
        with pytest.raises(EmbeddingError, match="CITEWIRE_DEVICE is meta: int8 is for the CPU"):
            encode(["rain"])


def test_threads_share_an_encoder(exported: Path) -> None:
    (folder,) = (path for path in exported.iterdir() if path.is_dir())
    encoder, wrong = OnnxEncoder(folder), []
    expected = encoder.encode(TEXTS)

    def ask(first: int) -> None:
        for i in range(first, len(TEXTS)):
            if np.abs(encoder.encode(TEXTS[i : i + 3]) - expected[i : i + 3]).max() > 1e-5:
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


ENDING = """
import sys, threading, time
from pathlib import Path
from bot.indexing import onnx_encoder, onnx_runtime
load, inside = onnx_runtime.open_session, threading.Event()
def slow(file, **options):
    inside.set()
    time.sleep(0.3)
    session = load(file, **options)
    print("loaded", flush=True)
    return session
onnx_runtime.open_session = slow
threading.Thread(target=onnx_encoder.OnnxEncoder, args=[Path(sys.argv[1])], daemon=True).start()
inside.wait()
"""


def test_a_process_that_ends_while_a_thread_loads_the_encoder_is_not_aborted(exported: Path) -> None:
    (folder,) = (path for path in exported.iterdir() if path.is_dir())
    command = [sys.executable, "-c", ENDING, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "loaded\n", "")


def test_the_encoder_notes_nothing_for_its_maker(exported: Path, tmp_path: Path) -> None:
    """onnxruntime would keep what it is going to send, and a number for this machine, in the home folder."""
    (folder,) = filter(Path.is_dir, exported.iterdir())
    program = f"from pathlib import Path; from bot.indexing.onnx_encoder import OnnxEncoder; OnnxEncoder(Path({str(folder)!r}))"
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    environment = {
        name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"
    } | places
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert not list(tmp_path.rglob("*"))


def copying(whole: Path, asked: list[Path]) -> Callable[[object, Path], None]:
    """Return an export that is done at once: the real one takes seconds, and is tested above."""

    def export(model: object, folder: Path, **options: object) -> None:
        asked.append(folder)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)

    return export


def cut(name: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return harm


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "harm",
    [
        cut("model.onnx"),
        cut("model.onnx.data"),
        cut("tokenizer.json"),
        cut("encoder.json"),
        emptied,
        lambda folder: (folder / "encoder.json").write_text("[]"),
        lambda folder: (folder / "model.onnx.data").unlink(),
    ],
    ids=["graph cut", "weights cut", "tokenizer cut", "description cut", "emptied", "description of nothing", "no weights"],
)  # fmt: skip
def test_torch_answers_where_the_exported_files_are_damaged_until_they_are_made_anew(
    tiny: Path, encoders: Path, harm: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = (path for path in encoders.iterdir() if path.is_dir())
    whole = shutil.copytree(folder, encoders.parent / "whole")
    harm(folder)
    with pytest.raises(EmbeddingError, match=rf"^{folder}: .* cannot be loaded \(.*reindex --encoder"):
        OnnxEncoder(folder)
    embedder = SentenceTransformerEmbedder(str(tiny), encoders=encoders)
    assert embedder.encoder_state() is EncoderState.BROKEN
    assert embedder.dimension == 32
    expected = SentenceTransformerEmbedder(str(tiny)).encode_query(["rain"])
    assert embedder.encode_query(["rain"]) == pytest.approx(expected, abs=1e-6)
    embedder.load()

    monkeypatch.setattr("bot.indexing.onnx_export.export_encoder", copying(whole, []))
    embedder.ensure_encoder()
    assert embedder.encoder_state() is EncoderState.READY


def test_what_a_killed_export_left_is_no_encoder_and_is_removed(
    tiny: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = (path for path in encoders.iterdir() if path.is_dir())
    whole = shutil.copytree(folder, encoders.parent / "whole")
    draft = folder.rename(folder.with_name(f".{folder.name}-half"))
    (draft / "encoder.json").unlink()
    embedder = SentenceTransformerEmbedder(str(tiny), encoders=encoders)
    assert embedder.encoder_state() is EncoderState.MISSING
    assert embedder.encode_query(["rain"]).shape == (1, 32)
    monkeypatch.setattr("bot.indexing.onnx_export.export_encoder", copying(whole, []))
    embedder.ensure_encoder()
    assert [path for path in encoders.iterdir() if path.is_dir()] == [folder]
    without_torch(tiny, encoders, "embedder.encode_query(['rain'])")


def test_of_several_that_need_it_one_exports(
    tiny: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = (path for path in exported.iterdir() if path.is_dir())
    asked: list[Path] = []
    monkeypatch.setattr("bot.indexing.onnx_export.export_encoder", copying(whole, asked))
    embedders = [SentenceTransformerEmbedder(str(tiny), encoders=tmp_path / "new") for _ in range(3)]
    threads = [threading.Thread(target=embedder.ensure_encoder) for embedder in embedders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    embedders[0].ensure_encoder()
    assert asked == [tmp_path / "new" / embedders[0].fingerprint]
    assert {embedder.encoder_state() for embedder in embedders} == {EncoderState.READY}
    embedders[0].ensure_encoder(force=True)
    assert len(asked) == 2


def test_vectors_that_differ_are_refused_and_leave_the_old_encoder(
    tiny: Path, encoders: Path, tmp_path: Path
) -> None:
    model = loaded(tiny)
    own = model.encode
    model.encode = lambda texts, **options: own(texts, **options) + np.float32(3e-3)
    (folder,) = (path for path in encoders.iterdir() if path.is_dir())
    with pytest.raises(EmbeddingError, match=r"vectors differ from the model's by [3-9]\.\de-0[23]"):
        onnx_export.export_encoder(model, folder)
    assert {path.name for path in encoders.iterdir()} == {folder.name, f"{folder.name}.lock"}
    assert OnnxEncoder(folder).dimension == 32


def test_a_model_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models

    static = StaticEmbedding(Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")), embedding_dim=8)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"))
    embedder = SentenceTransformerEmbedder(str(tmp_path / "static"), encoders=tmp_path / "encoders")
    with pytest.raises(EmbeddingError, match=r"cannot be exported \(the model wants offsets\)"):
        embedder.ensure_encoder()
    assert embedder.encoder_state() is EncoderState.MISSING
    assert embedder.encode_query(["a"]).shape == (1, 8)


def test_a_folder_that_cannot_be_written_is_named(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "encoders").touch()
    embedder = SentenceTransformerEmbedder(str(tiny), encoders=tmp_path / "encoders")
    with pytest.raises(EmbeddingError, match=f"cannot be written: .*{tmp_path / 'encoders'}"):
        embedder.ensure_encoder()
    assert embedder.encode_query(["rain"]).shape == (1, 32)


def test_a_device_of_one_s_own_choice_is_used_for_questions_too(tiny: Path, exported: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(tiny), device="meta", encoders=exported)
    assert embedder.encoder_state() is EncoderState.UNUSED
    embedder.ensure_encoder()  # nothing to do
    with pytest.raises(EmbeddingError, match=r"^CITEWIRE_DEVICE is meta: .*would not be used"):
        embedder.ensure_encoder(force=True)
    assert SentenceTransformerEmbedder(str(tiny), device="cpu", encoders=exported).encoder_state() is (
        EncoderState.READY
    )
