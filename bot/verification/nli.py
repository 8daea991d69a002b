"""An optional second opinion on a sentence: a cross-encoder that was trained to tell what follows from a text."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.articles.chunking import split_sentences
from bot.errors import EmbeddingError
from bot.indexing.bm25_index import analyze

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WINDOW, _STEP = 6, 3  # sentences read together, about a passage; and how far apart two such windows begin
_READ = 4  # windows that are read, those that share most with the sentence
_YES = re.compile(r"^(?:entail|support|consistent|factual|true|yes\b)")
_NO = re.compile(r"contradict|refut|hallucinat|inconsistent|unsupport|not[_ -]|^false|^no\b")


class NliScores(NamedTuple):
    """How probable it is that a text says a sentence, and that it says the opposite, 0..1."""

    entailed: float
    contradicted: float


class NliModel:
    """Any sentence-transformers CrossEncoder with entailment labels, by name or folder; loaded when first asked.

    Its labels are read from its configuration: entailment, neutral and contradiction in any order, or two such as
    "supported" and "hallucinated", or a single number that is higher for what follows from the text.
    """

    def __init__(self, model: str, *, device: str = "") -> None:
        self.model = model
        self._device = device or None
        self._lock = threading.Lock()

    def __call__(self, sentence: str, sources: Sequence[str]) -> NliScores:
        """Judge by the window that carries `sentence` best. Raises EmbeddingError where the model cannot be loaded."""
        windows = _windows(sentence, sources)
        if not windows:
            return NliScores(0.0, 0.0)
        with self._lock:  # a tokenizer is not to be shared by two threads at once
            scores = self._loaded.predict(
                [(window, sentence) for window in windows], apply_softmax=False, show_progress_bar=False,
                activation_fn=self._no_activation,
            )  # fmt: skip
        read = [self._read(row) for row in scores.reshape(len(windows), -1)]
        best = max(found.entailed for found in read)
        return NliScores(best, read[0].contradicted)

    def _read(self, logits: NDArray[np.float32]) -> NliScores:
        yes, no = self._labels
        if len(logits) == 1:
            return NliScores(_sigmoid(float(logits[0])), 0.0)
        shares = _softmax(logits)
        return NliScores(float(shares[yes]), float(shares[no]) if no is not None else 0.0)

    @property
    def _no_activation(self) -> Any:
        from torch import nn

        return nn.Identity()

    @cached_property
    def _labels(self) -> tuple[int, int | None]:
        """The places of the labels that say yes and no."""
        labels = {int(at): str(label).casefold() for at, label in self._loaded.model.config.id2label.items()}
        yes = _place(labels, _YES)
        if yes is None and len(labels) > 1:
            raise EmbeddingError(
                f"the model {self.model!r} has no label for entailment, only {', '.join(labels.values())}; "
                "check CITEWIRE_SUPPORT_MODEL"
            )
        return yes or 0, _place(labels, _NO)

    @cached_property
    def _loaded(self) -> Any:
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(self.model, device=self._device)
        except Exception as exc:
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise EmbeddingError(
                f"the entailment model {self.model!r} cannot be loaded ({reason}); check CITEWIRE_SUPPORT_MODEL"
            ) from exc


def _place(labels: dict[int, str], pattern: re.Pattern[str]) -> int | None:
    return next((at for at, label in labels.items() if pattern.search(label)), None)


def _windows(sentence: str, sources: Sequence[str]) -> list[str]:
    """Return the parts of `number_passages` that share most with `sentence`, best first."""
    wanted = set(analyze(sentence))
    every = [window for source in sources for window in _parts(source)]
    return sorted(every, key=lambda window: -len(wanted.intersection(analyze(window))))[:_READ]


def _parts(source: str) -> Iterator[str]:
    spans = split_sentences(source)
    for at in range(0, max(len(spans) - _WINDOW + _STEP, 1) if spans else 0, _STEP):
        window = spans[at : at + _WINDOW]
        yield source[window[0].start : window[-1].end]


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(min(logit, 60.0), -60.0)))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    raised = np.exp(logits - logits.max())
    shares: NDArray[np.float32] = raised / raised.sum()
    return shares
