"""What both ways of keeping Chroma do with the vectors that it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def cosines(ids: Sequence[str], stored: Any, vector: NDArray[np.float32]) -> dict[str, float]:
    """Return the cosines of these stored vectors, all of length one."""
    import numpy as np

    matrix = np.asarray(stored, dtype=np.float32)
    return dict(zip(ids, (matrix @ vector).tolist(), strict=True)) if len(matrix) else {}
