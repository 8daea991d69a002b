"""Who may use the service, and how often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from service_app import CUP, Service, StartService

from bot.errors import BindError, SettingsError
from bot.server.app import run_server, serve
from bot.server.auth import is_loopback
from bot.server.errors import HttpError
from bot.server.rate_limit import RateLimiter, client_key
from bot.server.runner import BindAddress
from bot.services import Services
from bot.settings import load_settings

TOKEN, OTHER = "0123456789abcdef-intranet", "fedcba9876543210-desk"
TOKENS = f"intranet:{TOKEN}, desk:{OTHER}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def guarded(start_shared: StartService) -> Service:
    return start_shared(api_tokens=TOKENS)


@pytest.mark.parametrize("token", [TOKEN, OTHER])
def test_whoever_has_a_token_is_answered(guarded: Service, token: str) -> None:
    assert guarded.ask(headers=bearer(token)).json()["text"] == CUP
    assert guarded.client.get("/metrics", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN.upper()}",
        "Bearer intranet", f"Bearer intranet:{TOKEN}", f"Bearer {TOKEN} {OTHER}", f"Bearer {TOKEN},{OTHER}", "Bearer \xe9", "Bearer " + "x" * 5_000,
    ],
)  # fmt: skip
def test_nobody_else_is(guarded: Service, header: str | None) -> None:
    headers = [(b"authorization", header.encode("latin-1"))] if header is not None else []
    asked = {"content": b'{"question": "who"}', "headers": [*headers, (b"content-type", b"application/json")]}
    for response in (
        guarded.client.post("/ask", **asked),  # type: ignore[arg-type]
        guarded.client.get("/metrics", headers=headers),
    ):
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in response.text


def test_whoever_looks_whether_it_lives_needs_none(guarded: Service) -> None:
    assert guarded.client.get("/healthz").json() == {"ok": True}
    assert guarded.client.get("/readyz").json() == {"ready": True, "failing": []}


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "citewire.example.org", "127.0.0.1.example.org", ""]
)
def test_without_tokens_nobody_but_this_machine_could_ask(tmp_path: Path, host: str) -> None:
    workspace = Services(load_settings(data_dir=tmp_path))
    with pytest.raises(SettingsError, match="set CITEWIRE_API_TOKENS"):
        run_server(workspace, BindAddress(host, 0), on_listening=print)
    assert not list(tmp_path.iterdir())  # it was refused before anything was opened


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST", "[::1]"])
def test_these_are_this_machine(host: str) -> None:
    assert is_loopback(host)


def test_a_page_whose_name_points_here_is_not_answered(start_service: StartService) -> None:
    service = start_service(public_url="https://citewire.example.org")
    evil, own = {"Host": "evil.example"}, {"Host": "citewire.example.org"}
    assert service.ask(headers=evil).status_code == 421
    assert service.client.get("/articles/cup", headers=evil).status_code == 421
    assert service.ask(headers=own).status_code == 200
    assert service.ask(headers={"Host": "localhost:8080"}).status_code == 200


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("short", "needs 16 or more"), ("desk:short", "the token of desk needs 16"), (f"desk:{TOKEN} desk:{OTHER}", "two tokens"),
        (f"a/b:{TOKEN}", "a name has"), (f"desk:{TOKEN}é", "the token of desk"), (f":{TOKEN}", "a name has"), (f"desk:{TOKEN}\"", "the token of desk"),
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("CITEWIRE_API_TOKENS", value)
    with pytest.raises(SettingsError, match=said) as refused:
        load_settings()
    assert TOKEN not in str(refused.value)
    assert "short" not in str(refused.value)


def test_tokens_come_as_words_a_list_or_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read() -> dict[str, str]:
        settings = load_settings()
        assert TOKEN not in repr(settings) + settings.model_dump_json()
        return {name: value.get_secret_value() for name, value in settings.api_tokens.items()}

    toml = Path("citewire.toml")
    for text, expected in [
        (f'api_tokens = "{TOKENS}"', {"intranet": TOKEN, "desk": OTHER}),
        (f'api_tokens = ["desk:{TOKEN}", "{OTHER}"]', {"desk": TOKEN, "token-2": OTHER}),
        (f'[api_tokens]\ndesk = "{TOKEN}"', {"desk": TOKEN}),
    ]:
        toml.write_text(text)
        assert read() == expected
    monkeypatch.setenv("CITEWIRE_API_TOKENS", "")
    assert read() == {}


def test_each_token_has_a_rate_of_its_own(start_service: StartService) -> None:
    service = start_service(api_tokens=TOKENS, serve_rate=2)
    statuses = [service.ask(headers=bearer(TOKEN)).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    refused = service.ask(headers=bearer(TOKEN))
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["retry_after"] == int(refused.headers["retry-after"])
    assert service.ask(headers=bearer(OTHER)).status_code == 200
    page = [service.client.get("/articles/cup", headers=bearer(TOKEN)).status_code for _ in range(21)]
    assert page == [200] * 20 + [429]


def asked_for(service: Service, said: str) -> int:
    """The status of a question from somebody for whom `said` stands in what proxies add."""
    return service.ask(headers={"X-Forwarded-For": said}).status_code


def test_a_stranger_who_says_another_address_each_time_is_not_believed(start_service: StartService) -> None:
    service = start_service(serve_rate=2)
    assert [asked_for(service, f"192.0.2.{n}") for n in range(3)] == [200, 200, 429]
    other = start_service(folder="other", serve_rate=2, trusted_proxies="198.51.100.7 198.51.100.8/31")
    assert [asked_for(other, f"192.0.2.{n}") for n in range(3)] == [200, 200, 429]


def test_behind_a_trusted_proxy_each_has_a_rate_of_their_own(start_service: StartService) -> None:
    service = start_service(serve_rate=1, trusted_proxies="127.0.0.0/8, ::1")
    assert [asked_for(service, "192.0.2.1"), asked_for(service, "192.0.2.1")] == [200, 429]
    assert asked_for(service, "192.0.2.2") == 200
    # The last word is the proxy's; what stood before it its client may have written.
    assert asked_for(service, "203.0.113.9, 192.0.2.1") == 429
    assert asked_for(service, "203.0.113.9, 192.0.2.1, 127.0.0.3") == 429
    assert [asked_for(service, "no address"), asked_for(service, "nor is this")] == [200, 429]


@pytest.mark.parametrize(
    "value", ["*", "0.0.0.0/0", "::/0", "proxy.example", "10.0.0.1/8", "10.0.0.256", "/"]
)
def test_what_would_trust_everybody_or_names_no_address_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="CITEWIRE_TRUSTED_PROXIES"):
        load_settings(trusted_proxies=value)


def test_a_bucket_fills_again_and_holds_a_minute_s_worth() -> None:
    now = 0.0
    rate = RateLimiter(60, clock=lambda: now)

    def taken() -> int:
        for count in range(1_000):
            try:
                rate.check("ann")
            except HttpError as refusal:
                return count if refusal.retry_after == 1 else -1
        return -1

    assert taken() == 60
    now += 5
    assert taken() == 5
    now += 3_600
    assert taken() == 60


def test_what_is_remembered_of_who_asks_does_not_grow() -> None:
    rate = RateLimiter(1)
    for n in range(30_000):
        rate.check(f"address {n}")
    assert len(rate) == 10_000


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::"), ("2001:db8::ffff:1", "2001:db8::"), ("fe80::1%eth0", "fe80::"), ("", ""), ("unknown", "")],
)  # fmt: skip
def test_an_address_that_its_user_can_choose_from_counts_as_one(address: str, expected: str) -> None:
    assert client_key(address) == expected


def test_a_port_that_is_taken_is_said_in_a_sentence(service: Service) -> None:
    port = int(service.url.rpartition(":")[2])

    async def again() -> None:
        await serve(
            service.workspace, BindAddress("127.0.0.1", port), stopped=asyncio.Event(), on_listening=print
        )

    with pytest.raises(BindError, match=rf"^port {port} cannot be opened: .*--port$"):
        asyncio.run(again())


@pytest.mark.parametrize(
    ("sent", "kept"), [("r-1.B_c", True), ("", False), ("a b", False), ("x" * 65, False), ("r\u00e9", False)]
)
def test_a_request_s_id_is_taken_over_where_it_is_one(shared_service: Service, sent: str, kept: bool) -> None:
    found = shared_service.client.get("/healthz", headers=[(b"x-request-id", sent.encode())]).headers[
        "x-request-id"
    ]
    assert (found == sent) is kept
    assert found.isascii()


def test_every_response_bears_the_headers_that_keep_browsers_from_mischief(service: Service) -> None:
    for response in (
        service.ask(),
        service.client.get("/"),
        service.client.get("/articles/cup"),
        service.client.get("/healthz"),
    ):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "noindex" in response.headers["x-robots-tag"]
        assert "server" not in response.headers
        assert "access-control-allow-origin" not in response.headers
