"""The configured reader: the packaged one, checked by its hash, or any question-answering model by name or folder."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol

from bot.errors import ReaderError
from bot.reader.model import DESCRIPTION, OnnxReader, Window
from bot.reader.reading import Reading
from bot.retrieval.onnx_runtime import GRAPH, TOKENIZER, ensure_exported
from bot.retrieval.weights import file_digest, folder_digest

PACKAGED_MODEL = "citewire-reader"
PACKAGED_FOLDER = Path(__file__).parent / "weights"
# Written by training/export.py.
PACKAGED_SHA256 = {
    GRAPH: "f85e99821d2cf595d9f8aecce4d35f18c4199d7d7c98ead0187bdb64693fecb6",
    TOKENIZER: "1b91f41bc0599f959983f1201b464202b45702e16c511d12c47fe91e4b77b002",
}


class Reader(Protocol):
    """What the answerer needs of a reading model."""

    @property
    def model(self) -> str:
        """The model's name, for people."""

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        """Score every window for the question. Raises ReaderError."""

    def verify(self) -> None:
        """Check that the model's weights are there and the expected ones. Raises ReaderError."""

    def load(self) -> None:
        """Load the model, so that the first question does not wait for it. Raises ReaderError."""


class QuestionAnsweringReader:
    """A Hugging Face question-answering model, loaded at the first question; safe to share between threads."""

    def __init__(self, model: str = "", *, exports: Path | None = None) -> None:
        """Name the model without loading it.

        Args:
            model: a name on the Hugging Face hub or a folder; empty for the packaged one.
            exports: the folder in which a named model's int8 export is kept.
        """
        self.model = model or PACKAGED_MODEL
        self._named = model
        self._exports = exports
        self._lock = threading.RLock()

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        """Score every window for the question. Raises ReaderError."""
        return self._loaded.read(question, windows) if windows else []

    def load(self) -> None:
        """Load the model, exporting it first if need be. Raises ReaderError."""
        _ = self._loaded

    def verify(self) -> None:
        """Check the packaged weights by their hash, or that a folder is there. Raises ReaderError."""
        if self._named:
            _ = self._fingerprint
            return
        _verify_packaged(PACKAGED_FOLDER)

    @property
    def _loaded(self) -> OnnxReader:
        with self._lock:
            return self._reader

    @cached_property
    def _reader(self) -> OnnxReader:
        if not self._named:
            return _open_packaged(PACKAGED_FOLDER)
        if self._exports is None:
            raise ReaderError(f"the reader {self.model!r} has no folder to be exported to")
        folder = self._exports / self._fingerprint
        try:
            ensure_exported(folder, DESCRIPTION, lambda: self._export(folder), again=False)
        except OSError as exc:
            raise ReaderError(f"cannot write the exported reader: {exc}") from exc
        return OnnxReader(folder)

    @cached_property
    def _fingerprint(self) -> str:
        """Of all files for a model in a folder; of the name for one from a hub."""
        folder = Path(self._named).expanduser()
        if folder.is_dir():
            weights = folder_digest(folder)
        elif folder.is_absolute() or self._named.startswith("."):  # no hub has such names
            raise self._unloadable("there is no such folder")
        else:
            weights = ""
        return hashlib.sha256(f"{self._named}\n{weights}".encode()).hexdigest()[:12]

    def _export(self, folder: Path) -> None:
        model, tokenizer = self._open()
        from bot.retrieval.onnx_export import export_reader

        export_reader(model, tokenizer, folder)

    def _open(self) -> tuple[Any, Any]:
        from transformers import AutoModelForQuestionAnswering, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        place = Path(self._named).expanduser()
        name, local = (str(place), True) if place.is_dir() else (self._named, False)
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
            model = AutoModelForQuestionAnswering.from_pretrained(name, local_files_only=local)
        except Exception as exc:
            raise self._unloadable((str(exc).strip() or type(exc).__name__).splitlines()[0]) from exc
        return model.eval(), tokenizer

    def _unloadable(self, reason: str) -> ReaderError:
        return ReaderError(
            f"cannot load the reader {self.model!r} ({reason}); check CITEWIRE_READER_MODEL, "
            "and the network if it is to be fetched"
        )


@lru_cache(maxsize=1)  # one for all collections that a process opens
def _open_packaged(folder: Path) -> OnnxReader:
    _verify_packaged(folder)
    return OnnxReader(folder)


def _verify_packaged(folder: Path) -> None:
    for name, expected in PACKAGED_SHA256.items():
        path = folder / name
        found = file_digest(path) if path.is_file() else "(there is no such file)"
        if found != expected:
            raise ReaderError(
                f"{path}: the reader's weights have SHA-256 {found}, expected {expected}; reinstall citewire"
            )
