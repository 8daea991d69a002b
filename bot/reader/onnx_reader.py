"""Runs an exported question-answering model: start and end scores of each token of a window, and of no answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.errors import ReaderError
from bot.indexing import onnx_runtime
from bot.indexing.onnx_runtime import FEATURES, GRAPH, TOKENIZER
from bot.reader.predictions import Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DESCRIPTION = "reader.json"
MAX_TOKENS = 256  # of question, title and window together


class Window(NamedTuple):
    """Part of a passage, with the title of its article."""

    title: str
    text: str


def below_title(title: str, text: str) -> str:
    """Return the input of the reader for a window: the title of the article, and the text below it."""
    return f"{title}\n{text}" if title else text


class OnnxReader:
    """Exported reader, ready to run; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Load a model written by `export_reader`.

        Raises:
            ReaderError: if it cannot be loaded.
        """
        self._cores = ThreadPoolExecutor(onnx_runtime.usable_cores(), thread_name_prefix="reader")
        try:
            description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            self._inputs = {name: FEATURES[name] for name in description["inputs"]}
            with onnx_runtime.loading_lock:
                self._tokenizer = onnx_runtime.open_tokenizer(folder / TOKENIZER)
                self._session = onnx_runtime.open_session(folder / GRAPH)
            self.max_tokens = int(self._tokenizer.truncation["max_length"])
            # "[SEP]" in an article is a word of its text, not the end of the question.
            self._tokenizer.encode_special_tokens = True
        except Exception as exc:  # onnxruntime and tokenizers have no exception types of their own
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise ReaderError(f"{folder}: cannot load the reader ({reason})") from exc

    def read(self, question: str, windows: Sequence[Window]) -> list[Reading]:
        """Score every window for the question, each core one window at a time."""
        return list(self._cores.map(lambda window: self._read(question, window), windows))

    def scores(self, question: str, text: str) -> NDArray[np.float32]:
        """Return start and end scores of all tokens, special ones included: shape (tokens, 2)."""
        return self._run(self._encode(question, text))

    def _read(self, question: str, window: Window) -> Reading:
        import numpy as np

        text = below_title(*window)
        shift = len(text) - len(window.text)
        encoding = self._encode(question, text)
        scores = self._run(encoding)
        offsets = np.array(encoding.offsets, dtype=np.int64)
        in_text = np.array([sequence == 1 for sequence in encoding.sequence_ids]) & (offsets[:, 0] >= shift)
        return Reading(
            null=float(scores[0].sum()),
            starts=scores[in_text, 0],
            ends=scores[in_text, 1],
            offsets=offsets[in_text] - shift,
        )

    def _encode(self, question: str, text: str) -> Any:
        return self._tokenizer.encode(question, text)

    def _run(self, encoding: Any) -> NDArray[np.float32]:
        import numpy as np

        features = {
            name: np.array([getattr(encoding, attribute)], dtype=np.int64)
            for name, attribute in self._inputs.items()
        }
        (scores,) = self._session.run(None, features)
        return np.asarray(scores[0], dtype=np.float32)
