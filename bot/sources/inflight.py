"""Knows which pages are on their way, from being asked for to being remembered: nobody else asks for them then."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class InFlight:
    """The keys of pages on their way; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys = set[str]()

    def begin(self, key: str) -> bool:
        """Take a page; False where it is taken already."""
        with self._lock:
            free = key not in self._keys
            self._keys.add(key)
        return free

    def end(self, keys: Iterable[str]) -> None:
        """Give pages back."""
        with self._lock:
            self._keys.difference_update(keys)
