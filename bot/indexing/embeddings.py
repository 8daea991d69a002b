"""Text to vectors: the packaged all-MiniLM-L6-v2, or any sentence-transformers model by name or folder."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bot.errors import EmbeddingError
from bot.indexing.model_files import (
    PACKAGED_MODEL,
    PACKAGED_SHA256,
    folder_digest,
    packaged_digest,
    packaged_folder,
)
from bot.indexing.onnx_encoder import DESCRIPTION, EncoderState, OnnxEncoder, query_prompt
from bot.indexing.onnx_runtime import ensure_exported, is_complete

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_CPU_BATCH = 8  # texts at once with torch: a CPU is a quarter slower with 32, which a GPU wants


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
        """Return one vector of length 1 a text of an article: shape (len(texts), dimension)."""

    def encode_query(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same for what is read while a question waits: itself, and sentences compared with it."""

    def verify(self) -> None:
        """Check that the model's weights are those they should be. Raises EmbeddingError."""

    def load(self) -> None:
        """Load the model now, so that the first question does not wait for it. Raises EmbeddingError."""

    def encoder_state(self) -> EncoderState:
        """Return whether questions can be encoded without torch; loads nothing."""

    def ensure_encoder(self, *, anew: bool = False) -> None:
        """Export the question encoder if it is missing or damaged, or in any case. Raises EmbeddingError."""


class SentenceTransformerEmbedder:
    """A sentence-transformers model, loaded when the first text is encoded; safe to share between threads."""

    def __init__(
        self, model: str = "", *, device: str = "", encoders: Path | None = None, int8: bool = False
    ) -> None:
        """Find the model without loading it; an empty name means the packaged one. Raises EmbeddingError.

        `encoders` is the folder of exported encoders, one for each model; without it torch does all. `int8` rounds
        the weights of the exported one: it is another model then, by its name and fingerprint too.
        """
        self._name = model or PACKAGED_MODEL
        self.model = f"{self._name} (int8)" if int8 else self._name
        self._int8 = int8
        self._device = device or None
        self._folder = packaged_folder() if not model else _home_expanded(model)
        self._packaged = not model
        self._encoders = encoders if device in ("", "cpu") else None
        self._lock = threading.RLock()
        self._refused: EmbeddingError | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Of all files for a model in a folder; of the name for one from a hub, weights unknown.

        Of the packaged model, that of the tested weights: they are verified where they are read, and questions
        are answered without reading them.
        """
        if self._packaged:
            weights = PACKAGED_SHA256
        elif self._folder.is_dir():
            weights = folder_digest(self._folder)
        elif self._folder.is_absolute() or self._name.startswith((".", "~")):  # no hub has such names
            raise self._unloadable("there is no such folder")
        else:
            weights = ""
        return hashlib.sha256(f"{self.model}\n{weights}".encode()).hexdigest()[:12]

    @property
    def dimension(self) -> int:
        """The length of a vector; loads the question encoder, or else the model."""
        if encoder := self._loaded_encoder:
            return encoder.dimension
        return int(self._loaded.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector of length 1 a text of an article: shape (len(texts), dimension)."""
        if texts and (encoder := self._passage_encoder):
            return encoder.encode([f"{encoder.passage_prompt}{text}" for text in texts])
        return self._encode(texts, prompt=None)

    def encode_query(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same for questions and what is compared with them, behind the model's query prompt."""
        if encoder := self._loaded_encoder:
            return encoder.encode([encoder.prompt + text for text in texts])
        return self._encode(texts, prompt=query_prompt(self._loaded))

    def _encode(self, texts: Sequence[str], *, prompt: str | None) -> NDArray[np.float32]:
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        model = self._loaded
        vectors = model.encode(
            list(texts),
            prompt=prompt,
            batch_size=_CPU_BATCH if model.device.type == "cpu" else 32,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def verify(self) -> None:
        """Check that the model is there, and the packaged one's weights by their hash. Raises EmbeddingError."""
        _ = packaged_digest(self._folder) if self._packaged else self.fingerprint

    def load(self) -> None:
        """Load what questions need now, so that the first does not wait for it. Raises EmbeddingError."""
        _ = self._loaded_encoder or self._loaded

    def encoder_state(self) -> EncoderState:
        """Return whether questions can be encoded without torch; loads nothing."""
        if (folder := self._encoder_folder) is None:
            return EncoderState.UNUSED
        if not folder.is_dir():
            return EncoderState.MISSING
        return EncoderState.READY if is_complete(folder, DESCRIPTION) else EncoderState.BROKEN

    def ensure_encoder(self, *, anew: bool = False) -> None:
        """Export the question encoder if it is missing or damaged, or in any case. Raises EmbeddingError."""
        if self._refused and not anew:
            raise self._refused  # an hour's ingest need not try again what takes ten seconds to fail
        if self.encoder_state() in (EncoderState.MISSING, EncoderState.BROKEN) or anew:
            try:
                self._export(anew=anew)
            except EmbeddingError as exc:
                self._refused = exc
                raise
            with self._lock:
                self.__dict__.pop("_encoder", None)

    def _export(self, *, anew: bool) -> None:
        if (folder := self._encoder_folder) is None:
            raise EmbeddingError(
                f"CITEWIRE_DEVICE is {self._device}: the question encoder is for the CPU and would not be used"
            )
        model = self._loaded  # first: where it cannot be loaded, that is what has to be said
        from bot.indexing.onnx_export import export_encoder

        def export() -> None:
            export_encoder(model, folder, int8=self._int8)

        try:
            ensure_exported(folder, DESCRIPTION, export, again=anew)
        except OSError as exc:
            raise EmbeddingError(f"the question encoder cannot be written: {exc}") from exc

    @property
    def _encoder_folder(self) -> Path | None:
        return self._encoders / self.fingerprint if self._encoders else None

    @property
    def _loaded_encoder(self) -> OnnxEncoder | None:
        with self._lock:
            return self._encoder

    @cached_property
    def _encoder(self) -> OnnxEncoder | None:
        folder = self._encoder_folder
        if self._int8:
            return self._int8_encoder()
        if folder is None or not folder.is_dir():
            return None
        try:
            return OnnxEncoder(folder)
        except EmbeddingError as exc:  # a copy is broken, not the model: torch answers, and the doctor tells
            logger.info("%s", exc)
            return None

    def _int8_encoder(self) -> OnnxEncoder:
        """Load the rounded model, exporting it if need be; torch has only the whole one. Raises EmbeddingError."""
        if (folder := self._encoder_folder) is None:
            raise EmbeddingError(
                f"CITEWIRE_DEVICE is {self._device}: int8 is for the CPU; unset it or CITEWIRE_EMBEDDING_PRECISION"
            )
        self.ensure_encoder()
        return OnnxEncoder(folder)

    @cached_property
    def _passage_encoder(self) -> OnnxEncoder | None:
        """The exported model, exported first if need be; None where torch is faster, or has to do."""
        if not self._int8:
            if self._encoder_folder is None or not _runs_on_cpu(self._device):
                return None
            try:
                self.ensure_encoder()
            except EmbeddingError as exc:
                logger.info("%s", exc)
                return None
        encoder = self._loaded_encoder
        return None if encoder is None or encoder.passage_prompt is None else encoder

    @property
    def _loaded(self) -> Any:
        with self._lock:
            return self._model

    @cached_property
    def _model(self) -> Any:
        self.verify()  # before anything reads them
        local = self._folder.is_dir()
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for 0.1 s of loading only disturbs
        try:
            return SentenceTransformer(
                str(self._folder) if local else self._name, device=self._device, local_files_only=local
            )
        except Exception as exc:
            raise self._unloadable((str(exc).strip() or type(exc).__name__).splitlines()[0]) from exc

    def _unloadable(self, reason: str) -> EmbeddingError:
        return EmbeddingError(
            f"the embedding model {self._name!r} cannot be loaded ({reason}); check "
            "CITEWIRE_EMBEDDING_MODEL and CITEWIRE_DEVICE, and the network if it is to be fetched"
        )


def _runs_on_cpu(device: str | None) -> bool:
    from importlib.metadata import version

    # Known without the seconds that torch takes to import.
    if device == "cpu" or version("torch").endswith("+cpu"):
        return True
    from sentence_transformers.util import get_device_name

    return bool(get_device_name() == "cpu")


def _home_expanded(model: str) -> Path:
    with contextlib.suppress(RuntimeError):  # the home of nobody
        return Path(model).expanduser()
    return Path(model)
