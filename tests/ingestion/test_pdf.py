import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from article_files import article, assert_clean, read, skipped, write
from hypothesis import given, settings
from hypothesis import strategies as st
from pdf_factory import locked, objects, pdf, stream

from bot.articles.article import Article, clean_text
from bot.articles.chunking import split_passages
from bot.ingestion.loaders import pdf as reader
from bot.ingestion.loaders.pdf_layout import reflow_pages

FIRST = [
    "The Daily Wire                                          17 June 2022",
    "Plan goes ahead",
    "",
    "The minister said on Friday that the plan would go ahead, after weeks of talks in",
    "the capital. Officials expected the vote to pass easily, though a handful of mem-",
    "bers had yet to declare. The result was, to say the least, a well-known one to all.",
    "It was late.",
    "Ferries ran late all week while crews repaired the pier. A spokeswoman for the govern-",
    "1",
]
SECOND = [
    "The Daily Wire                                          17 June 2022",
    "ment promised that the morning service would be back to its timetable by the end",
    "of the month. Nobody asked how a well-",
    "known pier could break.",
    "2",
]


def test_the_lines_of_pages_become_the_paragraphs_of_an_article(tmp_path: Path) -> None:
    found = article(tmp_path / "a.pdf", pdf([FIRST, SECOND]), source="The Wire")
    assert found.title == "Plan goes ahead"
    assert found.source == "The Wire"
    assert found.text == (
        "Plan goes ahead\n\n"
        "The minister said on Friday that the plan would go ahead, after weeks of talks in the capital. Officials "
        "expected the vote to pass easily, though a handful of members had yet to declare. The result was, to say "
        "the least, a well-known one to all. It was late.\n\n"
        "Ferries ran late all week while crews repaired the pier. A spokeswoman for the government promised that the "
        "morning service would be back to its timetable by the end of the month. Nobody asked how a well-known pier "
        "could break."
    )


def test_each_offset_knows_its_page(tmp_path: Path) -> None:
    found = article(tmp_path / "a.pdf", pdf([FIRST, [], SECOND]))
    second = found.text.index("ment promised")
    assert found.pages == (second, second)  # the second page is a picture
    assert [found.page_number(at) for at in (0, second - 1, second, len(found.text))] == [1, 1, 3, 3]


def test_an_article_of_one_page_has_no_pages_and_the_hash_it_always_had(tmp_path: Path) -> None:
    found = article(tmp_path / "a.pdf", pdf([FIRST]))
    assert found.pages == ()
    assert found.page_number(0) is None
    assert Article(id="a", text="x").content_hash != Article(id="a", text="x", pages=(1,)).content_hash


def test_title_and_date_are_those_the_file_states(tmp_path: Path) -> None:
    info = "/Title(A plan)/CreationDate(D:20220617080000+02'00')"
    found = article(tmp_path / "a.pdf", pdf([FIRST], info=info))
    assert (found.title, found.published) == ("A plan", datetime(2022, 6, 17, 6, tzinfo=UTC))


@pytest.mark.parametrize(
    "info",
    [
        "/Title(Microsoft Word - plan.docx)",
        "/Title(plan.indd)",
        "/Title(untitled)",
        "/Title 7",
        "/CreationDate(soon)",
    ],
)
def test_what_a_program_left_there_is_no_title_and_no_date(tmp_path: Path, info: str) -> None:
    found = article(tmp_path / "a.pdf", pdf([FIRST[1:]], info=info))
    assert (found.title, found.published) == ("Plan goes ahead", None)


@pytest.mark.parametrize("password", ["secret", ""])
def test_a_pdf_that_needs_a_password_is_skipped(tmp_path: Path, password: str) -> None:
    data = locked(pdf([FIRST]), password)
    if password:
        assert "encrypted" in skipped(tmp_path / "a.pdf", data).reason
    else:  # it only forbids changes
        assert "The minister said" in article(tmp_path / "a.pdf", data).text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"%PDF-1.7 only text follows", "this PDF cannot be read"),
        (b"no PDF at all", "this PDF cannot be read"),
        (pdf([FIRST])[:300], "this PDF cannot be read"),
        (pdf([[], []]), "no text in this PDF"),
        (pdf([["1"], ["2"]]), "no text in this PDF"),
        (pdf([]), "no text in this PDF"),
    ],
)
def test_what_gives_no_article_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    assert skipped(tmp_path / "a.pdf", content).reason.startswith(reason)


def test_a_pdf_whose_table_of_objects_is_wrong_is_still_read(tmp_path: Path) -> None:
    data = pdf([FIRST]).replace(b"0000000", b"0000007")
    assert "The minister" in article(tmp_path / "a.pdf", data).text


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.pdf").open("wb") as file:
        file.truncate(reader.MAX_PDF_BYTES + 1_000_000)
    assert [item.reason for item in read(tmp_path / "a.pdf")] == [
        "101.0 MB: too large for a PDF (limit 100 MB); split it"
    ]


def test_thousands_of_pages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_PAGES", 3)
    found = skipped(tmp_path / "a.pdf", pdf([["x"]] * 4))
    assert found.reason == "4 pages: too many for one article (limit 3); split it"


def test_a_count_of_pages_that_lies_is_not_believed(tmp_path: Path) -> None:
    data = pdf([FIRST]).replace(b"/Count 1>>", b"/Count 999999999>>")
    assert "The minister" in article(tmp_path / "a.pdf", data).text


def packed(size: int) -> bytes:
    return stream(zlib.compress(b" " * size, 9), "/Filter/FlateDecode")


_LOOP = stream(b"/X0 Do " * 50, "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X0 5 0 R>>>>")


@pytest.mark.parametrize(
    "data",
    [
        objects([packed(100_000_000)]),
        objects([packed(30_000_000)] * 3),
        objects([stream(b"q " * 2_000_000)]),
        objects([stream(b"[" * 200_000)]),
        objects([stream(b"/X0 Do")], resources="/XObject<</X0 4 0 R>>", more=[_LOOP, _LOOP]),
        pdf([FIRST]).replace(b"/Kids[", b"/Kids[2 0 R "),
        pdf([FIRST]).replace(b"/Parent 2 0 R", b"/Parent 4 0 R"),
    ],
    ids=["bomb", "bombs", "operators", "brackets", "forms in forms", "pages in pages", "its own parent"],
)
def test_a_file_made_to_do_harm_is_the_fault_of_that_file_only(tmp_path: Path, data: bytes) -> None:
    write(tmp_path / "a.pdf", data)
    write(tmp_path / "b.txt", "good")
    found = read(tmp_path)
    assert_clean(found)
    assert found[-1].text == "good"


def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BASE_SECONDS", -10.0)
    assert "takes too long" in skipped(tmp_path / "a.pdf", pdf([FIRST])).reason


def test_more_text_than_an_article_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.ingestion.loaders.base.MAX_ARTICLE_BYTES", 100)
    assert "too much text" in skipped(tmp_path / "a.pdf", pdf([FIRST])).reason


@given(cut=st.integers(0, 3_000), noise=st.binary(max_size=20))
@settings(max_examples=60, deadline=None)
def test_no_damage_can_raise(tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes) -> None:
    data = pdf([FIRST, SECOND])
    folder = tmp_path_factory.mktemp("pdf")
    (folder / "a.pdf").write_bytes(data[:cut] + noise + data[cut + len(noise) :])
    assert_clean(read(folder / "a.pdf"))


# Pages of lines


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["One line of a usual length,", "and another one."], "One line of a usual length, and another one."),
        (["A heading", "One line of a usual length,"], "A heading\n\nOne line of a usual length,"),
        (["One line of a usual length", "", "Another line of the same"], "One line of a usual length\n\nAnother line of the same"),
        (["One line of a usual length.", "• An item in a list of them"], "One line of a usual length.\n\n• An item in a list of them"),
        (["One line that ends in a co-", "operative of its own sort"], "One line that ends in a cooperative of its own sort"),
        (["One line about a 10-", "year plan of their own"], "One line about a 10- year plan of their own"),
        (["One line on a Franco-", "German plan of their own"], "One line on a Franco- German plan of their own"),
        (["One line on a state-", "owned plan and all that"], "One line on a state-owned plan and all that"),
        (["The ﬁrst ofﬁce, a soft\xad", "ened one, of the con\xadsul"], "The first office, a softened one, of the consul"),
    ],
)  # fmt: skip
def test_lines_are_joined_where_a_paragraph_goes_on(lines: list[str], text: str) -> None:
    assert reflow_pages(["\n".join(lines)])[0] == text


def test_running_heads_and_page_numbers_leave_the_text() -> None:
    body = ["Alpha goes here.", "Beta goes there.", "Gamma stays away."]
    pages = [f"The Wire, page {n}\nIssue 12\n{line}\n- {n} -" for n, line in enumerate(body, 7)]
    assert reflow_pages(pages)[0] == " ".join(body)


def test_a_line_that_stands_on_one_page_only_stays() -> None:
    text, _ = reflow_pages(["Alpha goes here.\n1999", "Beta goes there.\n2022"])
    assert "1999" not in text  # it is where each page has a number
    text, _ = reflow_pages(["In the end they came to\n1999", "Beta goes there.\nNobody knew"])
    assert "1999" in text


page_texts = st.text(st.sampled_from("ab A.\n-\xad \u2028\x0c\x001•ﬁ"), max_size=60) | st.text(max_size=40)


@given(pages=st.lists(page_texts, max_size=5))
@settings(max_examples=400, deadline=None)
def test_offsets_of_pages_are_in_order_and_the_text_is_clean(pages: list[str]) -> None:
    text, begins = reflow_pages(pages)
    assert text == clean_text(text).strip()
    assert len(begins) == max(0, len(pages) - 1)
    assert list(begins) == sorted(begins)
    assert all(0 <= at <= len(text) for at in begins)
    for passage in split_passages("a", 1, text):
        assert text[passage.start : passage.end] == passage.text
