"""Reader protocol, and its implementation for the packaged model or any question-answering model."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

from bot.errors import ReaderError
from bot.indexing.model_files import file_digest, folder_digest
from bot.indexing.onnx_runtime import GRAPH, TOKENIZER, ensure_export
from bot.reader.onnx_reader import DESCRIPTION, OnnxReader, Window
from bot.reader.predictions import Reading

PACKAGED_MODEL = "citewire-reader"
PACKAGED_FOLDER = Path(__file__).parent / "weights"
# Written by training/export.py.
PACKAGED_SHA256 = {
    GRAPH: "f85e99821d2cf595d9f8aecce4d35f18c4199d7d7c98ead0187bdb64693fecb6",
    TOKENIZER: "1b91f41bc0599f959983f1201b464202b45702e16c511d12c47fe91e4b77b002",
}


class Reader(Protocol):
    """Reader model, as used for answering."""

    @property
    def model(self) -> str:
        """Model name for display."""

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        """Score every window for the question.

        Raises:
            ReaderError: if the model cannot be loaded.
        """

    def verify(self) -> None:
        """Check that the model has the expected weights.

        Raises:
            ReaderError: if the weights are missing or different.
        """

    def load(self) -> None:
        """Load the model, so that the first question does not wait for it.

        Raises:
            ReaderError: if the model cannot be loaded.
        """


class QuestionAnsweringReader:
    """Question-answering model of Hugging Face, loaded at the first question; safe to share between threads."""

    def __init__(self, model: str = "", *, exports: Path | None = None) -> None:
        """Configure the model without loading it.

        Args:
            model: a name on the Hugging Face hub or a directory; empty for the packaged model.
            exports: the directory for int8 exports of models other than the packaged one.
        """
        self.model = model or PACKAGED_MODEL
        self._custom_model = model
        self._exports = exports
        self._lock = threading.RLock()

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        """Score every window for the question.

        Raises:
            ReaderError: if the model cannot be loaded.
        """
        return self._loaded_reader.read(question, windows) if windows else []

    def load(self) -> None:
        """Load the model, and export it first if it is missing.

        Raises:
            ReaderError: if the model cannot be exported or loaded.
        """
        _ = self._loaded_reader

    def verify(self) -> None:
        """Check the hash of the packaged weights, or that the directory of another model exists.

        Raises:
            ReaderError: if the check fails.
        """
        if self._custom_model:
            _ = self._fingerprint
            return
        _verify_packaged_weights(PACKAGED_FOLDER)

    @property
    def _loaded_reader(self) -> OnnxReader:
        with self._lock:
            return self._reader

    @cached_property
    def _reader(self) -> OnnxReader:
        if not self._custom_model:
            return _open_packaged_reader(PACKAGED_FOLDER)
        if self._exports is None:
            raise ReaderError(f"the reader {self.model!r} has no folder to be exported to")
        folder = self._exports / self._fingerprint
        try:
            ensure_export(folder, DESCRIPTION, lambda: self._export(folder), force=False)
        except OSError as exc:
            raise ReaderError(f"cannot write the exported reader: {exc}") from exc
        return OnnxReader(folder)

    @cached_property
    def _fingerprint(self) -> str:
        """Identifier computed from all files of a model in a directory, or from the name of a model on the hub."""
        folder = Path(self._custom_model).expanduser()
        if folder.is_dir():
            weights = folder_digest(folder)
        elif folder.is_absolute() or self._custom_model.startswith("."):  # not a name on the hub
            raise self._load_error("there is no such folder")
        else:
            weights = ""
        return hashlib.sha256(f"{self._custom_model}\n{weights}".encode()).hexdigest()[:12]

    def _export(self, folder: Path) -> None:
        model, tokenizer = self._load_model()
        from bot.reader.onnx_export import export_reader

        export_reader(model, tokenizer, folder)

    def _load_model(self) -> tuple[Any, Any]:
        from transformers import AutoModelForQuestionAnswering, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        place = Path(self._custom_model).expanduser()
        name, local = (str(place), True) if place.is_dir() else (self._custom_model, False)
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
            model = AutoModelForQuestionAnswering.from_pretrained(name, local_files_only=local)
        except Exception as exc:
            raise self._load_error((str(exc).strip() or type(exc).__name__).splitlines()[0]) from exc
        return model.eval(), tokenizer

    def _load_error(self, reason: str) -> ReaderError:
        return ReaderError(
            f"cannot load the reader {self.model!r} ({reason}); check CITEWIRE_READER_MODEL, "
            "and the network if it is to be fetched"
        )


@lru_cache(maxsize=1)  # one for all data directories that a process opens
def _open_packaged_reader(folder: Path) -> OnnxReader:
    _verify_packaged_weights(folder)
    return OnnxReader(folder)


def _verify_packaged_weights(folder: Path) -> None:
    for name, expected in PACKAGED_SHA256.items():
        path = folder / name
        found = file_digest(path) if path.is_file() else "(there is no such file)"
        if found != expected:
            raise ReaderError(
                f"{path}: the reader's weights have SHA-256 {found}, expected {expected}; reinstall citewire"
            )
