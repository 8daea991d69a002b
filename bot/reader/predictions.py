"""Scores of the reader for one window: for all spans, and for no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bot.articles.chunking import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_ANSWER_TOKENS = 30  # tokens
_IMPOSSIBLE_SCORE = -1e4


class Answer(NamedTuple):
    """Candidate answer: a span in characters of the window, and its margin over "no answer" in logits."""

    span: Span
    margin: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Scores of the tokens of a window.

    Args:
        null: the score of "no answer", the sum of its start and end scores.
        starts: score of each token as the first one of the answer, shape (tokens,).
        ends: score of each token as the last one, shape (tokens,).
        offsets: characters of each token in the window, shape (tokens, 2).
    """

    null: float
    starts: NDArray[np.float32]
    ends: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def mass(self, within: Span) -> float:
        """Return the combined margin of all spans that start and end in `within`, in logits."""
        import numpy as np

        inside = self._tokens_inside(within)
        if not len(inside):
            return _IMPOSSIBLE_SCORE
        return float(
            np.logaddexp.reduce(self.starts[inside]) + np.logaddexp.reduce(self.ends[inside]) - self.null
        )

    def _tokens_inside(self, within: Span) -> NDArray[np.intp]:
        """Return the indexes of the tokens in `within`, given in characters of the window."""
        import numpy as np

        return np.flatnonzero((self.offsets[:, 0] >= within.start) & (self.offsets[:, 1] <= within.end))

    def best_answer(self, within: Span) -> Answer | None:
        """Return the best span in `within`, or None if there are no tokens."""
        import numpy as np

        inside = self._tokens_inside(within)
        if not len(inside):
            return None
        scores = self.starts[inside][:, None] + self.ends[inside][None, :]
        order = np.arange(len(inside))
        length = order[None, :] - order[:, None]
        scores = np.where((length >= 0) & (length < MAX_ANSWER_TOKENS), scores, _IMPOSSIBLE_SCORE)
        first, last = np.unravel_index(int(scores.argmax()), scores.shape)
        span = Span(int(self.offsets[inside[first], 0]), int(self.offsets[inside[last], 1]))
        return Answer(span, float(scores[first, last]) - self.null)
