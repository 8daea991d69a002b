import csv
import io
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from article_files import PROSE, article, assert_clean, read, skipped, texts, write
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.articles.article import Article
from bot.ingestion.loaders import Skipped, base, read_articles


def table(*rows: Sequence[str], delimiter: str = ",") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue()


def test_a_row_is_an_article(tmp_path: Path) -> None:
    head = ("id", "url", "title", "published", "source", "text", "tags")
    rows = [
        (
            "7",
            "https://paper.example/plan",
            "A plan",
            "2022-06-17",
            "The Paper",
            "One,\n“two”.",
            "world|vote, war",
        ),
        ("", "", "", "", "", "Two.", ""),
    ]
    one, two = read(write(tmp_path / "a.csv", table(head, *rows)), source="Wire")
    assert (one.id, one.url, one.title, one.source) == (
        "7",
        "https://paper.example/plan",
        "A plan",
        "The Paper",
    )
    assert (one.published, one.tags) == (datetime(2022, 6, 17, tzinfo=UTC), ("world", "vote", "war"))
    assert one.text == "One,\n“two”."
    assert (two.text, two.source, two.published) == ("Two.", "Wire", None)


@pytest.mark.parametrize(
    "head",
    [
        ("Body", "Headline", "Link", "Date", "Publisher"),
        ("CONTENT", "headline", "link", "published_at", "outlet"),
        (" article ", "Title", "URL", "publish_date", "publication"),
    ],
)
def test_columns_may_have_the_names_that_others_give_them(tmp_path: Path, head: Sequence[str]) -> None:
    row = (PROSE, "A plan", "https://paper.example/plan", "17 June 2022", "The Paper")
    found = article(tmp_path / "a.csv", table(head, row))
    assert (found.text, found.title, found.url, found.source) == (PROSE, *row[1:3], "The Paper")
    assert found.published == datetime(2022, 6, 17, tzinfo=UTC)


def test_of_two_columns_for_one_field_our_own_name_counts(tmp_path: Path) -> None:
    assert article(tmp_path / "a.csv", table(("content", "text"), ("wrong", "right"))).text == "right"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_the_delimiter_is_what_parts_the_columns(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = (("title", "text"), ("A; plan, a|b\tc", "One; two, three|four\tfive."))
    content = table(*rows, delimiter=delimiter)
    assert (
        article(tmp_path / name, f"sep={delimiter}\r\n{content}").text
        == article(tmp_path / name, content).text
    )
    found = article(tmp_path / name, content)
    assert (found.title, found.text) == ("A; plan, a|b c", rows[1][1])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_are_read_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    content = table(("titre", "text"), ("Été", "Le café est fermé à l’été.")).encode(encoding)
    assert article(tmp_path / "a.csv", content).text == "Le café est fermé à l’été."


def test_a_bad_row_is_skipped_with_its_line_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "MAX_ARTICLE_BYTES", 100)
    content = (
        "title,text,date\r\n"
        'T,"over\r\ntwo lines",2022-06-17\r\n'
        "\r\n"
        "T,wrong date,soon\r\n"
        "T,,2022-06-17\r\n"
        "T,too,many,fields\r\n"
        f"T,{'x' * 200},2022-06-17\r\n"
        "T,short\r\n"
    )
    found = read(write(tmp_path / "a.csv", content))
    assert [(item.line, item.reason) if isinstance(item, Skipped) else item.text for item in found] == [
        "over\ntwo lines",
        (5, "published: 'soon' is not a date (write it as 2022-06-17)"),
        (6, "the article has no text"),
        (7, "4 fields in a table of 3 columns (is a quotation mark missing?)"),
        (8, "a row that cannot be read: field larger than field limit (100)"),
        "short",
    ]


def test_a_row_without_id_keeps_its_identity_when_rows_move(tmp_path: Path) -> None:
    rows = [("T", "one"), ("", "two")]
    before = read(write(tmp_path / "a.csv", table(("title", "text"), *rows)))
    after = read(write(tmp_path / "a.csv", table(("title", "text"), ("", "new"), *reversed(rows))))
    assert {item.id for item in before} < {item.id for item in after}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file is empty"),
        ("\r\n \r\n", "the file is empty"),
        ("name,size\na,1\n", "no column `text`, `body` or `content` (there are: name, size)"),
        (
            "Some prose, in a file.\n",
            "no column `text`, `body` or `content` (there are: Some prose, in a file.)",
        ),
    ],
)
def test_what_is_no_table_of_articles_says_why(tmp_path: Path, content: str, reason: str) -> None:
    assert skipped(tmp_path / "a.csv", content).reason == reason


@pytest.mark.parametrize("content", ["question,answers\nWho?,I\n", "Question;text\nWho?;\nWhy?;\n"])
def test_a_test_set_is_noted_and_no_failure(tmp_path: Path, content: str) -> None:
    found = skipped(tmp_path / "a.csv", content)
    assert (found.reason, found.line, found.expected) == ("a test set of questions, not articles", None, True)


def test_a_table_is_streamed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", table(("text",), *((f"{n:>1000}",) for n in range(5_000))))
    tracemalloc.start()
    count = sum(isinstance(item, Article) for item in read_articles([path]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 5_000
    assert peak < path.stat().st_size / 10


def test_a_long_article_is_read(tmp_path: Path) -> None:
    assert texts(read(write(tmp_path / "a.csv", table(("text",), ("x" * 1_000_000,))))) == ["x" * 1_000_000]


cells = st.text(st.sampled_from('text,;|\t\n\r"\x00é\ud800 url'), max_size=12)
heads = st.lists(
    st.sampled_from(["text", "title", "date", "id", "tags", "question", "", '"']) | cells, max_size=5
)


@given(
    head=heads,
    rows=st.lists(st.lists(cells, max_size=5), max_size=4),
    noise=st.binary(max_size=10),
    delimiter=st.sampled_from(",;\t|"),
)
@settings(max_examples=300, deadline=None)
def test_no_table_can_raise(
    tmp_path_factory: pytest.TempPathFactory,
    head: list[str],
    rows: list[list[str]],
    noise: bytes,
    delimiter: str,
) -> None:
    content = "\n".join(delimiter.join(row) for row in (head, *rows)).encode("utf-8", "surrogatepass") + noise
    assert_clean(read(write(tmp_path_factory.mktemp("rows") / "a.csv", content)))
