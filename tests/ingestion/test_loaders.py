import json
import logging
import os
import socket
import string
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from article_files import MORE, PROSE, article, assert_clean, read, skipped, texts, write
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.articles.article import Article
from bot.ingestion.loaders import Skipped, base, read_articles

SUFFIXES = (".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml", ".jsonl", ".ndjson", ".json")


def page(body: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def story(extra: str = "", head: str = "") -> str:
    return page(f"<article><h1>Plan goes ahead</h1>{extra}<p>{PROSE}</p><p>{MORE}</p></article>", head)


# Files and folders


def test_a_skip_shows_its_file_line_and_reason() -> None:
    assert str(Skipped("corpus/x.jsonl", 3, "reason")) == "corpus/x.jsonl:3: reason"
    assert str(Skipped("corpus/x.jsonl", None, "reason")) == "corpus/x.jsonl: reason"
    assert not Skipped("x", None, "reason").expected


def test_folders_are_read_recursively_in_sorted_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/b/c.md", "c.jsonl", ".hidden.txt", ".git/x.txt", "a/.x/y.txt"):
        write(tmp_path / "in" / name, json.dumps({"text": name}) if name == "c.jsonl" else name)
    assert texts(read(tmp_path / "in")) == ["a/b/c.md", "a/z.txt", "b.txt", "c.jsonl"]


def test_files_are_read_in_the_order_given_and_hidden_ones_when_named(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, name) for name in ("b.txt", ".a.txt")]
    assert texts(read(*paths)) == ["b.txt", ".a.txt"]


def test_the_origin_is_the_resolved_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in" / "a.txt", "x")
    monkeypatch.chdir(tmp_path / "in")
    [by_name], [by_path] = read(Path("a.txt")), read(tmp_path / "in" / ".." / "in" / "a.txt")
    assert by_name == by_path
    assert by_name.origin == str((tmp_path / "in" / "a.txt").resolve())


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a" / "x.txt", "x")
    (tmp_path / "in" / "a" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "b").symlink_to(tmp_path / "in" / "a", target_is_directory=True)
    assert texts(read(tmp_path / "in")) == ["x"]


def test_a_folder_behind_a_link_is_read(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "x.txt", "x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert texts(read(tmp_path / "in")) == ["x"]


def test_a_deep_tree_of_folders_is_read(tmp_path: Path) -> None:
    deep = tmp_path / "in"
    deep.mkdir()
    for _ in range(200):
        deep /= "d"
        deep.mkdir()
    write(deep / "x.txt", "x")
    assert texts(read(tmp_path / "in")) == ["x"]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file or folder"),
        (lambda path: path.symlink_to(path.with_name("gone.txt")), "no such file or folder"),
        (lambda path: path.symlink_to(path), "too many levels of symbolic links"),
        (os.mkfifo, "not a regular file"),
    ],
    ids=["missing", "broken link", "link to itself", "pipe"],
)
def test_what_is_no_file_is_skipped(tmp_path: Path, make, reason: str) -> None:
    make(tmp_path / "x.txt")
    assert read(tmp_path / "x.txt") == [Skipped(str(tmp_path / "x.txt"), None, reason)]


def test_errors_of_the_file_system_are_skips(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "x")
    long = tmp_path / ("x" * 300 + ".txt")
    reasons = [item.reason for item in read(file / "child.txt", long) if isinstance(item, Skipped)]
    assert reasons == ["not a directory", "file name too long"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_and_folders_without_permission_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.txt", "x").chmod(0)
    closed = write(tmp_path / "in" / "b" / "x.txt", "x").parent
    closed.chmod(0)
    found = read(tmp_path / "in")
    closed.chmod(0o700)
    assert [item.reason for item in found if isinstance(item, Skipped)] == ["permission denied"] * 2


def test_a_file_that_vanishes_while_the_folder_is_read_is_skipped(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        write(tmp_path / "in" / name, name)
    found = read_articles([tmp_path / "in"])
    assert next(found).text == "a.txt"
    (tmp_path / "in" / "b.txt").unlink()
    assert texts(list(found)) == [f"{tmp_path / 'in' / 'b.txt'}: no such file or folder", "c.txt"]


def test_a_name_that_is_not_unicode_can_be_stored_and_printed(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.txt")
    try:
        path.write_text("x")
    except OSError:
        pytest.skip("this file system takes only Unicode names")
    [found] = read(path)
    assert found.origin.encode().endswith(rb"caf\udce9.txt")


@pytest.mark.parametrize("name", ["a.xls", "README", "a.doc", "a.txt.bak", "a.gz"])
def test_other_kinds_of_file_are_named_with_what_can_be_read(tmp_path: Path, name: str) -> None:
    found = skipped(tmp_path / name, "some, text")
    assert "not a kind of file that can be read" in found.reason
    assert all(suffix in found.reason for suffix in SUFFIXES)
    assert not found.expected


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.jsonl", "a.json", "a.csv"])
@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 only text follows",
        b"\x89PNG\r\n",
        b"PK\x03\x04abc",
        b"\x1f\x8babc",
        b"text\0text",
        bytes(range(1, 256)) * 40,
    ],
)
def test_binary_content_is_named_whatever_the_suffix(tmp_path: Path, name: str, content: bytes) -> None:
    assert skipped(tmp_path / name, content).reason.startswith("binary file, not text")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe \0\n\0"])
def test_an_empty_file_is_skipped(tmp_path: Path, suffix: str, content: bytes) -> None:
    assert skipped(tmp_path / f"a{suffix}", content) == Skipped(
        str(tmp_path / f"a{suffix}"), None, "the file is empty"
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_suffixes_may_be_in_upper_case(tmp_path: Path, suffix: str) -> None:
    content = json.dumps({"text": PROSE}) if "json" in suffix or "nd" in suffix else story()
    assert PROSE in article(tmp_path / f"A{suffix.upper()}", content).text


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        (
            "a.txt",
            52_400_000,
            "52.4 MB: too large for one article (limit 10 MB); split it or write it as JSON lines",
        ),
        (
            "a.md",
            10_000_001,
            "10.0 MB: too large for one article (limit 10 MB); split it or write it as JSON lines",
        ),
        (
            "a.html",
            3_000_000_000,
            "3000.0 MB: too large for one article (limit 10 MB); split it or write it as JSON lines",
        ),
        ("a.json", 100_000_001, "100.0 MB: too large to parse whole (limit 100 MB); write it as JSON lines"),
    ],
)
def test_large_files_are_refused_before_they_are_read(
    tmp_path: Path, name: str, size: int, reason: str
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(size)  # sparse: reading it would find NUL bytes and say so
    assert read(tmp_path / name) == [Skipped(str(tmp_path / name), None, reason)]


def test_an_article_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    assert len(article(tmp_path / "a.txt", b"x" * base.MAX_ARTICLE_BYTES).text) == 10_000_000


# Encodings

WESTERN = [
    "Le café est fermé.",
    "Café fermé à Orléans : la préfète a annoncé l’arrêté. « L’importance » du marché, dit le maire.",
    "Müller grüßt.",
    "Die Bundesregierung hat über das Maßnahmenpaket für Bürger beraten; Müller äußerte Zweifel.",
    "El señor Peña dijo que mañana habrá una reunión. ¿Qué pasará?",
    "A eleição não terminou: o ministro das Relações Exteriores fará uma declaração amanhã.",
    "It’s over.",
    "The minister said “we can’t go on” – and left. It cost £5 million or €6 million; 20°C, 10 m² or 3 m³.",
    "Regeringen besluttede fredag, at afstemningen skal holdes på Fyn og i Århus. Æbler.",
    "“Miloš Zeman” said – no.",
]


@pytest.mark.parametrize("text", WESTERN)
@pytest.mark.parametrize("suffix", [".txt", ".md", ".jsonl", ".json"])
def test_cp1252_text_is_read_as_it_was_meant(tmp_path: Path, suffix: str, text: str) -> None:
    content = json.dumps({"text": text}, ensure_ascii=False) if "json" in suffix else text
    assert article(tmp_path / f"a{suffix}", content.encode("cp1252")).text == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unicode_is_read_with_its_byte_order_mark(tmp_path: Path, suffix: str, encoding: str) -> None:
    said = "Ċ ਊ “Straße” 🚀 " + PROSE  # two characters whose UTF-16 bytes hold a newline's
    content = json.dumps({"text": said}, ensure_ascii=False) if "json" in suffix or "nd" in suffix else said
    content = page(f"<article><p>{said}</p><p>{MORE}</p></article>") if "htm" in suffix else content
    assert article(tmp_path / f"a{suffix}", content.encode(encoding)).text.startswith("Ċ ਊ “Straße” 🚀 The")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-be"])
def test_big_and_little_endian_marks_are_known(tmp_path: Path, codec: str) -> None:
    assert article(tmp_path / "a.txt", "\ufeffÉté".encode(codec)).text == "Été"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Правительство приняло вчера новый закон, который критиковала оппозиция.", "cp1251"),
        ("Правительство приняло вчера новый закон, который критиковала оппозиция.", "koi8-r"),
        ("Η κυβέρνηση ενέκρινε χθες νέο νόμο που επέκρινε η αντιπολίτευση.", "cp1253"),
        (
            "Hükümet yeni bir yasayı onayladı. İstanbul’da şiddetli yağış bekleniyor, dedi.",
            "cp1254",
        ),
        ("政府は昨日、野党が批判した新しい法律を承認した。首相は記者会見で説明した。", "shift_jis"),
        ("政府昨天通过了反对派批评的新法律。总理在新闻发布会上作了说明。", "gb18030"),
        ("정부는 어제 야당이 비판한 새로운 법을 승인했다. 총리는 기자회견에서 설명했다.", "euc_kr"),
    ],
)
def test_other_encodings_are_guessed_from_the_text(tmp_path: Path, text: str, encoding: str) -> None:
    assert article(tmp_path / "a.txt", text.encode(encoding)).text == text


def test_utf8_with_a_broken_byte_stays_utf8(tmp_path: Path) -> None:
    assert (
        article(tmp_path / "a.txt", "“Straße”, “Café”".encode() + b" \xff").text == "“Straße”, “Café” \ufffd"
    )


@pytest.mark.parametrize("declared", ["windows-1251", "koi8-r"])
def test_a_page_is_read_in_the_charset_it_declares(tmp_path: Path, declared: str) -> None:
    said = "Правительство приняло новый закон, который вчера критиковала вся оппозиция в столице."
    content = page(f"<article><p>{said}</p></article>", f'<meta charset="{declared}"><title>Закон</title>')
    found = article(tmp_path / "a.html", content.encode(declared))
    assert (found.title, found.text) == ("Закон", said)


@pytest.mark.parametrize("declared", ["unicode_escape", "utf-7", "rot13", "no-such", "iso-8859-1"])
def test_a_declared_charset_cannot_do_harm(tmp_path: Path, declared: str) -> None:
    content = story("<p>Déjà vu à l’été.</p>", f'<meta charset="{declared}">').encode("cp1252")
    assert "Déjà vu à l’été." in article(tmp_path / "a.html", content).text


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_newlines_of_all_kinds_are_one(tmp_path: Path, newline: str) -> None:
    content = "---\ntitle: A\n---\n\nOne.\n\nTwo.\n".replace("\n", newline)
    assert [article(tmp_path / name, content).text for name in ("a.txt", "a.md")] == ["One.\n\nTwo."] * 2


# Text and Markdown

FRONT = """---
id: sample-1
title: "A plan: goes ahead"
url: https://paper.example/plan
published: 2022-06-17
source: The Paper
tags: [world, vote]
layout: post
---
Text.
"""


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_front_matter_gives_the_fields(tmp_path: Path, name: str) -> None:
    found = article(tmp_path / name, FRONT)
    assert (found.id, found.title, found.url) == (
        "sample-1",
        "A plan: goes ahead",
        "https://paper.example/plan",
    )
    assert (found.source, found.tags, found.text) == ("The Paper", ("world", "vote"), "Text.")
    assert found.published.isoformat() == "2022-06-17T00:00:00+00:00"


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("title: 12", "title", "12"),
        ("title: 12:30", "title", "12:30"),
        ("title: no", "title", "no"),
        ("title: 1.50", "title", "1.50"),
        ("Title: In capitals", "title", "In capitals"),
        ("title: null", "title", ""),
        ("title: ~", "title", ""),
        ("title:", "title", ""),
        ("title: |\n  Over\n  lines", "title", "Over lines"),
        ("id: 007", "id", "007"),
        ("source: 2022-06-17", "source", "2022-06-17"),
        ("tags: a, b", "tags", ("a", "b")),
        ("tags:\n  - 2022\n  - true", "tags", ("2022", "true")),
        ("text: not this", "text", "Body."),
        ("? [a]\n: b\ntitle: T", "text", None),
        ("published:", "published", None),
        ("published: null", "published", None),
    ],
)
def test_values_are_taken_as_they_are_written(tmp_path: Path, line: str, field: str, value) -> None:
    [found] = read(write(tmp_path / "a.md", f"---\nx: y\n{line}\n---\nBody."))
    if value is None and field == "text":
        assert isinstance(found, Skipped)  # keys that are lists are no fields
    else:
        assert getattr(found, field) == value


@pytest.mark.parametrize(
    ("line", "published"),
    [
        ("published: 2022-06-17", "2022-06-17T00:00:00+00:00"),
        ("date: 2022-06-17", "2022-06-17T00:00:00+00:00"),
        ("date: 2020-01-01\npublished: 2022-06-17", "2022-06-17T00:00:00+00:00"),
        ("published:\ndate: 2022-06-17", "2022-06-17T00:00:00+00:00"),
        ("published: 2022-06-17 08:00:00", "2022-06-17T08:00:00+00:00"),
        ("date: 2022-06-17 08:00:00 +0200", "2022-06-17T08:00:00+02:00"),
        ("published: 2022-06-17T08:00:00Z", "2022-06-17T08:00:00+00:00"),
        ("published: June 17, 2022", "2022-06-17T00:00:00+00:00"),
    ],
)
def test_dates_of_front_matter(tmp_path: Path, line: str, published: str) -> None:
    assert article(tmp_path / "a.md", f"---\n{line}\n---\nx").published.isoformat() == published


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("---\ntitle: A: B: C\n---\nx", 2, "front matter is not valid YAML: mapping values are not allowed"),
        ("---\ntitle: A\nid: [1\n---\nx", 3, "front matter is not valid YAML"),
        ('---\ntitle: A\n\nid: "open\n---\nx', 4, "front matter is not valid YAML"),
        ("---\ntitle: *gone\n---\nx", 2, "undefined alias"),
        ("---\ntitle: " + "[" * 5_000 + "\n---\nx", 1, "cannot be parsed"),
        ("---\ntitle: A\n\nText that goes on.", 1, "never closed"),
        ("---\ntitle: A\n---\n  \n", None, "the article has no text"),
        ("---\ntitle: [A]\n---\nx", None, "title: expected text"),
        ("---\npublished: [2022]\n---\nx", None, "published: expected a date"),
        ("---\npublished: 2022-13-45\n---\nx", None, "published: '2022-13-45' is not a date"),
        ("---\nurl: javascript:x\n---\nx", None, "not a web address"),
    ],
)
def test_broken_front_matter_is_skipped_with_its_line(
    tmp_path: Path, content: str, line: int | None, reason: str
) -> None:
    found = skipped(tmp_path / "a.md", content)
    assert reason in found.reason
    assert found.line == line


@pytest.mark.parametrize(
    "content",
    [
        "---\n\nProse under a rule.\n\n---\n\nMore: of it.",
        "---\nProse under a rule, with: a colon.\n---\nMore.",
        "---\n- a\n- b\n---\nx",
        "---\n---\nx",
        "---",
        "--- title: x",
        "----\ntitle: x\n----\n",
        "Prose.\n\n---\ntitle: x\n---\n",
    ],
)
def test_a_rule_in_markdown_is_not_front_matter(tmp_path: Path, content: str) -> None:
    found = article(tmp_path / "a.md", content)
    assert (found.text, found.title) == (content.strip(), "")


def test_aliases_inside_aliases_cost_nothing(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
        for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    for field in ("published", "title", "tags"):
        assert field in skipped(tmp_path / "a.md", f"---\n{bomb}{field}: *l\n---\nx").reason


@pytest.mark.parametrize(
    ("content", "title", "text"),
    [
        ("# Head\n\nText *as* [it](x) is.\n", "Head", "Text *as* [it](x) is."),
        ("By Jo\n\n# Head\n\nText.\n\n# Second\n", "Head", "By Jo\n\n\n\nText.\n\n# Second"),
        ("# Head ##\nText.", "Head", "Text."),
        ("# About C#\nText.", "About C#", "Text."),
        ("---\ntitle: Own\n---\n# Head\n\nText.", "Own", "# Head\n\nText."),
        ("---\nsource: S\n---\n# Head\n\nText.", "Head", "Text."),
        ("## Lower\n\nText.", "", "## Lower\n\nText."),
        ("#tag\n\nText.", "", "#tag\n\nText."),
        ("Text.\n\n```\n# comment\n```\n", "", "Text.\n\n```\n# comment\n```"),
        ("# " + "long " * 100 + "\n\nText.", "", "# " + "long " * 99 + "long \n\nText."),
    ],
)
def test_the_first_heading_of_markdown_is_the_title(
    tmp_path: Path, content: str, title: str, text: str
) -> None:
    found = article(tmp_path / "a.md", content)
    assert (found.title, found.text) == (title, text)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Plan goes ahead\n\nThe minister said so.", "Plan goes ahead"),
        ("\n\nPlan goes ahead\n \nThe minister said so.", "Plan goes ahead"),
        ("---\nsource: S\n---\n\nPlan goes ahead\n\nThe minister said so.", "Plan goes ahead"),
        ("---\ntitle: Own\n---\nPlan goes ahead\n\nThe minister said so.", "Own"),
        ("The minister said so.\n\nHe left.", ""),
        ("The minister\nsaid so.", ""),
        ("One line only", ""),
        ("One line only\n\n\n", ""),
        ("x" * 120 + "\n\nText.", "x" * 120),
        ("x" * 121 + "\n\nText.", ""),
    ],
)
def test_a_first_line_that_stands_alone_is_the_title_of_a_text(
    tmp_path: Path, content: str, title: str
) -> None:
    found = article(tmp_path / "some-file.txt", content)
    assert found.title == title
    assert found.text == content.rpartition("---\n")[2].strip()  # the line stays in the text


def test_the_id_comes_from_the_path_until_the_file_names_one(tmp_path: Path) -> None:
    first, again = article(tmp_path / "a.md", "One."), article(tmp_path / "a.md", "Two.")
    elsewhere = article(tmp_path / "b.md", "One.")
    named = article(tmp_path / "c.md", "---\nurl: https://a.example/x\n---\nOne.")
    moved = article(tmp_path / "d.txt", "---\nurl: http://www.a.example/x/\n---\nOne.")
    assert first.id == again.id
    assert len({first.id, elsewhere.id, named.id}) == 3
    assert named.id == moved.id


def test_the_source_names_only_those_that_name_none(tmp_path: Path) -> None:
    assert article(tmp_path / "a.md", "x", source="Wire").source == "Wire"
    assert article(tmp_path / "b.md", "---\nsource: Own\n---\nx", source="Wire").source == "Own"


# HTML


def test_a_page_gives_title_date_site_address_and_text(tmp_path: Path) -> None:
    head = (
        '<title>Plan goes ahead | The Paper</title><meta property="og:site_name" content="The Paper">'
        '<link rel="canonical" href="https://www.paper.example/2022/plan">'
        '<meta property="article:published_time" content="2022-06-17T08:00:00Z">'
    )
    body = (
        '<nav><a href="/">Home</a></nav><article><h1>Plan goes ahead</h1>'
        f"<p>{PROSE}</p><h2>Ferries</h2><p>{MORE}</p></article>"
        '<div class="comments"><p>First! A comment by a reader, of some length.</p></div>'
    )
    found = article(tmp_path / "a.html", page(body, head))
    assert (found.title, found.source) == ("Plan goes ahead", "The Paper")
    assert found.url == "https://www.paper.example/2022/plan"
    assert found.published.isoformat() == "2022-06-17T00:00:00+00:00"
    assert found.text == f"{PROSE}\n\nFerries\n\n{MORE}"


DATED = [
    ('<time datetime="2022-06-17T08:00Z">17 June</time>', "", "2022-06-17"),
    ('<p class="byline">By Jo, June 17, 2022</p>', "", "2022-06-17"),
    (
        "",
        '<script type="application/ld+json">{"@type":"NewsArticle","datePublished":"2022-06-17"}</script>',
        "2022-06-17",
    ),
    ("<p>The treaty was signed on 4 March 2015 in Geneva.</p>", "", None),
    ("<p>The treaty was signed on 2015-03-04 in Geneva.</p>", "", None),
    ('<img src="/uploads/2018/04/05/x.jpg">', "", None),
    ("<footer><p>© 2021 The Paper</p></footer>", "", None),
    ('<aside><ul><li>Other <time datetime="2020-01-02">2 Jan</time></li></ul></aside>', "", None),
]


@pytest.mark.parametrize(("body", "head", "date"), DATED)
def test_the_date_of_a_page_is_one_that_it_states(
    tmp_path: Path, body: str, head: str, date: str | None
) -> None:
    published = article(tmp_path / "a.html", story(body, head)).published
    assert (published and published.date().isoformat()) == date


def test_a_page_without_a_site_name_takes_the_given_source_before_its_host(tmp_path: Path) -> None:
    content = story(head='<link rel="canonical" href="https://www.paper.example/plan">')
    assert article(tmp_path / "a.html", content, source="Wire").source == "Wire"
    assert article(tmp_path / "a.html", content).source == "paper.example"


@pytest.mark.parametrize(
    "content",
    [
        "no markup at all",
        "http://127.0.0.1:9/page.html",
        page(""),
        page('<nav><a href="/">Home</a><a href="/x">News</a></nav>'),
        page("<script>var text = 'much of it';</script>"),
        "<" * 1_000,
        "<html><body>" + "<div>" * 50_000,
        "&#0;&#xd800;<p>",
    ],
    ids=["text", "address", "empty", "navigation", "script", "brackets", "deep", "entities"],
)
def test_a_page_without_article_is_skipped(tmp_path: Path, content: str) -> None:
    assert skipped(tmp_path / "a.html", content).reason == "no article text found in this HTML page"


def test_a_dangerous_canonical_address_is_not_taken(tmp_path: Path) -> None:
    found = article(tmp_path / "a.html", story(head='<link rel="canonical" href="javascript:alert(1)">'))
    assert found.url is None


def test_markup_that_breaks_the_parser_is_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise AttributeError("from the depths")

    monkeypatch.setattr("trafilatura.bare_extraction", explode)
    assert (
        skipped(tmp_path / "a.html", "<html><body><p>x</p></body></html>").reason
        == "this HTML page cannot be parsed (AttributeError)"
    )


def test_reading_a_page_touches_no_network_and_logs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    caplog.set_level(logging.DEBUG)
    links = '<link rel="canonical" href="http://127.0.0.1:9/x"><link rel="stylesheet" href="http://127.0.0.1:9/y">'
    article(tmp_path / "a.html", '<!DOCTYPE html SYSTEM "http://127.0.0.1:9/dtd">' + story(head=links))
    skipped(tmp_path / "b.html", "http://127.0.0.1:9/page.html")
    assert asked == []
    assert [
        entry.name for entry in caplog.records if entry.name.startswith(("trafilatura", "htmldate"))
    ] == []


def test_importing_the_module_loads_no_heavy_library() -> None:
    code = (
        "import sys, bot.ingestion.loaders; "
        "sys.exit(any(name in sys.modules for name in ('trafilatura', 'lxml', 'charset_normalizer')))"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# JSON and JSON lines


def test_the_lines_of_a_file_become_articles_and_broken_ones_skips(tmp_path: Path) -> None:
    content = "\r\n".join(
        [
            '{"text": "one", "id": 7, "published": NaN, "extra": [1, {"x": null}]}',
            "",
            '{"text": "two" "id": 1}',
            "[1, 2]",
            '"text"',
            '{"text": "three", "published": "yesterday"}',
            '{"text": 3}',
            '{"title": "none"}',
            '{"text": "x", "url": "javascript:alert(1)"}',
            '{"text": "cut',
            '{"text":',
            "[" * 100_000,
            '{"text": "x", "n": ' + "9" * 5_000 + "}",
            "   ",
            '{"text": "last", "title": "\\ud83d", "tags": ["a"]}',
        ]
    )
    path = write(tmp_path / "a.jsonl", content)
    found = read(path)
    assert [item.text for item in found if isinstance(item, Article)] == ["one", "last"]
    assert [(item.line, item.reason) for item in found if isinstance(item, Skipped)] == [
        (3, "not valid JSON: Expecting ',' delimiter at column 16"),
        (4, "expected an object, found list"),
        (5, "expected an object, found str"),
        (6, "published: 'yesterday' is not a date (write it as 2022-06-17)"),
        (7, "text: expected text, found int"),
        (8, "the article has no text"),
        (9, "url: 'javascript:alert(1)' is not a web address"),
        (10, "not valid JSON: Unterminated string starting at column 10"),
        (11, "not valid JSON: Expecting value at column 9"),
        (12, "not valid JSON: nested too deeply"),
        (13, "not valid JSON: a number has too many digits"),
    ]
    assert all(str(item).startswith(f"{path}:") for item in found if isinstance(item, Skipped))


HOSTILE = [
    {"url": "http://a.example/?q=\ud800"},
    {"url": "http://[bad"},
    {"url": "http://a.example:99999999/"},
    {"published": "Fri, 17 Jun 2022 08:00:00 +99999999999999999999"},
    {"published": "17 Jun 99999999999999999999 08:00:00"},
    {"published": [[[]]]},
    {"title": "\ud800", "id": "\ud800", "tags": ["\ud800"]},
    {"title": "x" * 3_000},
    {"tags": {"a": 1}},
]


@pytest.mark.parametrize("fields", HOSTILE, ids=repr)
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_hostile_values_are_the_fault_of_one_record_only(tmp_path: Path, suffix: str, fields: dict) -> None:
    records = [{"text": "x"} | fields, {"text": "good"}]
    content = json.dumps(records) if suffix == ".json" else "\n".join(map(json.dumps, records))
    found = read(write(tmp_path / f"a{suffix}", content))
    assert len(found) == 2
    assert found[1].text == "good"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_line_numbers_are_right_in_every_encoding(tmp_path: Path, encoding: str, newline: str) -> None:
    lines = ['{"text": "é"}', "", "oops é", '{"text": "ö"}', ""]
    found = read(write(tmp_path / "a.jsonl", newline.join(lines).encode(encoding)))
    assert [getattr(item, "text", None) or item.line for item in found] == ["é", 3, "ö"]


def test_separators_that_json_allows_in_strings_do_not_cut_lines(tmp_path: Path) -> None:
    content = '{"text": "one\u2028two\x85three"}\n{"text": "four"}\n'
    assert texts(read(write(tmp_path / "a.ndjson", content))) == ["one\ntwo\nthree", "four"]


def test_a_record_without_id_and_url_keeps_its_identity_when_lines_move(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    one, two = '{"title": "T", "text": "one"}\n', '{"text": "two"}\n'
    before = {item.text: item.id for item in read(write(path, one + two))}
    after = {item.text: item.id for item in read(write(path, '{"text": "new"}\n\n' + two + one))}
    assert {text: after[text] for text in before} == before
    assert len(set(after.values())) == 3


def test_a_long_line_is_skipped_with_its_number_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MAX_ARTICLE_BYTES", 100_000)
    with (tmp_path / "a.jsonl").open("w", encoding="utf-8", newline="") as file:
        file.write('{"text": "one"}\r\n')
        file.write('{"text": "' + "x" * 5_000_000 + '"}\r\n')
        file.write(" " * 200_000 + "\n")
        file.write('{"text": "' + "é" * 60_000 + '"}\n')
        file.write('{"text": "two"}\r\n')
        file.write('{"text": "' + "x" * 5_000_000)
    tracemalloc.start()
    found = read(tmp_path / "a.jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert texts(found[:1] + found[4:5]) == ["one", "two"]
    assert [(item.line, item.reason.split(";")[0]) for item in found if isinstance(item, Skipped)] == [
        (2, "5.0 MB: too large for one article (limit 0.1 MB)"),
        (3, "0.2 MB: too large for one article (limit 0.1 MB)"),
        (4, "0.1 MB: too large for one article (limit 0.1 MB)"),
        (6, "5.0 MB: too large for one article (limit 0.1 MB)"),
    ]
    assert peak < 2_000_000


def test_a_line_of_exactly_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = '{"text": "é"}'
    path = write(tmp_path / "a.jsonl", f"{line}\r\n{line}\n{line}")
    monkeypatch.setattr(base, "MAX_ARTICLE_BYTES", len(line.encode()))
    assert texts(read(path)) == ["é"] * 3
    monkeypatch.setattr(base, "MAX_ARTICLE_BYTES", len(line.encode()) - 1)
    assert [item.line for item in read(path) if isinstance(item, Skipped)] == [1, 2, 3]


def test_json_lines_are_streamed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", "".join(f'{{"text": "{n:>1000}"}}\n' for n in range(5_000)))
    tracemalloc.start()
    count = sum(1 for _ in read_articles([path]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5_000
    assert peak < path.stat().st_size / 10


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"text": "one"}', ["one"]),
        ('[\n{"text": "one"},\n{"text": "two"}]', ["one", "two"]),
        ('[{"text": "one"}, 5, {}]', ["one", "record 2: expected an object, found int", "record 3: the art"]),
        ("{}", ["the article has no text"]),
        ("[]", ["an empty list, no articles"]),
        ("null", ["expected an object, found NoneType"]),
        ("[[]]", ["record 1: expected an object, found list"]),
        ('{"text": "x", "published": NaN}', ["x"]),
        ("[" * 100_000, ["not valid JSON: nested too deeply"]),
        ("9" * 5_000, ["not valid JSON: a number has too many digits"]),
    ],
)
def test_a_json_file_is_one_object_or_a_list(tmp_path: Path, content: str, expected: list[str]) -> None:
    found = read(write(tmp_path / "a.json", content))
    shown = [item.reason if isinstance(item, Skipped) else item.text for item in found]
    assert len(shown) == len(expected)
    assert all(text.startswith(start) for text, start in zip(shown, expected, strict=True))


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ('[{"text": "one"},\r\n{"text": }]', 2, "not valid JSON: Expecting value at column 10"),
        ('{"text": "a"}\n{"text": "b"}', 2, "not valid JSON: Extra data at column 1 (one record a line?"),
    ],
)
def test_a_syntax_error_in_json_has_its_line(tmp_path: Path, content: str, line: int, reason: str) -> None:
    found = skipped(tmp_path / "a.json", content)
    assert found.line == line
    assert found.reason.startswith(reason)


def test_a_json_list_and_its_lines_give_the_same_content(tmp_path: Path) -> None:
    records = [{"text": "one", "title": "T"}, {"text": "two", "url": "https://a.example/x", "tags": ["b"]}]
    as_list = read(write(tmp_path / "a.json", json.dumps(records)))
    as_lines = read(write(tmp_path / "b.jsonl", "\n".join(map(json.dumps, records))))
    assert [item.content_hash for item in as_list] == [item.content_hash for item in as_lines]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", '\n{"question": "Who?", "answers": ["I"]}\n{"text": "not read"}\noops'),
        ("t.jsonl", '{"question": "Who?", "text": null}'),
        ("t.json", '[{"question": "Who?"}, {"text": "not read"}]'),
        ("t.json", '{"question": "Who?"}'),
    ],
)
def test_a_test_set_is_noted_and_no_failure(tmp_path: Path, name: str, content: str) -> None:
    found = skipped(tmp_path / name, content)
    assert (found.reason, found.line, found.expected) == ("a test set of questions, not articles", None, True)


def test_articles_that_hold_a_question_are_articles(tmp_path: Path) -> None:
    lines = ['{"question": "Who?", "text": "one"}', '{"question": "Who?"}', '{"text": "two"}']
    found = read(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert [item.text for item in found if isinstance(item, Article)] == ["one", "two"]
    assert [item.expected for item in found if isinstance(item, Skipped)] == [False]


# Whatever a file holds

NAMES = ("a.txt", "a.md", "a.json", "a.jsonl")
FIELDS = ("id", "url", "title", "published", "source", "text", "tags", "question", "date")
any_text = st.text(st.characters(exclude_categories=()), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
records = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6)
json_bytes = st.lists(records | values, max_size=3).flatmap(
    lambda items: st.sampled_from([json.dumps(items), "\n".join(map(json.dumps, items))])
)
yaml_lines = st.text(st.sampled_from(string.printable + "é\u2028---:&*!|>%@`"), max_size=60)
front_matter = yaml_lines.map(lambda inside: f"---\ntitle: {inside}\n---\ntext")
encoded = st.tuples(
    st.text(max_size=60), st.sampled_from(["utf-8", "utf-16", "utf-32", "cp1252", "shift_jis"])
)
contents = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=40).map(lambda data: b"\xff\xfe" + data),
    json_bytes.map(str.encode),
    front_matter.map(str.encode),
    encoded.map(lambda pair: pair[0].encode(pair[1], "replace")),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@given(name=st.sampled_from(NAMES), content=contents)
@settings(max_examples=400, deadline=None)
def test_no_content_of_a_file_can_raise(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    assert_clean(read(folder / name))


tags = st.sampled_from(
    ["<p>", "</p>", "<div", ">", "<html>", "<article>", "<!--", "<![CDATA[", "<?xml ?>", PROSE]
)
markup = st.lists(tags | st.text(max_size=10), max_size=15).map("".join)


@given(content=st.binary(max_size=100) | markup.map(str.encode) | markup.map(story).map(str.encode))
@settings(max_examples=60, deadline=None)
def test_no_content_of_a_page_can_raise(folder: Path, content: bytes) -> None:
    (folder / "a.html").write_bytes(content)
    assert_clean(read(folder / "a.html"))
