"""An embedding model exported to ONNX: it starts in a tenth of torch's time, and on a CPU it is faster."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import EmbeddingError
from bot.indexing import onnx_runtime
from bot.indexing.onnx_runtime import FEATURES, GRAPH, TOKENIZER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DESCRIPTION = "encoder.json"


class EncoderState(Enum):
    """Whether questions are encoded by an exported model; the value is for people."""

    READY = "ready"
    MISSING = "not exported yet"
    BROKEN = "the exported files are damaged"
    UNUSED = "not used: questions are encoded with torch"


class OnnxEncoder:
    """An exported model, ready to run; safe to share between threads.

    Each core has one text at a time, whoever asks: nothing is padded, its numbers stay in the core's cache, and many
    askers do not get into each other's way. That is a quarter more texts a second than torch with 32 at once.
    """

    def __init__(self, folder: Path) -> None:
        """Load what `export_encoder` has written. Raises EmbeddingError."""
        self._cores = ThreadPoolExecutor(onnx_runtime.usable_cores(), thread_name_prefix="encoder")
        try:
            description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            self.dimension = int(description["dimension"])
            self.prompt = str(description["prompt"])
            # None: exported by an older Citewire, which did not ask what the model wants before a passage.
            self.passage_prompt: str | None = description.get("passage_prompt")
            self._inputs = {name: FEATURES[name] for name in description["inputs"]}
            with onnx_runtime.loading:
                self._tokenizer = onnx_runtime.open_tokenizer(folder / TOKENIZER)
                self._session = onnx_runtime.open_session(folder / GRAPH)
        except Exception as exc:  # onnxruntime and tokenizers have no errors of their own to name
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise EmbeddingError(
                f"{folder}: the question encoder cannot be loaded ({reason}); run `citewire reindex --encoder`"
            ) from exc

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector of length 1 a text, without the prompt: shape (len(texts), dimension)."""
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        longest_first = sorted(
            range(len(texts)), key=lambda i: -len(texts[i])
        )  # so that all cores end together
        found = self._cores.map(self._run, [texts[i] for i in longest_first])
        for i, vector in zip(longest_first, found, strict=True):
            vectors[i] = vector
        return vectors

    def _run(self, text: str) -> NDArray[np.float32]:
        import numpy as np

        [encoding] = self._tokenizer.encode_batch_fast([text])
        features = {
            name: np.array([getattr(encoding, attribute)], dtype=np.int64)
            for name, attribute in self._inputs.items()
        }
        (vectors,) = self._session.run(None, features)
        return np.asarray(vectors[0], dtype=np.float32)


def query_prompt(model: Any) -> str:
    """Return what a sentence-transformers model wants before a question; most want nothing."""
    prompts, default = model.prompts, model.default_prompt_name
    return str(prompts.get("query") or prompts.get(default) or "")


def passage_prompt(model: Any) -> str:
    """Return what a sentence-transformers model puts before every text by itself; most put nothing."""
    return str(model.prompts.get(model.default_prompt_name) or "")
