"""Optional cross-encoder reranker."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from bot.errors import EmbeddingError


class CrossEncoderReranker:
    """CrossEncoder of sentence-transformers, by name or directory, loaded at the first question."""

    def __init__(self, model: str, *, device: str = "") -> None:
        self.model = model
        self._device = device or None
        self._lock = threading.Lock()

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the relevance of each text to the question, 0 to 1.

        Raises:
            EmbeddingError: if the model cannot be loaded.
        """
        if not texts:
            return []
        from torch import nn

        with self._lock:  # a tokenizer must not be used by two threads concurrently
            judged = self._cross_encoder.predict(
                [(question, text) for text in texts], activation_fn=nn.Sigmoid(), show_progress_bar=False
            )
        return [float(score) for score in judged]

    @cached_property
    def _cross_encoder(self) -> Any:
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(self.model, device=self._device, num_labels=1)
        except Exception as exc:
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise EmbeddingError(
                f"the reranking model {self.model!r} cannot be loaded ({reason}); check CITEWIRE_RERANK_MODEL"
            ) from exc
