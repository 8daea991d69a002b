"""An optional second look at the best passages: a cross-encoder reads question and passage together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from bot.errors import EmbeddingError


class CrossEncoderReranker:
    """Any sentence-transformers CrossEncoder by name or folder, loaded for the first question."""

    def __init__(self, model: str, *, device: str = "") -> None:
        self.model = model
        self._device = device or None
        self._lock = threading.Lock()

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers, 0..1. Raises EmbeddingError where the model cannot be loaded."""
        if not texts:
            return []
        from torch import nn

        with self._lock:  # a tokenizer is not to be shared by two threads at once
            judged = self._loaded.predict(
                [(question, text) for text in texts], activation_fn=nn.Sigmoid(), show_progress_bar=False
            )
        return [float(score) for score in judged]

    @cached_property
    def _loaded(self) -> Any:
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(self.model, device=self._device, num_labels=1)
        except Exception as exc:
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise EmbeddingError(
                f"the reranking model {self.model!r} cannot be loaded ({reason}); check CITEWIRE_RERANK_MODEL"
            ) from exc
