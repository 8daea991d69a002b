"""Fetches what a URL leads to: guarded, within limits of time and size, and as politely as the host asks."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore
import httpx

from bot import __version__
from bot.crawler.politeness import LONGEST_REST, MAX_WAIT, Host, HostThrottle
from bot.crawler.ssrf import AddressPolicy, Target
from bot.crawler.transport import CONNECT_SECONDS, GuardedTransport, read_body
from bot.errors import FetchError, FetchForbiddenError
from bot.ingestion.loaders.text_encoding import decode

AGENT = "Citewire"
MAX_PAGE_BYTES = 10_000_000
_MAX_ROBOTS_BYTES = 500_000
_REDIRECTS = 5
_LASTING = (httpx.codes.MOVED_PERMANENTLY, httpx.codes.PERMANENT_REDIRECT)
_TRIES = 3  # where a host is busy and says for how long
_READ_SECONDS = 15.0
_TOTAL_SECONDS = 60.0
_ROBOTS_SECONDS, _ROBOTS_RETRY = (
    86_400.0,
    300.0,
)  # how long robots.txt is remembered, and its absence in trouble
_HEADERS = {
    "User-Agent": f"{AGENT}/{__version__}",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",  # what can be unpacked step by step, up to the limit
}
# What each of httpcore's errors means, the nearest class first.
_PROBLEMS: tuple[tuple[type[Exception], str], ...] = (
    (httpcore.ConnectTimeout, f"no connection within {CONNECT_SECONDS:g} s"),
    (httpcore.TimeoutException, "no answer in time"),
    (httpcore.ConnectError, "no connection"),
    (httpcore.NetworkError, "the connection broke"),
    (httpcore.ProtocolError, "its answer is not HTTP"),
    (httpcore.UnsupportedProtocol, "not an http or https address"),
    (httpx.ProtocolError, "its answer is not HTTP"),
    (httpx.TransportError, "the connection broke"),
    (httpx.InvalidURL, "not a web address"),
    (UnicodeError, "not a web address"),
    (OSError, "the connection broke"),
)
_DEFAULT_REST = 300.0  # after "too many requests" that names no time


class Fetcher:
    """Asks hosts for pages; safe to share between threads."""

    def __init__(self, guard: AddressPolicy, hosts: HostThrottle) -> None:
        self._guard = guard
        self._hosts = hosts
        self._transport = GuardedTransport(guard)
        self._seconds = _TOTAL_SECONDS

    def get(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        found: str = "",
        limit: int = MAX_PAGE_BYTES,
    ) -> FetchResult:
        """Fetch `url` if it has changed since it had these validators. Raises FetchError, and Stopped.

        Where the validators are of the address that it was `found` at, only that is asked with them.
        """
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        # One client for one page and its redirects: it keeps no cookies beyond them.
        client = httpx.Client(transport=self._transport, trust_env=False, headers=_HEADERS)
        here, moved, lasting = normalize_url(url), "", True
        for _ in range(_REDIRECTS + 1):
            asked = validators if found in ("", here) else {}
            reply = self._asked(client, here, {name: value for name, value in asked.items() if value}, limit)
            if reply.status == httpx.codes.NOT_MODIFIED and not any(asked.values()):
                raise FetchError(
                    "the server answers 304 (Not Modified), though it was not asked whether", status=304
                )
            if not (there := redirect(here, reply)):
                return fetched(here, reply, moved=moved)
            lasting = lasting and reply.status in _LASTING
            here, moved = there, there if lasting else moved
        raise FetchError(f"it redirects more than {_REDIRECTS} times")

    def close(self) -> None:
        """End all connections."""
        self._transport.close()

    def _asked(self, client: httpx.Client, url: str, headers: Mapping[str, str], limit: int) -> RawResponse:
        """Ask once it is our turn; again where the host is busy for a short while only."""
        target = self._guard.target(url)
        name = _name(target)
        for left in reversed(range(_TRIES)):
            with self._hosts.turn(name) as host:
                self._refuse_disallowed(client, url, host, target)
                self._hosts.wait(name, host, own=target.allowlisted)
                try:
                    reply = self._exchange(client, url, headers, limit)
                finally:
                    self._hosts.record_request(host, AGENT)
            if reply.status not in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
                break
            wait = retry_after(reply.headers)
            self._hosts.back_off(name, wait)
            if wait > MAX_WAIT or not left:
                raise FetchError(status_text(reply.status), status=reply.status, wait=wait)
        return reply

    def _exchange(
        self, client: httpx.Client, url: str, headers: Mapping[str, str], limit: int
    ) -> RawResponse:
        self._transport.deadline.start(self._seconds)
        timeout = httpx.Timeout(_READ_SECONDS, connect=CONNECT_SECONDS)
        try:
            with client.stream("GET", url, headers=dict(headers), timeout=timeout) as response:
                body = _body(response, limit) if response.status_code == httpx.codes.OK else b""
                return RawResponse(response.status_code, response.headers, body)
        except tuple(kind for kind, _ in _PROBLEMS) as exc:
            said = next(text for kind, text in _PROBLEMS if isinstance(exc, kind))
            raise FetchError(f"{said} ({exc})" if str(exc) else said) from exc

    # robots.txt

    def _refuse_disallowed(self, client: httpx.Client, url: str, host: Host, target: Target) -> None:
        if time.monotonic() > host.rules_until:
            self._read_rules(client, str(httpx.URL(url).copy_with(raw_path=b"/robots.txt")), host, target)
        if host.rules_problem:
            raise FetchError(f"robots.txt cannot be had, so nothing is asked for now: {host.rules_problem}")
        if host.rules and not host.rules.can_fetch(url, AGENT):
            raise FetchForbiddenError(f"{target.host}'s robots.txt does not allow it")

    def _read_rules(self, client: httpx.Client, url: str, host: Host, target: Target) -> None:
        """Remember what robots.txt says: without one all is allowed, and while it cannot be had nothing is."""
        from protego import Protego

        host.rules, host.rules_problem, host.rules_until = None, "", time.monotonic() + _ROBOTS_SECONDS
        self._hosts.wait(_name(target), host, own=True)
        try:
            reply = self._followed(client, url)
            if reply.status in (httpx.codes.TOO_MANY_REQUESTS, *range(500, 600)):
                raise FetchError(status_text(reply.status))
        except FetchForbiddenError:
            return
        except FetchError as exc:
            host.rules_problem, host.rules_until = str(exc), time.monotonic() + _ROBOTS_RETRY
            return
        if reply.status == httpx.codes.OK:
            host.rules = Protego.parse(decode(reply.body))
        self._hosts.record_request(host, AGENT)

    def _followed(self, client: httpx.Client, url: str) -> RawResponse:
        for _ in range(_REDIRECTS + 1):
            self._guard.target(url)
            reply = self._exchange(client, url, {}, _MAX_ROBOTS_BYTES)
            there = redirect(url, reply)
            if not there:
                return reply
            url = there
        raise FetchError("it redirects too often")


def open_fetcher(
    *, allowed: tuple[str, ...], delay: float, stopping: threading.Event | None = None
) -> Fetcher:
    """Make a fetcher that remembers nothing of hosts beyond this process."""
    return Fetcher(
        AddressPolicy.allowing(allowed), HostThrottle(delay=delay, stopping=stopping or threading.Event())
    )


def _body(response: httpx.Response, limit: int) -> bytes:
    packed = response.headers.get("content-encoding", "").strip().lower()
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise FetchError(f"larger than {limit / 1e6:g} MB, the limit")
    return read_body(response.iter_raw(), packed=packed, limit=limit)


def _name(target: Target) -> str:
    return target.host if target.port in (80, 443) else f"{target.host}:{target.port}"


@dataclass(frozen=True, kw_only=True)
class FetchResult:
    """What came: `url` is where it was in the end, `moved` where it is for good if it has moved."""

    url: str
    status: int
    body: bytes = b""
    moved: str = ""
    content_type: str = ""
    charset: str = ""
    etag: str = ""
    last_modified: str = ""
    max_age: float = 0.0

    @property
    def unchanged(self) -> bool:
        """Whether the server says that it is still what was fetched before."""
        return self.status == httpx.codes.NOT_MODIFIED


@dataclass(frozen=True)
class RawResponse:
    """A server's answer as it came; no body but where it has what was asked for."""

    status: int
    headers: httpx.Headers
    body: bytes


def normalize_url(url: str) -> str:
    """Return an address as it is asked for, without its fragment. Raises FetchForbiddenError."""
    try:
        parsed = httpx.URL(url.strip())
        return str(parsed.copy_with(fragment=None))
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise FetchForbiddenError(f"{url[:80]!r} is not a web address ({exc})") from exc


def redirect(here: str, reply: RawResponse) -> str:
    """Return where an answer sends its reader, or "". Raises FetchForbiddenError for a step down from https."""
    location = reply.headers.get("location", "")
    if reply.status not in (301, 302, 303, 307, 308) or not location:
        return ""
    try:
        there = httpx.URL(here).join(location)
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise FetchForbiddenError(f"it redirects to what is no address: {location[:80]!r}") from exc
    if here.startswith("https:") and there.scheme == "http":
        raise FetchForbiddenError(
            f"it redirects from https to http, which anyone on the way could alter: {there}"
        )
    return normalize_url(str(there))


def fetched(url: str, reply: RawResponse, *, moved: str) -> FetchResult:
    """Return what an answer has brought from `url`. Raises FetchError for one that brought nothing."""
    if reply.status not in (httpx.codes.OK, httpx.codes.NOT_MODIFIED):
        raise FetchError(status_text(reply.status), status=reply.status)
    kind, _, parameters = reply.headers.get("content-type", "").partition(";")
    charset = re.search(r"charset\s*=\s*[\"']?([\w-]+)", parameters, re.I)
    age = re.search(r"max-age\s*=\s*\"?(\d{1,9})", reply.headers.get("cache-control", ""), re.I)
    return FetchResult(
        url=url,
        status=reply.status,
        body=reply.body,
        moved=moved,
        content_type=kind.strip().lower(),
        charset=charset[1].lower() if charset else "",
        etag=reply.headers.get("etag", "")[:1_000],
        last_modified=reply.headers.get("last-modified", "")[:100],
        max_age=float(age[1]) if age else 0.0,
    )


def retry_after(headers: httpx.Headers) -> float:
    """Return the seconds that Retry-After names, as a number or as a date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return min(float(value[:9]), LONGEST_REST)
    try:
        rest = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return _DEFAULT_REST
    return min(max(rest, 0.0), LONGEST_REST)


def status_text(status: int) -> str:
    """Say what a server has answered, with the status's name."""
    phrase = httpx.codes.get_reason_phrase(status)
    return f"the server answers {status}{f' ({phrase})' if phrase else ''}"
