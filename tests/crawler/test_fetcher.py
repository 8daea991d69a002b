"""Fetching from a real site on this machine, with all that sites get wrong."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpcore
import httpx
import pytest
import trustme
from news_site import NewsSite, packed

from bot.crawler import fetcher as module
from bot.crawler.fetcher import Fetcher, RawResponse, open_fetcher, redirect_target
from bot.crawler.politeness import CrawlStopped, HostThrottle
from bot.crawler.ssrf import AddressPolicy
from bot.crawler.transport import decompress, read_body
from bot.errors import FetchError, FetchForbiddenError


class Clockwork(threading.Event):
    """An event that nobody waits for: it notes for how long it would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if timeout:
            self.waited.append(timeout)
        return self.is_set()


@pytest.fixture
def site() -> Iterator[NewsSite]:
    with NewsSite(articles=2) as opened:
        yield opened


@pytest.fixture
def waits() -> Clockwork:
    return Clockwork()


@pytest.fixture
def fetcher(waits: Clockwork) -> Iterator[Fetcher]:
    opened = open_fetcher(allowed=("127.0.0.1",), delay=1, stopping=waits)
    yield opened
    opened.close()


def refused(fetcher: Fetcher, url: str, **options: Any) -> FetchError:
    with pytest.raises(FetchError) as found:
        fetcher.get(url, **options)
    return found.value


def test_a_page_comes_with_what_is_needed_to_ask_again(site: NewsSite, fetcher: Fetcher) -> None:
    page = fetcher.get(site.url + "/news/1#part")
    assert page.url == site.url + "/news/1"
    assert page.content_type == "text/html"
    assert page.charset == "utf-8"
    assert site.stories[1].title.encode() in page.body
    assert site.asked[-1].headers["user-agent"].startswith("Citewire/")
    again = fetcher.get(page.url, etag=page.etag)
    assert again.is_unchanged
    assert again.body == b""


def test_last_modified_is_sent_back(site: NewsSite, fetcher: Fetcher) -> None:
    when = "Mon, 02 Mar 2026 08:00:00 GMT"
    url = site.put("/x", "<p>x", headers={"Last-Modified": when}, validated=False)
    fetcher.get(url, last_modified=fetcher.get(url).last_modified)
    assert site.asked[-1].headers["if-modified-since"] == when


def test_redirects_are_followed_and_lasting_ones_told(site: NewsSite, fetcher: Fetcher) -> None:
    site.redirect("/a", "/b", 301)
    site.redirect("/b", site.url + "/c", 308)
    site.redirect("/c", "/news/1", 302)
    page = fetcher.get(site.url + "/a")
    assert page.url == site.url + "/news/1"
    assert page.moved == site.url + "/c"
    assert fetcher.get(site.url + "/c").moved == ""


def test_redirects_come_to_an_end(site: NewsSite, fetcher: Fetcher) -> None:
    site.redirect("/loop", "/loop")
    assert "redirects more than 5 times" in str(refused(fetcher, site.url + "/loop"))
    assert site.paths().count("/loop") == 6


@pytest.mark.parametrize("there", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://10.0.0.1/"])  # fmt: skip
def test_redirects_to_what_is_no_page_are_refused(site: NewsSite, fetcher: Fetcher, there: str) -> None:
    site.redirect("/a", there)
    assert isinstance(refused(fetcher, site.url + "/a"), FetchForbiddenError)


def test_a_redirect_to_what_is_no_address_is_told(site: NewsSite, fetcher: Fetcher) -> None:
    site.redirect("/a", "http://[::1/")
    assert "its answer is not HTTP" in str(refused(fetcher, site.url + "/a"))


def test_a_redirect_down_from_https_is_refused() -> None:
    reply = RawResponse(302, httpx.Headers({"location": "http://a.example/"}), b"")
    with pytest.raises(FetchForbiddenError, match="from https to http"):
        redirect_target("https://a.example/", reply)


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 410, 418, 500, 502])
def test_errors_are_told_with_their_status(site: NewsSite, fetcher: Fetcher, status: int) -> None:
    found = refused(fetcher, site.put("/x", b"", status))
    assert found.status == status
    assert str(status) in str(found)


# Limits


def test_a_body_above_the_limit_is_not_read_to_its_end(site: NewsSite, fetcher: Fetcher) -> None:
    url = site.put("/big", b"x" * 2_000_000)
    assert "larger than 1 MB" in str(refused(fetcher, url, limit=1_000_000))
    assert len(fetcher.get(url, limit=2_000_000).body) == 2_000_000


def test_a_packed_body_counts_unpacked(site: NewsSite, fetcher: Fetcher) -> None:
    bomb = packed(b"\0" * 50_000_000)
    url = site.put("/bomb", bomb, headers={"Content-Encoding": "gzip"})
    assert "larger than 1 MB" in str(refused(fetcher, url, limit=1_000_000))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", packed),
        ("x-gzip", packed),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),  # without its frame, as some servers send it
        ("identity", bytes),
    ],
)
def test_packed_bodies_are_unpacked(site: NewsSite, fetcher: Fetcher, name: str, pack: Any) -> None:
    url = site.put("/x", pack(b"<p>text</p>" * 1000), headers={"Content-Encoding": name})
    assert fetcher.get(url).body == b"<p>text</p>" * 1000


def test_not_modified_that_was_not_asked_for_is_no_page(site: NewsSite, fetcher: Fetcher) -> None:
    url = site.put("/x", status=304, validated=False)
    assert "304" in str(refused(fetcher, url))
    assert fetcher.get(url, etag='"a"').is_unchanged


@pytest.mark.parametrize(("name", "body", "said"), [("br", b"x", "not asked for"), ("gzip", b"no gzip", "cannot be unpacked"), ("gzip", packed(b"x" * 999)[:-9], "breaks off")])  # fmt: skip
def test_bodies_that_cannot_be_unpacked_are_told(site: NewsSite, fetcher: Fetcher, name: str, body: bytes, said: str) -> None:  # fmt: skip
    assert said in str(refused(fetcher, site.put("/x", body, headers={"Content-Encoding": name})))


def test_files_of_several_packed_parts_are_read_whole() -> None:
    assert decompress(packed(b"a") + packed(b"b"), limit=10) == b"ab"
    assert (
        read_body([bytes([byte]) for byte in packed(b"abc" * 9)], content_encoding="gzip", limit=100)
        == b"abc" * 9
    )


def test_a_host_that_drips_is_left(site: NewsSite, fetcher: Fetcher) -> None:
    url = site.put("/slow", b"x" * 1_000, slowly=0.05)
    fetcher.get(site.url + "/news/1")  # robots.txt is read by now
    fetcher._seconds = 0.3
    assert "no answer in time" in str(refused(fetcher, url))


def test_a_host_that_is_not_there_is_told(fetcher: Fetcher) -> None:
    with NewsSite() as gone:
        url = gone.url
    assert "no connection" in str(refused(fetcher, url + "/x"))
    assert "not known" in str(refused(fetcher, "http://nowhere.invalid/"))


def test_every_error_of_the_connection_has_its_words() -> None:
    def below(kind: type) -> Iterator[type]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    ours = tuple(kind for kind, _ in module._ERROR_TEXTS)
    wanted = [*below(httpcore.TimeoutException), *below(httpcore.NetworkError), *below(httpcore.ProtocolError), *below(httpx.TransportError)]  # fmt: skip
    assert all(issubclass(kind, ours) for kind in wanted)


def test_a_certificate_of_nobodys_is_refused(waits: Clockwork) -> None:
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with NewsSite(articles=1) as site:
        site._server.socket = context.wrap_socket(site._server.socket, server_side=True)
        fetcher = open_fetcher(allowed=("127.0.0.1",), delay=0, stopping=waits)
        found = refused(fetcher, site.url.replace("http:", "https:") + "/news/1")
        fetcher.close()
    assert "CERTIFICATE_VERIFY_FAILED" in str(found)


# robots.txt


def test_robots_txt_is_obeyed_and_read_once(site: NewsSite, fetcher: Fetcher) -> None:
    site.robots = "User-agent: *\nDisallow: /news/1\nAllow: /\n\nUser-agent: Other\nDisallow: /"
    assert "robots.txt does not allow it" in str(refused(fetcher, site.url + "/news/1"))
    fetcher.get(site.url + "/news/2")
    assert [asked.path for asked in site.asked] == ["/robots.txt", "/news/2"]


def test_a_byte_order_mark_does_not_hide_the_first_rule(site: NewsSite, fetcher: Fetcher) -> None:
    site.robots = "\ufeffUser-agent: *\nDisallow: /news/1"
    assert "robots.txt does not allow it" in str(refused(fetcher, site.url + "/news/1"))


def test_rules_for_citewire_come_before_those_for_all(site: NewsSite, fetcher: Fetcher) -> None:
    site.robots = "User-agent: *\nDisallow: /\n\nUser-agent: citewire\nDisallow: /private"
    fetcher.get(site.url + "/news/1")
    assert isinstance(refused(fetcher, site.url + "/private/x"), FetchForbiddenError)


def test_robots_txt_counts_where_a_redirect_ends(site: NewsSite, fetcher: Fetcher) -> None:
    site.robots = "User-agent: *\nDisallow: /news/1"
    site.redirect("/short", "/news/1")
    assert isinstance(refused(fetcher, site.url + "/short"), FetchForbiddenError)
    assert "/news/1" not in site.paths()


@pytest.mark.parametrize(
    ("status", "allowed"), [(404, True), (401, True), (403, True), (500, False), (503, False), (429, False)]
)
def test_without_robots_txt_all_is_allowed_and_in_trouble_nothing(site: NewsSite, fetcher: Fetcher, status: int, allowed: bool) -> None:  # fmt: skip
    site.put("/robots.txt", b"Disallow: /", status)
    if allowed:
        fetcher.get(site.url + "/news/1")
    else:
        assert "robots.txt cannot be had" in str(refused(fetcher, site.url + "/news/1"))
        assert site.paths() == []


# Politeness


def test_a_pause_lies_between_two_requests_but_to_hosts_of_ones_own(waits: Clockwork) -> None:
    hosts = HostThrottle(delay=2.0, stopping=waits)
    with hosts.acquire("a.example") as host:
        hosts.wait("a.example", host, allowlisted=False)
        hosts.record_request(host, "Citewire")
        hosts.wait("a.example", host, allowlisted=False)
        hosts.wait("a.example", host, allowlisted=True)
    assert [round(seconds) for seconds in waits.waited] == [2]


@pytest.mark.parametrize(("delay", "waited"), [("7", 7), ("3600", 30), ("0.1", 2), ("x", 2)])
def test_a_crawl_delay_is_kept_up_to_half_a_minute(waits: Clockwork, delay: str, waited: int) -> None:
    from protego import Protego

    hosts = HostThrottle(delay=2.0, stopping=waits)
    with hosts.acquire("a.example") as host:
        host.rules = Protego.parse(f"User-agent: *\nCrawl-delay: {delay}")
        hosts.record_request(host, "Citewire")
        hosts.wait("a.example", host, allowlisted=False)
    assert [round(seconds) for seconds in waits.waited] == [waited]


def test_a_busy_host_is_asked_again_when_it_says(site: NewsSite, fetcher: Fetcher, waits: Clockwork) -> None:
    busy = iter([True, True, False])

    def answer(_headers: dict[str, str]) -> Any:
        site.put("/now", "<p>x") if not next(busy) else site.put(
            "/now", b"", 429, headers={"Retry-After": "7"}
        )
        return site.answers["/now"]

    site.answers["/x"] = answer
    assert fetcher.get(site.url + "/x").status == 200
    assert site.paths() == ["/x"] * 3
    assert [round(seconds) for seconds in waits.waited] == [7, 7]


@pytest.mark.parametrize("status", [429, 503])
def test_a_host_that_wants_to_be_left_is_left(site: NewsSite, fetcher: Fetcher, status: int) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    url = site.put("/x", b"", status, headers={"Retry-After": when})
    found = refused(fetcher, url)
    assert found.status == status
    assert 3_500 < found.wait <= 3_600
    later = refused(fetcher, site.url + "/news/1")
    assert "asks to be left alone for 60 more minutes" in str(later)
    assert site.paths() == ["/x"]


def test_rest_is_told_and_kept_beyond_the_process(site: NewsSite, waits: Clockwork) -> None:
    told: dict[str, float] = {}
    url = site.put("/x", b"", 429, headers={"Retry-After": "9999999"})
    first = Fetcher(
        AddressPolicy.from_allowlist(["127.0.0.1"]),
        HostThrottle(delay=0, stopping=waits, on_backoff=told.__setitem__),
    )
    assert refused(first, url).wait == 86_400
    second = Fetcher(
        AddressPolicy.from_allowlist(["127.0.0.1"]), HostThrottle(delay=0, stopping=waits, backoffs=told)
    )
    assert "left alone" in str(refused(second, site.url + "/news/1"))
    first.close()
    second.close()


def test_a_stop_ends_the_waiting(site: NewsSite, fetcher: Fetcher, waits: Clockwork) -> None:
    waits.set()
    with pytest.raises(CrawlStopped):
        fetcher.get(site.url + "/news/1")


def test_a_host_has_one_connection_at_a_time(site: NewsSite, fetcher: Fetcher) -> None:
    open_now, most = [0], [0]

    def answer(_headers: dict[str, str]) -> Any:
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        threading.Event().wait(0.02)
        open_now[0] -= 1
        return site.put("/y", "<p>x") and site.answers["/y"]

    site.answers["/x"] = answer
    threads = [threading.Thread(target=fetcher.get, args=(site.url + "/x",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_cookies_do_not_outlive_a_page(site: NewsSite, fetcher: Fetcher) -> None:
    site.put("/a", b"", 302, headers={"Location": "/news/1", "Set-Cookie": "id=7"}, validated=False)
    fetcher.get(site.url + "/a")
    assert site.asked[-1].headers["cookie"] == "id=7"
    fetcher.get(site.url + "/news/2")
    assert "cookie" not in site.asked[-1].headers


def test_proxies_of_the_environment_are_not_used(site: NewsSite, monkeypatch: pytest.MonkeyPatch, waits: Clockwork) -> None:  # fmt: skip
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    fetcher = open_fetcher(allowed=("127.0.0.1",), delay=0, stopping=waits)
    assert fetcher.get(site.url + "/news/1").status == 200
    fetcher.close()
