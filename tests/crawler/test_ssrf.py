"""Which addresses may be asked, however they are written and whatever a name leads to the next moment."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from news_site import NewsSite

from bot.crawler.fetcher import open_fetcher
from bot.crawler.ssrf import AddressPolicy, is_public
from bot.errors import FetchError, FetchForbiddenError


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("64:ff9b::5db8:d822", True),  # NAT64 of a public address
        ("::ffff:93.184.216.34", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # a cloud's metadata
        ("100.64.0.1", False),  # a provider's own network
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("198.18.0.1", False),
        ("::", False),
        ("::1", False),
        ("::7f00:1", False),  # the old form that holds 127.0.0.1
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::1", False),
        ("2002:7f00:1::", False),  # 6to4 of 127.0.0.1
        ("2001:0:a00:1::", False),  # Teredo, by way of 10.0.0.1
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
    ],
)
def test_only_the_public_internet_is_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_decides(inner: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(int(ipaddress.IPv6Address("::ffff:0:0")) | int(inner))
    nat64 = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | int(inner))
    assert is_public(mapped) == is_public(nat64) == is_public(inner)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST.", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0", "169.254.169.254"],
)  # fmt: skip
def test_private_hosts_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(FetchForbiddenError, match=r"private address: allow it with CITEWIRE_FETCH_ALLOW="):
        AddressPolicy().resolve_url(f"http://{host}/")


def test_what_to_do_is_said() -> None:
    said = "127.0.0.1 is a private address: allow it with CITEWIRE_FETCH_ALLOW=127.0.0.1"
    with pytest.raises(FetchForbiddenError, match=f"^{said}$"):
        AddressPolicy().resolve_url("http://127.0.0.1:8000/x")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.org/", "not an http or https address"),
        ("file:///etc/passwd", "not an http or https address"),
        ("gopher://127.0.0.1/", "not an http or https address"),
        ("http:///x", "not an http or https address"),
        ("https://user:secret@127.0.0.1/", "user or password"),
        ("https://user@127.0.0.1/", "user or password"),
        ("http://[::1/", "not a web address"),
        ("http://127.0.0.1:99999/", "not a web address"),
    ],
)
def test_other_addresses_are_refused(url: str, said: str) -> None:
    with pytest.raises(FetchForbiddenError, match=said) as refused:
        AddressPolicy.from_allowlist(["127.0.0.1"]).resolve_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "allowed", ["127.0.0.1", "127.0.0.0/8", "localhost", "Localhost.", "::ffff:127.0.0.1"]
)
def test_what_is_allowed_may_be_private(allowed: str) -> None:
    guard = AddressPolicy.from_allowlist([allowed])
    if allowed.startswith("::"):
        with pytest.raises(FetchForbiddenError):
            guard.resolve_url("http://127.0.0.1/")
        return
    target = guard.resolve_url(
        "http://localhost:81/" if "local" in allowed.lower() else "http://127.0.0.1:81/"
    )
    assert target.allowlisted
    assert target.port == 81
    assert "127.0.0.1" in target.addresses


def test_an_allowed_network_allows_nothing_else() -> None:
    with pytest.raises(FetchForbiddenError):
        AddressPolicy.from_allowlist(["10.1.0.0/16", "intranet.example"]).resolve_url("http://127.0.0.1/")


def answers_in_turn(monkeypatch: pytest.MonkeyPatch, name: str, *addresses: str) -> None:
    """Let the system's resolver say another address of this name each time; the last one for good."""
    real, left = socket.getaddrinfo, list(addresses)

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host in (name, name.encode()):
            host = left.pop(0) if len(left) > 1 else left[0]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_name_that_turns_private_after_it_was_checked_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with NewsSite(articles=1) as site:
        port = site.url.rpartition(":")[2]
        answers_in_turn(monkeypatch, "rebind.example", "93.184.216.34", "127.0.0.1")
        fetcher = open_fetcher(allowed=(), delay=0)
        with pytest.raises(FetchError, match=r"rebind\.example leads to 127\.0\.0\.1, a private address"):
            fetcher.get(f"http://rebind.example:{port}/news/1")
        fetcher.close()
        assert not site.asked


def test_the_name_is_kept_in_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with NewsSite(articles=1) as site:
        port = site.url.rpartition(":")[2]
        answers_in_turn(monkeypatch, "intranet.example", "127.0.0.1")
        fetcher = open_fetcher(allowed=("intranet.example",), delay=0)
        assert fetcher.get(f"http://intranet.example:{port}/news/1").status == 200
        fetcher.close()
        assert site.asked[-1].headers["host"] == f"intranet.example:{port}"


def test_a_redirect_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with NewsSite() as site, NewsSite(articles=1) as inner:
        port = site.url.rpartition(":")[2]
        answers_in_turn(monkeypatch, "intranet.example", "127.0.0.1")
        site.redirect("/away", inner.url + "/news/1")
        fetcher = open_fetcher(allowed=("intranet.example",), delay=0)
        with pytest.raises(FetchForbiddenError, match=r"^127.0.0.1 is a private address"):
            fetcher.get(f"http://intranet.example:{port}/away")
        fetcher.close()
        assert not inner.asked
