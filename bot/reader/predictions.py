"""What the reader found in one window: scores for every span of it, and for none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bot.articles.chunking import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_ANSWER = 30  # tokens
_IMPOSSIBLE = -1e4


class Answer(NamedTuple):
    """A span that may answer, in characters of the window, and its margin over "no answer" in logits."""

    span: Span
    margin: float


@dataclass(frozen=True, slots=True)
class Reading:
    """Scores of a window's tokens.

    Args:
        null: the score of "this window does not answer", start and end added.
        starts: score of each token as the first of the answer, shape (tokens,).
        ends: the same as the last, shape (tokens,).
        offsets: characters of each token in the window, shape (tokens, 2).
    """

    null: float
    starts: NDArray[np.float32]
    ends: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def mass(self, within: Span) -> float:
        """Return the margin of all spans that begin and end inside this stretch together, in logits."""
        import numpy as np

        inside = self._inside(within)
        if not len(inside):
            return _IMPOSSIBLE
        return float(
            np.logaddexp.reduce(self.starts[inside]) + np.logaddexp.reduce(self.ends[inside]) - self.null
        )

    def _inside(self, within: Span) -> NDArray[np.intp]:
        """Return the indexes of the tokens inside this stretch of the window."""
        import numpy as np

        return np.flatnonzero((self.offsets[:, 0] >= within.start) & (self.offsets[:, 1] <= within.end))

    def best_answer(self, within: Span) -> Answer | None:
        """Return the best span inside this stretch of the window; None if it has no tokens there."""
        import numpy as np

        inside = self._inside(within)
        if not len(inside):
            return None
        scores = self.starts[inside][:, None] + self.ends[inside][None, :]
        order = np.arange(len(inside))
        length = order[None, :] - order[:, None]
        scores = np.where((length >= 0) & (length < MAX_ANSWER), scores, _IMPOSSIBLE)
        first, last = np.unravel_index(int(scores.argmax()), scores.shape)
        span = Span(int(self.offsets[inside[first], 0]), int(self.offsets[inside[last], 1]))
        return Answer(span, float(scores[first, last]) - self.null)
