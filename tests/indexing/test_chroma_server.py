"""Chroma on a server that is away, slow, wrong, secret, behind TLS, or another one than before."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from chroma_process import ChromaProcess
from chroma_proxy import Front
from conftest import WordEmbedder

from bot.articles.article import Article
from bot.articles.chunking import split_passages
from bot.errors import (
    CollectionNotFoundError,
    SettingsError,
    VectorStoreError,
    VectorStoreRequestError,
    VectorStoreUnavailableError,
)
from bot.indexing.chroma_server import ServerVectorStore
from bot.storage.models import PendingVersion

TOKEN = "ck-3f9c0a1b2c3d"
HEADERS = {"x-chroma-token": TOKEN, "Authorization": f"Bearer {TOKEN}-2"}


def fill(store: ServerVectorStore, articles: list[Article]) -> str:
    drafts = [
        PendingVersion(article, 1, tuple(split_passages(article.id, 1, article.text))) for article in articles
    ]
    passages = [passage for draft in drafts for passage in draft.passages]
    texts = [passage.text for passage in passages]
    stage = store.open_writer(None, "citewire-test")
    stage.upsert([passage.id for passage in passages], WordEmbedder().encode(texts))
    stage.commit()
    return stage.location


def nearest(store: ServerVectorStore, location: str, text: str = "moon") -> list[tuple[str, float]]:
    return store.search(location, WordEmbedder().encode([text])[0], 10)


Use = Callable[[ServerVectorStore, str], Any]
USES: dict[str, Use] = {
    "search": nearest,
    "cosines": lambda store, location: store.cosines(location, WordEmbedder().encode(["moon"])[0], ["x"]),
    "count": lambda store, location: store.count(location),
    "stage": lambda store, _: store.open_writer(None, "citewire-test"),
    "remove": lambda store, location: store.open_writer(location, "citewire-test").remove(["x"]),
    "sweep": lambda store, _: store.delete_unused_collections("citewire-none", set()),
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@pytest.fixture
def front(chroma_url: str) -> Iterator[Front]:
    with Front(chroma_url) as proxy:
        yield proxy


@pytest.fixture
def store(front: Front) -> Iterator[ServerVectorStore]:
    opened = ServerVectorStore(front.url, headers=HEADERS)
    yield opened
    opened.close()


def html(words: str) -> dict[str, Any]:
    return {"body": f"<html>{words}</html>".encode(), "kind": "text/html"}


def chroma(kind: str, words: str) -> dict[str, Any]:
    return {"body": json.dumps({"error": kind, "message": words}).encode()}


# What goes wrong


@every_use
@pytest.mark.parametrize(
    ("status", "answer", "expected", "words"),
    [
        (500, chroma("InternalError", "disk full"), VectorStoreUnavailableError, r"cannot answer now \(status 500: disk"),
        (503, html("Down"), VectorStoreUnavailableError, r"cannot answer now \(status 503\); try again"),
        (502, {"body": b""}, VectorStoreUnavailableError, r"cannot answer now \(status 502\)"),
        (429, chroma("ChromaError", "slow down"), VectorStoreUnavailableError, "slow down"),
        (401, chroma("AuthError", TOKEN), VectorStoreError, "refuses the credentials .*CITEWIRE_CHROMA_HEADERS"),
        (403, html("No"), VectorStoreError, "refuses the credentials .*CITEWIRE_CHROMA_TENANT"),
        (400, chroma("InvalidArgumentError", "Database [x]"), VectorStoreRequestError, r"refuses a call .*Database \[x\]"),
        (404, html("nginx"), VectorStoreError, "there is no Chroma .*CITEWIRE_CHROMA_URL"),
        (404, {"body": b'{"detail":"Not Found"}'}, VectorStoreError, "there is no Chroma with version 2"),
        (301, html("Moved"), VectorStoreError, "there is no Chroma .*status 301"),
        (200, html("Welcome"), VectorStoreError, "does not answer as Chroma does"),
        (200, {"body": b"\xff\x00"}, VectorStoreError, "does not answer as Chroma does"),
    ],
)  # fmt: skip
def test_what_a_server_answers_is_told_in_words(
    front: Front,
    store: ServerVectorStore,
    use: Use,
    status: int,
    answer: dict[str, Any],
    expected: type,
    words: str,
) -> None:
    front.answers = lambda handler: handler.say(status, **answer)
    with pytest.raises(VectorStoreError, match=words) as told:
        use(store, "citewire-x")
    assert type(told.value) is expected
    assert front.url in str(told.value)


@pytest.mark.parametrize(
    "body",
    [
        "null", "[]", "{}", "7", '"x"', '{"id": 5}', '{"id": "../../heartbeat"}', '{"ids": [["a"]], "distances": null}',
        '{"ids": [["a"]], "distances": [["b"]]}', '{"ids": [["a", "b"]], "distances": [[1]]}', '[{"name": 1}, 2]',
    ],
)  # fmt: skip
@every_use
def test_json_that_is_not_chroma_s_is_no_answer(
    front: Front, store: ServerVectorStore, four: list[Article], use: Use, body: str
) -> None:
    location = fill(store, four)
    front.answers = lambda handler: handler.say(200, body.encode())
    # Where any number is an answer, or an answer is not looked at.
    if (use is USES["count"] and body == "7") or (use is USES["sweep"] and body in ("[]", "{}")):
        use(store, location)
        return
    with pytest.raises(VectorStoreError, match="does not answer as Chroma does"):
        use(store, location)


@every_use
def test_nobody_at_the_address(use: Use) -> None:
    with pytest.raises(
        VectorStoreUnavailableError, match=r"127.0.0.1:9 does not answer: Connection refused; start it"
    ):
        use(ServerVectorStore("http://127.0.0.1:9"), "citewire-x")


def test_a_name_that_nobody_has() -> None:
    with pytest.raises(VectorStoreUnavailableError, match="its name is not known"):
        nearest(ServerVectorStore("http://chroma.invalid:8000"), "citewire-x")


def test_a_server_that_never_answers_is_not_waited_for_without_end(
    own_chroma: ChromaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.indexing.chroma_client._READ_TIMEOUT", 0.3)
    monkeypatch.setattr("bot.indexing.chroma_client._WRITE_TIMEOUT", 0.4)
    store = ServerVectorStore(own_chroma.url)
    own_chroma.stand_still()
    for use in USES.values():
        with pytest.raises(VectorStoreUnavailableError, match="no answer within"):
            use(store, "citewire-x")
    own_chroma.go_on()
    assert store.count(store.open_writer(None, "citewire-test").location) == 0
    store.close()


@every_use
def test_an_answer_that_breaks_off_is_asked_for_once_more(
    front: Front, store: ServerVectorStore, four: list[Article], use: Use
) -> None:
    location = fill(store, four)
    begun: list[str] = []

    def break_off(handler: Any) -> bool:
        begun.append(handler.path)
        return len(begun) == 1 and handler.break_off()

    front.answers = break_off
    use(store, location)
    assert begun[0] == begun[1]
    front.answers = lambda handler: handler.break_off()
    with pytest.raises(VectorStoreUnavailableError, match="the connection broke off"):
        use(store, location)


# Killed and started again


def test_a_server_that_was_killed_is_found_again_when_it_is_back(
    own_chroma: ChromaProcess, four: list[Article]
) -> None:
    stores = {ServerVectorStore(own_chroma.url): use for use in USES.values()}
    location = fill(next(iter(stores)), four)

    def use_all() -> None:
        for store, use in stores.items():
            use(store, location)

    use_all()
    own_chroma.kill()
    own_chroma.start()
    use_all()  # over connections that were kept, and are dead
    own_chroma.kill()
    for store, use in [*stores.items()] * 2:
        with pytest.raises(VectorStoreUnavailableError):
            use(store, location)
    own_chroma.start()
    use_all()
    for store in stores:
        assert store.count(location) == 4
        assert nearest(store, location)[0][1] > 0
        store.close()


def test_a_server_that_has_lost_its_disk_is_told_from_one_that_is_away(
    own_chroma: ChromaProcess, four: list[Article], tmp_path: Path
) -> None:
    store = ServerVectorStore(own_chroma.url)
    location = fill(store, four)
    own_chroma.kill()
    (tmp_path / "chroma-server").rename(tmp_path / "gone")
    own_chroma.start()
    with pytest.raises(CollectionNotFoundError, match=r"does not have the vectors .*run `citewire reindex`"):
        nearest(store, location)
    store.close()


def test_a_collection_made_anew_under_its_name_is_looked_up_again(
    front: Front, store: ServerVectorStore, chroma_url: str, four: list[Article]
) -> None:
    location = fill(store, four)
    other = ServerVectorStore(chroma_url)
    other.delete_unused_collections(location, set())
    other._collections.create(location)
    assert nearest(store, location) == []
    assert store.count(location) == 0
    other.close()


# Connections


def test_connections_are_kept_and_shared_between_threads(
    front: Front, store: ServerVectorStore, four: list[Article]
) -> None:
    location = fill(store, four)
    front.calls.clear()
    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(lambda _: nearest(store, location), range(200)))
    assert all(one == found[0] for one in found)
    assert len(front.calls) == 200  # the id is not asked for again
    assert front.connections <= 8


def test_many_who_ask_a_server_that_hangs_are_all_told(
    front: Front, store: ServerVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.indexing.chroma_client._READ_TIMEOUT", 0.5)
    front.answers = lambda handler: handler.hang()

    def ask(_: int) -> str:
        with pytest.raises(VectorStoreUnavailableError) as told:
            store.count("citewire-x")
        return str(told.value)

    with ThreadPoolExecutor(24) as threads:
        assert all("does not answer" in told for told in threads.map(ask, range(24)))
    front.answers = None
    with pytest.raises(CollectionNotFoundError):
        store.count("citewire-x")


def test_the_environment_s_proxy_is_used(
    front: Front, chroma_url: str, monkeypatch: pytest.MonkeyPatch, four: list[Article]
) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:word@{front.address}")
    monkeypatch.setenv("no_proxy", "other.example")
    store = ServerVectorStore(chroma_url)
    assert len(nearest(store, fill(store, four))) == 4
    assert front.calls[0].path.startswith(chroma_url)
    assert front.calls[0].headers["proxy-authorization"] == "Basic dXNlcjp3b3Jk"
    store.close()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    front.calls.clear()
    direct = ServerVectorStore(chroma_url)
    direct.delete_unused_collections("citewire-none", set())
    direct.close()
    assert not front.calls


# Batches


def test_no_call_holds_more_than_chroma_cloud_takes(front: Front, store: ServerVectorStore) -> None:
    sizes: list[int] = []

    def counted(handler: Any) -> bool:
        sizes.append(int(handler.headers.get("Content-Length") or 0))
        return False

    front.answers = counted
    many = [Article(id=f"a{n}", text=f"number {n}") for n in range(1_000)]
    location = fill(store, many)
    ids = [split_passages(article.id, 1, article.text)[0].id for article in many]
    assert len(store.cosines(location, WordEmbedder().encode(["number"])[0], ids)) == 1_000
    store.open_writer(location, "citewire-test").remove(ids[:900])
    assert store.count(location) == 100
    calls = [call.path.rpartition("/")[2] for call in front.calls]
    assert [calls.count(name) for name in ("upsert", "get", "delete")] == [4, 4, 3]


def test_what_the_server_can_take_is_asked_of_it(front: Front, store: ServerVectorStore) -> None:
    abilities = {"max_batch_size": 4, "supports_base64_encoding": False}

    def answer(handler: Any) -> bool:
        return handler.path.endswith("pre-flight-checks") and handler.say(200, json.dumps(abilities).encode())

    front.answers = answer
    location = fill(store, [Article(id=f"a{n}", text=f"number {n}") for n in range(10)])
    assert [call.path.rpartition("/")[2] for call in front.calls].count("upsert") == 3
    assert len(nearest(store, location, "number")) == 10


def test_where_a_server_returns_no_more_than_its_quota_that_many_are_found(
    front: Front, store: ServerVectorStore
) -> None:
    location = fill(store, [Article(id=f"a{n}", text=f"number {n}") for n in range(400)])
    vector = WordEmbedder().encode(["number"])[0]
    assert len(store.search(location, vector, 350)) == 350
    asked: list[str] = []

    def refuse_the_first(handler: Any) -> bool:
        asked.append(handler.path)
        return len(asked) == 1 and handler.say(422, **chroma("ChromaError", "Quota exceeded: limit 300"))

    front.answers = refuse_the_first
    assert len(store.search(location, vector, 350)) == 300
    asked.clear()
    with pytest.raises(VectorStoreRequestError, match="Quota exceeded"):
        store.search(location, vector, 10)
    assert len(asked) == 1


# Secrets, tenants, TLS


def test_headers_are_sent_with_every_call_and_never_said(
    front: Front, store: ServerVectorStore, four: list[Article], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    location = fill(store, four)
    for use in USES.values():
        use(store, location)
    for call in front.calls:
        assert {name: call.headers[name] for name in HEADERS} == HEADERS
    told = [repr(store), str(vars(store))]
    for status in (400, 401, 404, 500):
        for words in (f"your token {TOKEN} is wrong", f"Bearer {TOKEN}-2", f"{TOKEN}-2"):
            front.answers = lambda handler, status=status, words=words: handler.say(
                status, **chroma("NotFoundError", words)
            )
            with pytest.raises(VectorStoreError) as refused:
                nearest(store, location)
            told.append(str(refused.value))
    assert TOKEN not in "".join(told) + caplog.text


def test_what_a_server_says_is_shown_on_one_short_line(front: Front, store: ServerVectorStore) -> None:
    front.answers = lambda handler: handler.say(500, **chroma("x", "a\n\x1b[31mb\u202e" + "c" * 9_000))
    with pytest.raises(VectorStoreUnavailableError) as told:
        store.count("citewire-x")
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 500


def test_a_redirect_is_not_followed_with_the_headers(
    front: Front, store: ServerVectorStore, chroma_url: str
) -> None:
    with Front(chroma_url) as elsewhere:
        front.answers = lambda handler: handler.say(307, b"", Location=elsewhere.url + handler.path)
        with pytest.raises(VectorStoreError, match="status 307"):
            store.count("citewire-x")
        assert not elsewhere.calls


def test_tenant_and_database_are_parts_of_the_path_whatever_they_hold(front: Front) -> None:
    store = ServerVectorStore(front.url, tenant="a/b c", database="ü?#")
    with pytest.raises(VectorStoreError):
        store.count("citewire-x")
    assert front.calls[0].path.startswith("/api/v2/tenants/a%2Fb%20c/databases/%C3%BC%3F%23/collections/")
    store.close()


def test_another_database_holds_other_collections(chroma_url: str, four: list[Article]) -> None:
    store = ServerVectorStore(chroma_url, database="citewire-own")
    with pytest.raises(VectorStoreError, match="citewire-own"):
        store.open_writer(None, "citewire-test")
    store._collections.http.call("POST", "/api/v2/tenants/default_tenant/databases", {"name": "citewire-own"})
    location = fill(store, four)
    assert store.count(location) == 4
    with pytest.raises(CollectionNotFoundError):
        ServerVectorStore(chroma_url).count(location)
    store.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(chroma_url: str, authority: trustme.CA) -> Iterator[Front]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Front(chroma_url, prefix="/vectors/one", tls=context) as proxy:
        yield proxy


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def test_a_private_authority_s_certificate_is_trusted_when_it_is_named(
    secure: Front, ca_file: Path, four: list[Article]
) -> None:
    for slash in ("", "/"):
        store = ServerVectorStore(secure.url + slash, headers=HEADERS, ca_file=ca_file)
        location = fill(store, four)
        assert len(nearest(store, location)) == store.count(location) == 4
        store.close()
    for call in secure.calls:
        assert call.path.startswith("/vectors/one/api/v2/")
        assert {name: call.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize("named", ["nothing", "another authority"])
def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(
    secure: Front, tmp_path: Path, named: str
) -> None:
    other = None
    if named == "another authority":
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
    store = ServerVectorStore(secure.url, headers=HEADERS, ca_file=other)
    with pytest.raises(VectorStoreError, match=r"cannot be trusted: .*CITEWIRE_CHROMA_CA_FILE"):
        store.count("citewire-x")
    assert not secure.calls
    store.close()


def test_a_certificate_of_another_host_is_refused(secure: Front, ca_file: Path) -> None:
    store = ServerVectorStore(secure.url.replace("localhost", "127.0.0.1"), ca_file=ca_file)
    with pytest.raises(VectorStoreError, match=r"cannot be trusted: .*127\.0\.0\.1"):
        store.count("citewire-x")
    assert not secure.calls
    store.close()


def test_a_server_that_speaks_no_tls_is_told(front: Front) -> None:
    store = ServerVectorStore(front.url.replace("http:", "https:"))
    with pytest.raises(VectorStoreError, match="no TLS is spoken there"):
        store.count("citewire-x")
    store.close()


def test_a_kept_tls_connection_that_is_dead_is_made_anew(
    secure: Front, ca_file: Path, four: list[Article]
) -> None:
    store = ServerVectorStore(secure.url, ca_file=ca_file)
    location = fill(store, four)
    closed: list[bool] = []

    def close_once(handler: Any) -> bool:
        if not closed:
            closed.append(True)
            handler.connection.close()  # without TLS's goodbye
            handler.close_connection = True
            return True
        return False

    secure.answers = close_once
    assert store.count(location) == 4
    assert closed
    store.close()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=rf"CITEWIRE_CHROMA_CA_FILE: {path} holds no certificate"):
        ServerVectorStore("https://localhost:1", ca_file=path)
