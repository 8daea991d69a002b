"""Evidence pages: the article that a quote stands in, and what has become of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from conftest import FOUR, make, take_in
from hypothesis import given
from hypothesis import strategies as st
from service_app import Service, StartService

from bot.answering.signed_links import SignedLinks
from bot.articles.article import Article
from bot.articles.chunking import Span, split_passages
from bot.server.evidence import EvidenceView
from bot.server.pages import article_page
from bot.services import Services
from bot.storage.article_store import open_article_store
from bot.storage.models import ArticleVersion, PendingVersion

PUBLIC = "https://citewire.example.org"
TOKENS = "desk:0123456789abcdef"
QUAKE = "What struck southern Türkiye before dawn?"
QUOTE = "An earthquake struck southern Türkiye before dawn."
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
HOSTILE = "</span></article><script>alert(1)</script><img src=x onerror=alert(2)> \"'& <b>bold</b> <!-- "


@pytest.fixture
def public(start_service: StartService) -> Service:
    return start_service(public_url=f"{PUBLIC}/", api_tokens=TOKENS)


@pytest.fixture(scope="module")
def read_only(start_shared: StartService) -> Service:
    """The same for tests that change no article."""
    return start_shared(public_url=f"{PUBLIC}/", api_tokens=TOKENS)


def cited(service: Service, question: str = QUAKE) -> dict[str, Any]:
    answer = service.ask(question, headers={"Authorization": "Bearer 0123456789abcdef"}).json()
    return answer["citations"][0]


def opened(service: Service, link: str, **headers: str) -> httpx.Response:
    assert link.startswith(f"{PUBLIC}/articles/")
    return service.client.get(link.removeprefix(PUBLIC), headers={**BROWSER, **headers})


def corrected(service: Service, text: str) -> None:
    take_in(service.workspace, [make({**FOUR[3], "text": text})])


def plain(page: Any) -> str:
    """Return a page without the bold of the words that answer."""
    return re.sub("</?b>", "", page.text)


def test_an_article_without_a_web_address_is_cited_with_a_link_to_its_page(read_only: Service) -> None:
    citation = cited(read_only)
    link = urlsplit(citation["link"])
    assert link.path == "/articles/quake"
    assert link.fragment == citation["passage_id"]
    assert {key: value for key, [value] in parse_qs(link.query).items() if key != "key"} == {
        "v": "1", "q": f"{citation['start']}-{citation['end']}",
        "a": f"{citation['answer_start']}-{citation['answer_end']}",
    }  # fmt: skip
    page = opened(read_only, citation["link"])
    assert page.status_code == 200
    assert page.text.count("<mark ") == 1
    marked = html.unescape(re.findall(r"<mark [^>]*>(.*?)</mark>", plain(page), re.DOTALL)[0])
    assert marked == citation["quote"] == QUOTE
    assert f'<mark id="{link.fragment}">' in page.text  # what the link leads to
    assert "Rescuers searched the rubble for days." in page.text
    assert "corrected" not in page.text


def test_one_with_an_address_is_cited_with_that(read_only: Service) -> None:
    assert cited(read_only, "Who won the final on penalties?")["link"].startswith("https://daily.example/cup")


def test_without_an_address_of_the_service_there_are_no_links(service: Service) -> None:
    assert service.ask(QUAKE).json()["citations"][0]["link"] is None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda link: link, 200),
        (lambda link: link.partition("#")[0], 200),
        (lambda link: re.sub(r"&key=[^#]*", "", link), 403),
        (lambda link: re.sub(r"key=[^#]*", "key=", link), 403),
        (lambda link: re.sub(r"key=.", "key=!", link), 403),
        (lambda link: re.sub(r"key=[^#]*", "key=%C3%A9%00", link), 403),
        (lambda link: re.sub(r"q=0-\d+", "q=0-49", link), 403),
        (lambda link: re.sub(r"&[qa]=[\d-]+", "", link), 403),
        (lambda link: re.sub(r"&q=[\d-]+", "", link), 400),
        (lambda link: link.replace("v=1", "v=2"), 403),
        (lambda link: link.replace("/quake", "/cup"), 403),
        (lambda link: link.replace("/quake", "/..%2f..%2fetc%2fpasswd"), 403),
        (lambda link: re.sub(r"q=[\d-]+", "q=5-2", link), 400),
        (lambda link: re.sub(r"q=[\d-]+", "q=-1", link), 400),
        (lambda link: re.sub(r"q=[\d-]+", "q=" + "9" * 5_000 + "-2", link), 400),
        (lambda link: link.replace("v=1", "v=one"), 400),
        (lambda link: link.replace("v=1", "v=-1"), 400),
    ],
)  # fmt: skip
def test_a_link_opens_just_what_it_was_made_for(read_only: Service, change: Any, status: int) -> None:
    response = opened(read_only, change(cited(read_only)["link"]))
    assert response.status_code == status
    assert (QUOTE in plain(response)) is (status == 200)
    if status == 403:
        assert "open it again from the answer" in response.text


def test_the_seal_is_not_shown_what_it_should_be(read_only: Service) -> None:
    link = cited(read_only)["link"]
    seal = parse_qs(urlsplit(link).query)["key"][0]
    other = opened(read_only, link.replace("/quake", "/cup")).text
    assert seal not in other
    assert read_only.workspace.articles.link_key() not in other


def test_a_token_opens_every_page(read_only: Service) -> None:
    for path in ("/articles/quake", "/articles/cup?v=1&q=0-5"):
        assert read_only.client.get(path, headers=BROWSER).status_code == 403
        page = read_only.client.get(path, headers={**BROWSER, "Authorization": "Bearer 0123456789abcdef"})
        assert page.status_code == 200
    assert (
        read_only.client.get("/articles/quake", headers={"Authorization": "Bearer wrong"}).status_code == 401
    )


def test_without_tokens_pages_are_open_to_this_machine(service: Service) -> None:
    assert service.client.get("/articles/quake", headers=BROWSER).status_code == 200
    assert service.client.head("/articles/quake", headers=BROWSER).content == b""
    assert service.client.get("/articles/nowhere").status_code == 404
    assert service.client.get("/articles/quake?v=2").status_code == 404
    assert service.client.get("/articles/quake?v=1&q=5-500000").status_code == 404


def test_a_corrected_article_keeps_the_words_that_were_cited_and_says_so(public: Service) -> None:
    link = cited(public)["link"]
    corrected(public, f"It was a Monday. {QUOTE} Rescuers searched the rubble for weeks.")
    page = opened(public, link)
    assert "Rescuers searched the rubble for days." in page.text
    assert re.search(
        r"This article was corrected on \d+ \w+ \d{4}; the quote still stands in it\.", page.text
    )
    [newest] = re.findall(r'href="([^"]*)">Read it as it is now', page.text)
    page = opened(public, html.unescape(newest))
    assert page.status_code == 200
    assert f"{QUOTE}</mark> Rescuers searched the rubble for weeks." in plain(page)
    assert "corrected" not in page.text


def test_a_quote_that_was_taken_out_is_told_to_be_gone(public: Service) -> None:
    link = cited(public)["link"]
    corrected(public, "Rescuers searched the rubble for days. Nobody knows why.")
    page = opened(public, link)
    assert f">{QUOTE}</mark>" in plain(page)
    assert "the quote no longer stands in it." in page.text
    [newest] = re.findall(r'href="([^"]*)">Read it as it is now', page.text)
    assert "q=" not in newest
    assert "Nobody knows why." in opened(public, html.unescape(newest)).text


def test_a_withdrawn_article_is_gone_and_none_of_it_is_shown(public: Service) -> None:
    link = cited(public)["link"]
    with public.workspace.index_writer() as indexer:
        indexer.publish(retired=["quake"])
    page = opened(public, link)
    assert page.status_code == 410
    assert "was withdrawn" in page.text
    assert "earthquake" not in page.text
    assert "Türkiye" not in page.text
    gone = opened(public, link, Accept="application/json")
    assert (gone.status_code, gone.json().keys()) == (410, {"error"})


def test_what_is_not_published_yet_is_not_shown(public: Service) -> None:
    newer = make({**FOUR[3], "text": "Not for readers yet."})
    public.workspace.articles.write([PendingVersion(newer, 2, tuple(split_passages("quake", 2, newer.text)))])
    for version in ("", "?v=2", "?v=1"):
        response = public.client.get(
            f"/articles/quake{version}", headers={"Authorization": "Bearer 0123456789abcdef"}
        )
        assert "Not for readers" not in response.text


def test_a_program_gets_json(read_only: Service) -> None:
    found = opened(read_only, cited(read_only)["link"], Accept="application/json").json()
    assert found["quote"]["text"] == found["text"][found["quote"]["start"] : found["quote"]["end"]] == QUOTE
    assert (found["id"], found["version"], found["newest"], found["note"]) == ("quake", 1, 1, "")
    assert [found["text"][one["start"] : one["end"]] for one in found["passages"]]


def test_nothing_of_an_article_becomes_markup(start_service: StartService) -> None:
    article = make({"id": HOSTILE, "title": f"Title {HOSTILE}", "source": f"Outlet {HOSTILE}", "published": "2023-01-01",
                    "text": f"The dam {HOSTILE} broke on Monday in the valley. It rained {HOSTILE} for days."})  # fmt: skip
    service = start_service(articles=[article], public_url=PUBLIC)
    link = cited_link(service.workspace, article)
    page = opened(service, link)
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert "<!--" not in page.text
    assert page.text.count("<b") == page.text.count("<body") + page.text.count("<bdi>")
    assert opened(service, link.replace("?", "x?")).status_code == 404


def cited_link(workspace: Services, article: Article) -> str:
    return workspace.signed_links.link(article.id, 1, Span(0, len(article.text)))


def test_an_id_that_the_database_could_not_hold_is_no_article(
    start_service: StartService, empty_postgres: str
) -> None:
    service = start_service(database_url=empty_postgres)
    assert service.client.get("/articles/cup").status_code == 200
    assert service.client.get("/articles/c%00up").status_code == 404


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "nq:640", 'https://daily.example/a"onclick="x', "//evil.example"]
)
def test_what_is_no_web_address_is_no_link(url: str) -> None:
    article = Article(
        id="a", text="A dam broke.", title="Dam", url=url, published=None, source="", tags=(), origin=""
    )
    assert "The original" not in page_of(article, None)


def page_of(article: Article, span: Span | None) -> str:
    draft = PendingVersion(article, 1, tuple(split_passages(article.id, 1, article.text)))
    edition = ArticleVersion(article, 1, draft.passages, draft, None)
    page = article_page(EvidenceView(edition, span, is_quote_current=True, newest_link=""))
    return bytes(page.body).decode()


PARTS = st.lists(
    st.sampled_from(["The dam broke on Monday. ", "It rained. ", "\n", "\n\n", "<b>", "&amp;", "</mark>", '"', "e\u0301 ", "\u202eevil ", "x" * 900]),
    min_size=1, max_size=30,
).map("".join)  # fmt: skip


@given(PARTS, st.data())
def test_the_page_shows_the_whole_text_and_marks_just_the_quote(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    span = Span(start, data.draw(st.integers(start + 1, len(text))))
    article = Article(id="a", text=text, title="", url=None, published=None, source="", tags=(), origin="")
    shown = (
        page_of(article, span)
        .partition('dir="auto">')[2]
        .partition('dir="auto">')[2]
        .rpartition("</article>")[0]
    )
    marked = "".join(re.findall(r"<mark[^>]*>(.*?)</mark>", shown, re.DOTALL))
    whole = re.sub(r"<[^>]*>", "", shown)
    assert re.findall(r'id="(\w+)"', shown) == [one.id for one in split_passages("a", 1, text)]
    assert html.unescape(whole).split() == text.split()
    assert "".join(html.unescape(marked).split()) == "".join(text[span.start : span.end].split())


def test_the_policy_allows_the_page_s_own_style_and_nothing_else(read_only: Service) -> None:
    page = opened(read_only, cited(read_only)["link"])
    [style] = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["referrer-policy"] == "no-referrer"


def test_all_that_share_a_library_know_each_other_s_links_and_no_one_else_s(tmp_path: Path) -> None:
    first, again, other = (open_article_store(tmp_path / name) for name in ("one", "one", "two"))
    link = SignedLinks(first, PUBLIC).link("a/b c", 3, Span(1, 5), "p")
    assert link.startswith(f"{PUBLIC}/articles/{quote('a/b c', safe='')}?v=3&q=1-5&key=")
    seal = parse_qs(urlsplit(link).query)["key"][0]
    assert SignedLinks(again, "").verify(seal, "a/b c", 3, Span(1, 5))
    assert not SignedLinks(other, PUBLIC).verify(seal, "a/b c", 3, Span(1, 5))
    assert not SignedLinks(first, PUBLIC).verify(seal, "a/b c", 3, None)
    for library in (first, again, other):
        library.close()


def test_the_words_that_answer_are_bold_in_the_quote(public: Service) -> None:
    sealed, quote = public.workspace.signed_links, Span(0, len(QUOTE))
    words = Span(QUOTE.index("southern"), QUOTE.index(" before"))
    link = sealed.link("quake", 1, quote, answer=words)
    bold = "An earthquake struck <b>southern Türkiye</b> before dawn.</mark>"
    assert bold in opened(public, link).text
    assert "<b>" not in opened(public, sealed.link("quake", 1, quote)).text
    corrected(public, f"It was a Monday. {QUOTE}")
    [newest] = re.findall(r'href="([^"]*)">Read it as it is now', opened(public, link).text)
    assert bold in opened(public, html.unescape(newest)).text


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("21-37", 200),
        ("21-38", 403),
        ("", 403),
        ("40-60", 400),
        ("5-2", 400),
        ("x", 400),
        ("9" * 5_000 + "-2", 400),
    ],
)
def test_a_link_makes_bold_just_the_words_it_was_made_for(
    read_only: Service, answer: str, status: int
) -> None:
    link = read_only.workspace.signed_links.link("quake", 1, Span(0, len(QUOTE)), answer=Span(21, 37))
    assert opened(read_only, link.replace("&a=21-37", f"&a={answer}" if answer else "")).status_code == status


def test_a_link_without_words_keeps_the_seal_that_it_always_had(tmp_path: Path) -> None:
    library = open_article_store(tmp_path)
    key = bytes.fromhex(library.link_key())
    seal = base64.urlsafe_b64encode(hmac.digest(key, b"a\n3\n1-5", hashlib.sha256)[:16]).decode().rstrip("=")
    sealed = SignedLinks(library, PUBLIC)
    assert f"&q=1-5&key={seal}" in sealed.link("a", 3, Span(1, 5))
    assert sealed.verify(seal, "a", 3, Span(1, 5))
    assert not sealed.verify(seal, "a", 3, Span(1, 5), Span(1, 2))
    library.close()


def test_bold_words_of_an_article_are_no_markup(start_service: StartService) -> None:
    article = make({"id": "x", "title": "t", "text": f"The dam {HOSTILE} broke on Monday in the valley."})
    service = start_service(articles=[article], public_url=PUBLIC)
    words = Span(8, 8 + len(HOSTILE.strip()))
    page = opened(
        service, service.workspace.signed_links.link("x", 1, Span(0, len(article.text)), answer=words)
    )
    assert "<script" not in page.text
    [bold] = re.findall(r"<b>(.*?)</b>", page.text, re.DOTALL)
    assert html.unescape(bold) == HOSTILE.strip()
