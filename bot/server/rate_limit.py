"""How often one may ask: a bucket of tokens each, refilled over time."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from bot.server.errors import HttpError

_REMEMBERED = 10_000  # who asked last: memory must not grow with addresses


class RateLimiter:
    """Lets each pass so often a minute, a minute's worth at once; safe within one event loop."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, who: str) -> None:
        """Let one pass. Raises HttpError, which says when to come again."""
        now = self._clock()
        left, then = self._buckets.pop(who, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        allowed = left >= 1
        self._buckets[who] = (left - allowed, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = math.ceil((1 - left) / self._per_second)
            raise HttpError(
                429, "rate", f"more than {self._most:g} requests a minute; ask again later", retry_after=wait
            )

    def __len__(self) -> int:
        return len(self._buckets)


def client_key(address: str) -> str:
    """Return what of an address its user cannot choose: of IPv6 the first half, of what is no address nothing."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and not found.ipv4_mapped:
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
