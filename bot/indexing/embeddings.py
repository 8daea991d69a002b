"""Embedder protocol, and its implementation for the packaged model or any sentence-transformers model."""

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
    packaged_folder,
    verify_packaged_weights,
)
from bot.indexing.onnx_encoder import DESCRIPTION, EncoderState, OnnxEncoder, query_prompt
from bot.indexing.onnx_runtime import ensure_export, is_complete

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_CPU_BATCH_SIZE = 8  # with torch, a CPU is a quarter slower with 32, the batch size for a GPU


class Embedder(Protocol):
    """Embedding model, as used by the indexes and for answering."""

    @property
    def model(self) -> str:
        """Model name for display."""

    @property
    def fingerprint(self) -> str:
        """Identifier that is equal only for equal weights, computed without loading the model."""

    @property
    def dimension(self) -> int:
        """Number of components of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each article text, shape (len(texts), dimension)."""

    def encode_query(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same for texts that are encoded at question time: the question, and sentences compared with it."""

    def verify(self) -> None:
        """Check that the model has the expected weights.

        Raises:
            EmbeddingError: if the weights are missing or different.
        """

    def load(self) -> None:
        """Load the model now, so that the first question does not wait for it.

        Raises:
            EmbeddingError: if the model cannot be loaded.
        """

    def encoder_state(self) -> EncoderState:
        """Return the state of the query encoder, without loading anything."""

    def ensure_encoder(self, *, force: bool = False) -> None:
        """Export the query encoder if it is missing or damaged.

        Args:
            force: export it in any case.

        Raises:
            EmbeddingError: if the export fails.
        """


class SentenceTransformerEmbedder:
    """Model of sentence-transformers, loaded when the first text is encoded; safe to share between threads."""

    def __init__(
        self, model: str = "", *, device: str = "", encoders: Path | None = None, int8: bool = False
    ) -> None:
        """Find the model without loading it.

        Args:
            model: a name on the Hugging Face hub or a directory; empty for the packaged model.
            device: the device for torch; empty for the best available one.
            encoders: the directory of exported encoders, one per model; without it, torch encodes all texts.
            int8: quantize the weights of the exported encoder. It is then another model, with its own name and
                fingerprint.

        Raises:
            EmbeddingError: if the packaged model is not installed.
        """
        self._name = model or PACKAGED_MODEL
        self.model = f"{self._name} (int8)" if int8 else self._name
        self._int8 = int8
        self._device = device or None
        self._folder = packaged_folder() if not model else _expand_home(model)
        self._packaged = not model
        self._encoders = encoders if device in ("", "cpu") else None
        self._lock = threading.RLock()
        self._export_error: EmbeddingError | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Identifier of the weights.

        It is computed from all files of a model in a directory, and from the name of a model on the hub, whose weights
        are unknown. For the packaged model it is computed from the hash of the tested weights: they are verified when
        they are read, and answering does not read them.
        """
        if self._packaged:
            weights = PACKAGED_SHA256
        elif self._folder.is_dir():
            weights = folder_digest(self._folder)
        elif self._folder.is_absolute() or self._name.startswith((".", "~")):  # not a name on the hub
            raise self._load_error("there is no such folder")
        else:
            weights = ""
        return hashlib.sha256(f"{self.model}\n{weights}".encode()).hexdigest()[:12]

    @property
    def dimension(self) -> int:
        """Number of components of a vector; loads the query encoder, or else the model."""
        if encoder := self._loaded_encoder:
            return encoder.dimension
        return int(self._loaded_model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each article text, shape (len(texts), dimension)."""
        if texts and (encoder := self._passage_encoder):
            return encoder.encode([f"{encoder.passage_prompt}{text}" for text in texts])
        return self._encode(texts, prompt=None)

    def encode_query(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the same for questions and texts compared with them, with the query prompt of the model."""
        if encoder := self._loaded_encoder:
            return encoder.encode([encoder.prompt + text for text in texts])
        return self._encode(texts, prompt=query_prompt(self._loaded_model))

    def _encode(self, texts: Sequence[str], *, prompt: str | None) -> NDArray[np.float32]:
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        model = self._loaded_model
        vectors = model.encode(
            list(texts),
            prompt=prompt,
            batch_size=_CPU_BATCH_SIZE if model.device.type == "cpu" else 32,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def verify(self) -> None:
        """Check that the model exists, and for the packaged model the hash of its weights.

        Raises:
            EmbeddingError: if the model is missing or its weights differ.
        """
        _ = verify_packaged_weights(self._folder) if self._packaged else self.fingerprint

    def load(self) -> None:
        """Load the model that encodes questions now, so that the first question does not wait for it.

        Raises:
            EmbeddingError: if the model cannot be loaded.
        """
        _ = self._loaded_encoder or self._loaded_model

    def encoder_state(self) -> EncoderState:
        """Return the state of the query encoder, without loading anything."""
        if (folder := self._encoder_folder) is None:
            return EncoderState.UNUSED
        if not folder.is_dir():
            return EncoderState.MISSING
        return EncoderState.READY if is_complete(folder, DESCRIPTION) else EncoderState.BROKEN

    def ensure_encoder(self, *, force: bool = False) -> None:
        """Export the query encoder if it is missing or damaged.

        Args:
            force: export it in any case.

        Raises:
            EmbeddingError: if the export fails.
        """
        if self._export_error and not force:
            raise self._export_error  # fails after ten seconds: do not retry it during an ingest
        if self.encoder_state() in (EncoderState.MISSING, EncoderState.BROKEN) or force:
            try:
                self._export(force=force)
            except EmbeddingError as exc:
                self._export_error = exc
                raise
            with self._lock:
                self.__dict__.pop("_encoder", None)

    def _export(self, *, force: bool) -> None:
        if (folder := self._encoder_folder) is None:
            raise EmbeddingError(
                f"CITEWIRE_DEVICE is {self._device}: the question encoder is for the CPU and would not be used"
            )
        model = self._loaded_model  # first, so that an error while loading is reported as such
        from bot.indexing.onnx_export import export_encoder

        def export() -> None:
            export_encoder(model, folder, int8=self._int8)

        try:
            ensure_export(folder, DESCRIPTION, export, force=force)
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
        except EmbeddingError as exc:  # only the export is damaged: use torch, `citewire doctor` reports it
            logger.info("%s", exc)
            return None

    def _int8_encoder(self) -> OnnxEncoder:
        """Load the int8 model, and export it first if it is missing; torch has no int8 version to use instead.

        Raises:
            EmbeddingError: if the device is not a CPU, or the export or loading fails.
        """
        if (folder := self._encoder_folder) is None:
            raise EmbeddingError(
                f"CITEWIRE_DEVICE is {self._device}: int8 is for the CPU; unset it or CITEWIRE_EMBEDDING_PRECISION"
            )
        self.ensure_encoder()
        return OnnxEncoder(folder)

    @cached_property
    def _passage_encoder(self) -> OnnxEncoder | None:
        """Exported model for passages, exported first if it is missing, or None if torch is faster or required."""
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
    def _loaded_model(self) -> Any:
        with self._lock:
            return self._model

    @cached_property
    def _model(self) -> Any:
        self.verify()  # before any weights are read
        local = self._folder.is_dir()
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # loading takes 0.1 s
        try:
            return SentenceTransformer(
                str(self._folder) if local else self._name, device=self._device, local_files_only=local
            )
        except Exception as exc:
            raise self._load_error((str(exc).strip() or type(exc).__name__).splitlines()[0]) from exc

    def _load_error(self, reason: str) -> EmbeddingError:
        return EmbeddingError(
            f"the embedding model {self._name!r} cannot be loaded ({reason}); check "
            "CITEWIRE_EMBEDDING_MODEL and CITEWIRE_DEVICE, and the network if it is to be fetched"
        )


def _runs_on_cpu(device: str | None) -> bool:
    from importlib.metadata import version

    # Checked first because it avoids the import of torch, which takes seconds.
    if device == "cpu" or version("torch").endswith("+cpu"):
        return True
    from sentence_transformers.util import get_device_name

    return bool(get_device_name() == "cpu")


def _expand_home(model: str) -> Path:
    with contextlib.suppress(RuntimeError):  # the home directory of an unknown user
        return Path(model).expanduser()
    return Path(model)
