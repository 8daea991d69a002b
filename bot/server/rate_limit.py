"""Rate limiter: one token bucket per client, refilled over time."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from bot.server.errors import HttpError

_MAX_BUCKETS = 10_000  # of the most recent clients: memory must not grow with the number of addresses


class RateLimiter:
    """Limits the requests of each client per minute, with bursts of up to one minute's requests.

    It may be used in one event loop only.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, client: str) -> None:
        """Count a request of a client.

        Raises:
            HttpError: if the limit is exceeded; its `retry_after` says when a request is allowed again.
        """
        now = self._clock()
        tokens, updated_at = self._buckets.pop(client, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - updated_at) * self._per_second)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = math.ceil((1 - tokens) / self._per_second)
            raise HttpError(
                429,
                "rate",
                f"more than {self._capacity:g} requests a minute; ask again later",
                retry_after=wait,
            )

    def __len__(self) -> int:
        return len(self._buckets)


def client_key(address: str) -> str:
    """Return the part of an address that its user cannot choose.

    This is the first half of an IPv6 address, or an empty string if the text is not an IP address.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and not ip.ipv4_mapped:
        return str(IPv6Address(int(ip) >> 64 << 64))
    return str(ip)
