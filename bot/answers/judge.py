"""A judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Judge(Protocol):
    """Says whether `sources` support `sentence`; None when it cannot say."""

    def __call__(self, sentence: str, sources: Sequence[str]) -> bool | None: ...
