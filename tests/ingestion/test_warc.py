import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
from article_files import MORE, PROSE, assert_clean, read, skipped, write
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from bot.articles.article import Article
from bot.ingestion.loaders import Skipped, base, read_articles


def page(number: int = 1) -> bytes:
    return f"<html><head><title>Plan {number}</title></head><body><article><p>{PROSE}</p><p>{MORE}</p></article></body></html>".encode()


def archive(
    *records: tuple[str, dict[str, str], bytes], packed: bool = True, status: str = "200 OK"
) -> bytes:
    out = io.BytesIO()
    writer = WARCWriter(out, gzip=packed)
    about = writer.create_warcinfo_record("a.warc", {"software": "a test"})
    writer.write_record(about)
    about.raw_stream.close()
    for url, headers, body in records:
        sent = StatusAndHeaders(status, list(headers.items()), protocol="HTTP/1.1")
        record = writer.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=sent)
        writer.write_record(record)
        record.raw_stream.close()
    return out.getvalue()


HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("name", "packed"), [("a.warc", False), ("a.warc.gz", True), ("A.WARC.GZ", True), ("b.warc", True)]
)
def test_each_page_of_an_archive_is_an_article_of_its_address(
    tmp_path: Path, name: str, packed: bool
) -> None:
    content = archive(*((f"https://paper.example/{n}", HTML, page(n)) for n in (1, 2)), packed=packed)
    found = read(write(tmp_path / name, content))
    assert [(item.url, item.title, item.source) for item in found] == [
        ("https://paper.example/1", "Plan 1", "paper.example"),
        ("https://paper.example/2", "Plan 2", "paper.example"),
    ]
    assert found[0].text == f"{PROSE}\n\n{MORE}"


def test_only_pages_that_a_server_has_found_are_read(tmp_path: Path) -> None:
    others = archive(
        ("https://paper.example/a.png", {"Content-Type": "image/png"}, b"\x89PNG"),
        ("https://paper.example/a.css", {"Content-Type": "text/css"}, b"a {}"),
        ("https://paper.example/none", {}, page()),
    )
    assert (
        read(
            write(
                tmp_path / "a.warc.gz", others + archive(("https://a.example", HTML, page()), status="404 No")
            )
        )
        == []
    )


def test_content_is_unpacked_and_decoded_as_it_was_sent(tmp_path: Path) -> None:
    said = "Правительство приняло новый закон, который вчера критиковала вся оппозиция в столице."
    html = f"<html><body><article><p>{said}</p></article></body></html>".encode("koi8-r")
    headers = {"Content-Type": "text/html; charset=KOI8-R", "Content-Encoding": "gzip"}
    [found] = read(
        write(tmp_path / "a.warc.gz", archive(("https://a.example/1", headers, gzip.compress(html))))
    )
    assert found.text == said


def test_a_page_without_article_is_noted_and_a_bad_one_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MAX_ARTICLE_BYTES", 5_000)
    content = archive(
        ("https://paper.example/", HTML, b"<html><body><nav><a href='/x'>x</a></nav></body></html>"),
        ("javascript:alert(1)", HTML, page()),
        ("https://paper.example/bomb", HTML | {"Content-Encoding": "gzip"}, gzip.compress(b" " * 50_000_000)),
        ("https://paper.example/1", HTML, page()),
    )
    found = read(write(tmp_path / "a.warc.gz", content))
    assert [(item.reason, item.expected) for item in found if isinstance(item, Skipped)] == [
        ("https://paper.example/: no article text found in this HTML page", True),
        ("javascript:alert(1): url: 'javascript:alert(1)' is not a web address", False),
        (
            "https://paper.example/bomb: 0.0 MB: too large for one article (limit 0.005 MB); leave it out",
            False,
        ),
    ]
    assert isinstance(found[-1], Article)


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_archive_gives_what_stands_before_the_damage(tmp_path: Path, packed: bool) -> None:
    whole = archive(*((f"https://paper.example/{n}", HTML, page(n)) for n in (1, 2)), packed=packed)
    first = archive(("https://paper.example/1", HTML, page(1)), packed=packed)
    found = read(
        write(tmp_path / "a.warc.gz", whole[: len(first)] + b"\x1f\x8bthis is no record at all\r\n\r\n" * 9)
    )
    assert isinstance(found[0], Article)
    assert all(isinstance(item, Skipped) and not item.expected for item in found[1:])
    assert len(found) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no archive\r\n\r\n", "damaged after record 0"),
        (b"\x1f\x8babc", "damaged after record 0"),
    ],
)
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    assert skipped(tmp_path / "a.warc.gz", content).reason.startswith(reason)


def test_an_archive_is_read_record_by_record(tmp_path: Path) -> None:
    big = {"Content-Type": "video/mp4"}
    path = write(
        tmp_path / "a.warc", archive(*(("https://a.example/v", big, b"x" * 1_000_000),) * 20, packed=False)
    )
    tracemalloc.start()
    assert list(read_articles([path])) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < path.stat().st_size / 4


WHOLE = archive(("https://paper.example/1", HTML, page()), packed=False)


@given(cut=st.integers(0, len(WHOLE)), noise=st.binary(max_size=30), packed=st.booleans())
@settings(max_examples=80, deadline=None)
def test_no_damage_can_raise(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes, packed: bool
) -> None:
    whole = gzip.compress(WHOLE) if packed else WHOLE
    content = whole[:cut] + noise + whole[cut + len(noise) :]
    assert_clean(read(write(tmp_path_factory.mktemp("warc") / "a.warc.gz", content)))
