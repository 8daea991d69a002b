"""HTTP GET with robots.txt, redirects, conditional requests, retries, and limits of time and size."""

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
from bot.crawler.politeness import MAX_BACKOFF_SECONDS, MAX_WAIT_SECONDS, Host, HostThrottle
from bot.crawler.ssrf import AddressPolicy, Target
from bot.crawler.transport import CONNECT_SECONDS, GuardedTransport, read_body
from bot.errors import FetchError, FetchForbiddenError
from bot.ingestion.loaders.text_encoding import decode

AGENT = "Citewire"
MAX_PAGE_BYTES = 10_000_000
_MAX_ROBOTS_BYTES = 500_000
_MAX_REDIRECTS = 5
_PERMANENT_REDIRECTS = (httpx.codes.MOVED_PERMANENTLY, httpx.codes.PERMANENT_REDIRECT)
_MAX_TRIES = 3  # if a host is busy and names a waiting time
_READ_SECONDS = 15.0
_TOTAL_SECONDS = 60.0
# Lifetime of a cached robots.txt, and of a failure to fetch it.
_ROBOTS_TTL_SECONDS, _ROBOTS_RETRY_SECONDS = 86_400.0, 300.0
_HEADERS = {
    "User-Agent": f"{AGENT}/{__version__}",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate",  # encodings that can be decompressed in steps, up to the limit
}
# Descriptions of httpcore's errors, the most specific class first.
_ERROR_TEXTS: tuple[tuple[type[Exception], str], ...] = (
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
_DEFAULT_BACKOFF_SECONDS = 300.0  # after "too many requests" without a waiting time


class Fetcher:
    """HTTP client for crawling; safe to share between threads."""

    def __init__(self, policy: AddressPolicy, throttle: HostThrottle) -> None:
        self._policy = policy
        self._throttle = throttle
        self._transport = GuardedTransport(policy)
        self._seconds = _TOTAL_SECONDS

    def get(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        validators_url: str = "",
        limit: int = MAX_PAGE_BYTES,
    ) -> FetchResult:
        """Fetch a URL, following redirects, unless it is unchanged.

        Args:
            url: the URL.
            etag: ETag of the previous response.
            last_modified: Last-Modified header of the previous response.
            validators_url: URL that the validators belong to, after redirects; only requests to it send them
                (default: all requests do).
            limit: maximum size of the decompressed body in bytes.

        Raises:
            FetchError: if the page cannot be fetched; `FetchForbiddenError` if it must not be fetched.
            CrawlStopped: if the crawl is shutting down.
        """
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        # A client for one page and its redirects only, so that cookies are not kept any longer.
        client = httpx.Client(transport=self._transport, trust_env=False, headers=_HEADERS)
        here, moved, permanent = normalize_url(url), "", True
        for _ in range(_MAX_REDIRECTS + 1):
            request_validators = validators if validators_url in ("", here) else {}
            reply = self._request(
                client, here, {name: value for name, value in request_validators.items() if value}, limit
            )
            if reply.status == httpx.codes.NOT_MODIFIED and not any(request_validators.values()):
                raise FetchError(
                    "the server answers 304 (Not Modified), though it was not asked whether", status=304
                )
            if not (there := redirect_target(here, reply)):
                return build_result(here, reply, moved=moved)
            permanent = permanent and reply.status in _PERMANENT_REDIRECTS
            here, moved = there, there if permanent else moved
        raise FetchError(f"it redirects more than {_MAX_REDIRECTS} times")

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _request(self, client: httpx.Client, url: str, headers: Mapping[str, str], limit: int) -> RawResponse:
        """Send a request when the host's throttle permits; retry if the host is busy for a short time only."""
        target = self._policy.resolve_url(url)
        name = _host_key(target)
        for left in reversed(range(_MAX_TRIES)):
            with self._throttle.acquire(name) as host:
                self._check_robots_txt(client, url, host, target)
                self._throttle.wait(name, host, allowlisted=target.allowlisted)
                try:
                    reply = self._send(client, url, headers, limit)
                finally:
                    self._throttle.record_request(host, AGENT)
            if reply.status not in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
                break
            wait = retry_after(reply.headers)
            self._throttle.back_off(name, wait)
            if wait > MAX_WAIT_SECONDS or not left:
                raise FetchError(describe_status(reply.status), status=reply.status, wait=wait)
        return reply

    def _send(self, client: httpx.Client, url: str, headers: Mapping[str, str], limit: int) -> RawResponse:
        self._transport.deadline.start(self._seconds)
        timeout = httpx.Timeout(_READ_SECONDS, connect=CONNECT_SECONDS)
        try:
            with client.stream("GET", url, headers=dict(headers), timeout=timeout) as response:
                body = _read_limited_body(response, limit) if response.status_code == httpx.codes.OK else b""
                return RawResponse(response.status_code, response.headers, body)
        except tuple(kind for kind, _ in _ERROR_TEXTS) as exc:
            problem = next(text for kind, text in _ERROR_TEXTS if isinstance(exc, kind))
            raise FetchError(f"{problem} ({exc})" if str(exc) else problem) from exc

    # robots.txt

    def _check_robots_txt(self, client: httpx.Client, url: str, host: Host, target: Target) -> None:
        if time.monotonic() > host.rules_until:
            self._fetch_robots_txt(
                client, str(httpx.URL(url).copy_with(raw_path=b"/robots.txt")), host, target
            )
        if host.rules_problem:
            raise FetchError(f"robots.txt cannot be had, so nothing is asked for now: {host.rules_problem}")
        if host.rules and not host.rules.can_fetch(url, AGENT):
            raise FetchForbiddenError(f"{target.host}'s robots.txt does not allow it")

    def _fetch_robots_txt(self, client: httpx.Client, url: str, host: Host, target: Target) -> None:
        """Cache robots.txt: everything is allowed without one, and nothing while it cannot be fetched."""
        from protego import Protego

        host.rules, host.rules_problem, host.rules_until = None, "", time.monotonic() + _ROBOTS_TTL_SECONDS
        self._throttle.wait(_host_key(target), host, allowlisted=True)
        try:
            reply = self._follow_redirects(client, url)
            if reply.status in (httpx.codes.TOO_MANY_REQUESTS, *range(500, 600)):
                raise FetchError(describe_status(reply.status))
        except FetchForbiddenError:
            return
        except FetchError as exc:
            host.rules_problem, host.rules_until = str(exc), time.monotonic() + _ROBOTS_RETRY_SECONDS
            return
        if reply.status == httpx.codes.OK:
            host.rules = Protego.parse(decode(reply.body))
        self._throttle.record_request(host, AGENT)

    def _follow_redirects(self, client: httpx.Client, url: str) -> RawResponse:
        for _ in range(_MAX_REDIRECTS + 1):
            self._policy.resolve_url(url)
            reply = self._send(client, url, {}, _MAX_ROBOTS_BYTES)
            there = redirect_target(url, reply)
            if not there:
                return reply
            url = there
        raise FetchError("it redirects too often")


def open_fetcher(
    *, allowed: tuple[str, ...], delay: float, stopping: threading.Event | None = None
) -> Fetcher:
    """Create a fetcher that does not persist the state of hosts.

    Args:
        allowed: hosts and networks that may be fetched although they are private.
        delay: seconds between two requests to a host.
        stopping: aborts waiting requests when set.
    """
    return Fetcher(
        AddressPolicy.from_allowlist(allowed),
        HostThrottle(delay=delay, stopping=stopping or threading.Event()),
    )


def _read_limited_body(response: httpx.Response, limit: int) -> bytes:
    content_encoding = response.headers.get("content-encoding", "").strip().lower()
    announced = response.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise FetchError(f"larger than {limit / 1e6:g} MB, the limit")
    return read_body(response.iter_raw(), content_encoding=content_encoding, limit=limit)


def _host_key(target: Target) -> str:
    return target.host if target.port in (80, 443) else f"{target.host}:{target.port}"


@dataclass(frozen=True, kw_only=True)
class FetchResult:
    """Response to a GET request.

    Attributes:
        url: final URL after redirects.
        moved: new URL if the page has moved permanently, else an empty string.
        max_age: seconds for which the response is fresh.
    """

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
    def is_unchanged(self) -> bool:
        """True if the server reports that the page has not changed since the previous request."""
        return self.status == httpx.codes.NOT_MODIFIED


@dataclass(frozen=True)
class RawResponse:
    """Response as received; the body is only read if the status is 200."""

    status: int
    headers: httpx.Headers
    body: bytes


def normalize_url(url: str) -> str:
    """Return the URL to request, without the fragment.

    Raises:
        FetchForbiddenError: if it is not a web URL.
    """
    try:
        parsed = httpx.URL(url.strip())
        return str(parsed.copy_with(fragment=None))
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise FetchForbiddenError(f"{url[:80]!r} is not a web address ({exc})") from exc


def redirect_target(here: str, reply: RawResponse) -> str:
    """Return the target of a redirect, or an empty string if the response is not a redirect.

    Raises:
        FetchForbiddenError: if the target is not a web URL, or the redirect is from https to http.
    """
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


def build_result(url: str, reply: RawResponse, *, moved: str) -> FetchResult:
    """Build the result of a response.

    Args:
        url: final URL of the request.
        reply: the response.
        moved: new URL if the page has moved permanently.

    Raises:
        FetchError: if the status is neither 200 nor 304.
    """
    if reply.status not in (httpx.codes.OK, httpx.codes.NOT_MODIFIED):
        raise FetchError(describe_status(reply.status), status=reply.status)
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
    """Return the waiting time from the Retry-After header in seconds; the header may contain a number or a date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return min(float(value[:9]), MAX_BACKOFF_SECONDS)
    try:
        rest = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return _DEFAULT_BACKOFF_SECONDS
    return min(max(rest, 0.0), MAX_BACKOFF_SECONDS)


def describe_status(status: int) -> str:
    """Return a description of a response status with its standard phrase."""
    phrase = httpx.codes.get_reason_phrase(status)
    return f"the server answers {status}{f' ({phrase})' if phrase else ''}"
