"""An embedding model exported to ONNX: it starts in a tenth of torch's time, and on a CPU it is faster."""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import EmbeddingError
from bot.retrieval.weights import file_digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRAPH, TOKENIZER, DESCRIPTION = "model.onnx", "tokenizer.json", "encoder.json"
# What a graph may ask for, and what the tokenizer calls it.
FEATURES = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
# Texts of about the same length run at once: more gain nothing on a CPU. Where each core has a text of its own, nothing
# is padded and its numbers stay in the core's cache: a quarter more texts a second than torch with 32 at once.
_BATCH, _WORKER_BATCH = 2, 1

# A process that ends while another of its threads is inside onnxruntime's loading is aborted: it waits for
# that fraction of a second, and lets no thread begin.
_loading = threading.Lock()
atexit.register(_loading.acquire)


class EncoderState(Enum):
    """Whether questions are encoded by an exported model; the value is for people."""

    READY = "ready"
    MISSING = "not exported yet"
    BROKEN = "the exported files are damaged"
    UNUSED = "not used: questions are encoded with torch"


class OnnxEncoder:
    """An exported model, ready to run; safe to share between threads."""

    def __init__(self, folder: Path, *, workers: int = 0) -> None:
        """Load what `export_encoder` has written. Raises EmbeddingError.

        One text takes the shortest time without `workers`; with as many as there are cores, each with a batch
        of its own, most texts are encoded in a second.
        """
        self._workers = workers
        try:
            description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            self.dimension = int(description["dimension"])
            self.prompt = str(description["prompt"])
            # None: exported by an older Citewire, which did not ask what the model wants before a passage.
            self.passage_prompt: str | None = description.get("passage_prompt")
            self._inputs = {name: FEATURES[name] for name in description["inputs"]}
            with _loading:
                self._tokenizer = _tokenizer(folder / TOKENIZER)
                self._session = _session(folder / GRAPH, threads=1 if workers else 0)
        except Exception as exc:  # onnxruntime and tokenizers have no errors of their own to name
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise EmbeddingError(
                f"{folder}: the question encoder cannot be loaded ({reason}); run `citewire reindex --encoder`"
            ) from exc

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector of length 1 a text, without the prompt: shape (len(texts), dimension)."""
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        # Little padding in each batch; the longest first, so that all workers end at about the same time.
        by_length = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        size = _WORKER_BATCH if self._workers else _BATCH

        def run(start: int) -> None:
            batch = by_length[start : start + size]
            vectors[batch] = self._run([texts[i] for i in batch])

        starts = range(0, len(texts), size)
        if self._workers:
            with ThreadPoolExecutor(self._workers) as pool:
                list(pool.map(run, starts))  # raises what a worker has raised
        else:
            for start in starts:
                run(start)
        return vectors

    def _run(self, texts: list[str]) -> NDArray[np.float32]:
        import numpy as np

        encodings = self._tokenizer.encode_batch_fast(texts)
        features = {
            name: np.array([getattr(encoding, attribute) for encoding in encodings], dtype=np.int64)
            for name, attribute in self._inputs.items()
        }
        (vectors,) = self._session.run(None, features)
        return np.asarray(vectors, dtype=np.float32)


def is_whole(folder: Path) -> bool:
    """Return whether an exported encoder's files are those that were written, without loading them."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        return all(file_digest(folder / name) == digest for name, digest in description["files"].items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def query_prompt(model: Any) -> str:
    """Return what a sentence-transformers model wants before a question; most want nothing."""
    prompts, default = model.prompts, model.default_prompt_name
    return str(prompts.get("query") or prompts.get(default) or "")


def passage_prompt(model: Any) -> str:
    """Return what a sentence-transformers model puts before every text by itself; most put nothing."""
    return str(model.prompts.get(model.default_prompt_name) or "")


def _tokenizer(file: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def _session(file: Path, *, threads: int) -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0: as many as there are cores
    options.log_severity_level = 4  # what goes wrong is raised; nothing is to be printed
    # Threads that spin between two questions cost more than they win wherever something else runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
