"""Optional NLI cross-encoder: checks if a sentence follows from its sources."""

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

_WINDOW_SENTENCES, _STRIDE_SENTENCES = 6, 3  # a window is about a passage
_MAX_WINDOWS = 4  # windows that the model scores: those that share most stems with the sentence
_ENTAILMENT_LABEL = re.compile(r"^(?:entail|support|consistent|factual|true|yes\b)")
_CONTRADICTION_LABEL = re.compile(r"contradict|refut|hallucinat|inconsistent|unsupport|not[_ -]|^false|^no\b")


class NliScores(NamedTuple):
    """Probabilities (0..1) that a text entails a sentence and that it contradicts the sentence."""

    entailed: float
    contradicted: float


class NliModel:
    """A sentence-transformers CrossEncoder with entailment labels, loaded on first use.

    The labels are read from the model's configuration: entailment, neutral and contradiction in any order, or two
    labels such as "supported" and "hallucinated", or a single score that is higher for entailed sentences.

    Args:
        model: model name or directory.
        device: torch device, or an empty string for the default.
    """

    def __init__(self, model: str, *, device: str = "") -> None:
        self.model = model
        self._device = device or None
        self._lock = threading.Lock()

    def __call__(self, sentence: str, sources: Sequence[str]) -> NliScores:
        """Return the best entailment score of all windows, and the contradiction score of the most similar window.

        Raises:
            EmbeddingError: if the model cannot be loaded or has no label for entailment.
        """
        windows = _windows(sentence, sources)
        if not windows:
            return NliScores(0.0, 0.0)
        with self._lock:  # tokenizers are not thread-safe
            scores = self._cross_encoder.predict(
                [(window, sentence) for window in windows], apply_softmax=False, show_progress_bar=False,
                activation_fn=self._no_activation,
            )  # fmt: skip
        read = [self._to_scores(row) for row in scores.reshape(len(windows), -1)]
        best = max(found.entailed for found in read)
        return NliScores(best, read[0].contradicted)

    def _to_scores(self, logits: NDArray[np.float32]) -> NliScores:
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
        """The indices of the labels for entailment and contradiction."""
        labels = {
            int(at): str(label).casefold() for at, label in self._cross_encoder.model.config.id2label.items()
        }
        yes = _find_label(labels, _ENTAILMENT_LABEL)
        if yes is None and len(labels) > 1:
            raise EmbeddingError(
                f"the model {self.model!r} has no label for entailment, only {', '.join(labels.values())}; "
                "check CITEWIRE_SUPPORT_MODEL"
            )
        return yes or 0, _find_label(labels, _CONTRADICTION_LABEL)

    @cached_property
    def _cross_encoder(self) -> Any:
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(self.model, device=self._device)
        except Exception as exc:
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise EmbeddingError(
                f"the entailment model {self.model!r} cannot be loaded ({reason}); check CITEWIRE_SUPPORT_MODEL"
            ) from exc


def _find_label(labels: dict[int, str], pattern: re.Pattern[str]) -> int | None:
    return next((at for at, label in labels.items() if pattern.search(label)), None)


def _windows(sentence: str, sources: Sequence[str]) -> list[str]:
    """Return the windows of `sources` that share most stems with `sentence`, best first."""
    wanted = set(analyze(sentence))
    every = [window for source in sources for window in _split_windows(source)]
    return sorted(every, key=lambda window: -len(wanted.intersection(analyze(window))))[:_MAX_WINDOWS]


def _split_windows(source: str) -> Iterator[str]:
    spans = split_sentences(source)
    for at in range(
        0, max(len(spans) - _WINDOW_SENTENCES + _STRIDE_SENTENCES, 1) if spans else 0, _STRIDE_SENTENCES
    ):
        window = spans[at : at + _WINDOW_SENTENCES]
        yield source[window[0].start : window[-1].end]


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(min(logit, 60.0), -60.0)))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    raised = np.exp(logits - logits.max())
    shares: NDArray[np.float32] = raised / raised.sum()
    return shares
