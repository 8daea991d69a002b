import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import docx
import pytest
from article_files import MORE, PROSE, article, assert_clean, read, skipped, write
from docx.oxml import parse_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.ingestion.loaders import docx as reader

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def document(
    *paragraphs: tuple[str, str], title: str = "", made: datetime | None = None, markup: str = ""
) -> bytes:
    made_document = docx.Document()
    for style, text in paragraphs:
        made_document.add_paragraph(text, style=style)
    if markup:
        made_document.element.body.insert(0, parse_xml(f"<w:p {W}>{markup}</w:p>"))
    made_document.core_properties.title = title
    made_document.core_properties.created = made or datetime(2022, 6, 17, 8, tzinfo=UTC)
    out = io.BytesIO()
    made_document.save(out)
    return out.getvalue()


STORY = document(("Title", "Plan goes ahead"), ("Normal", PROSE), ("Heading 2", "Ferries"), ("Normal", MORE))


def test_paragraphs_and_headings_become_an_article_and_the_title_leaves_it(tmp_path: Path) -> None:
    found = article(tmp_path / "a.docx", STORY, source="The Wire")
    assert (found.title, found.source) == ("Plan goes ahead", "The Wire")
    assert found.text == f"{PROSE}\n\nFerries\n\n{MORE}"
    assert found.published == datetime(2022, 6, 17, 8, tzinfo=UTC)


def test_the_title_of_the_properties_comes_first(tmp_path: Path) -> None:
    content = document(("Heading 1", "On the pier"), ("Normal", PROSE), title="A plan")
    found = article(tmp_path / "a.docx", content)
    assert (found.title, found.text) == ("A plan", f"On the pier\n\n{PROSE}")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<w:r><w:t>one</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>", "one two three"),
        (
            "<w:ins><w:r><w:t>added</w:t></w:r></w:ins><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>",
            "added",
        ),
        (
            "<w:moveFrom><w:r><w:t>there</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t>here</w:t></w:r></w:moveTo>",
            "here",
        ),
        ("<w:hyperlink><w:r><w:t>a link</w:t></w:r></w:hyperlink>", "a link"),
        ("<w:sdt><w:sdtContent><w:r><w:t>a field</w:t></w:r></w:sdtContent></w:sdt>", "a field"),
        ("<w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>3</w:t></w:r>", "3"),
        ("<w:r><w:t>long</w:t><w:noBreakHyphen/><w:t>term</w:t></w:r>", "long-term"),
        (
            "<w:r><w:t>outer</w:t><w:pict><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:pict></w:r>",
            "outer\n\nin a box",
        ),
        (
            "<w:r><w:t>seen</w:t></w:r><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
            '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> too</w:t></w:r>',
            "seen too",
        ),
        ("<w:r><w:rPr><w:strike/></w:rPr><w:t>41</w:t></w:r><w:r><w:t>14</w:t></w:r>", "14"),
        ("<w:r><w:rPr><w:dstrike/></w:rPr><w:t>41</w:t></w:r><w:r><w:t>14</w:t></w:r>", "14"),
        (
            "<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc><w:p><w:r><w:t>gone</w:t></w:r></w:p></w:tc></w:tr>"
            "<w:tr><w:tc><w:p><w:r><w:t>there</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
            "there",
        ),
    ],
)
def test_text_is_what_a_reader_sees(tmp_path: Path, markup: str, text: str) -> None:
    found = article(tmp_path / "a.docx", document(("Normal", PROSE), markup=markup))
    assert found.text == f"{text}\n\n{PROSE}"


def test_the_date_of_a_program_s_template_is_none(tmp_path: Path) -> None:
    made = datetime(2013, 12, 23, 23, 15, tzinfo=UTC)
    assert article(tmp_path / "a.docx", document(("Normal", PROSE), made=made)).published is None


def test_cells_of_tables_are_read_in_their_order(tmp_path: Path) -> None:
    made = docx.Document()
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Party", "Seats"
    made.add_paragraph(PROSE)
    made.save(str(tmp_path / "a.docx"))
    [found] = read(tmp_path / "a.docx")
    assert found.text == f"Party\n\nSeats\n\n{PROSE}"


def changed(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(STORY)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, content if part == name else old.read(part))
        if name not in old.namelist():
            new.writestr(name, content)
    return out.getvalue()


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "&a;" * 10}">' for n in range(9))
    + f"]><w:document {W}><w:body><w:p><w:r><w:t>&a8;</w:t></w:r></w:p></w:body></w:document>"
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    f"<w:document {W}><w:body><w:p><w:r><w:t>&e;</w:t></w:r></w:p></w:body></w:document>"
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"only text", "not a DOCX file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "not a DOCX file, or an encrypted one"),
        (STORY[: len(STORY) // 2], "not a DOCX file"),
        (changed("word/document.xml", b"<oops"), "this DOCX file cannot be read"),
        (changed("[Content_Types].xml", b"<x/>"), "this DOCX file cannot be read"),
        (document(), "the article has no text"),
        (changed("word/document.xml", LAUGHS.encode()), ""),
        (changed("word/document.xml", OUTSIDE.encode()), ""),
    ],
    ids=["empty", "text", "old", "cut", "markup", "types", "blank", "laughs", "outside"],
)
def test_what_gives_no_article_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    assert skipped(tmp_path / "a.docx", content).reason.startswith(reason)


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("_MAX_PARTS", 5, "too many for a document (limit 5)"),
        ("_MAX_MARKUP_BYTES", 1_000_000, "5.0 MB: too large when unpacked (limit 1 MB)"),
        ("_MAX_UNPACKED_BYTES", 2_000_000, "too large when unpacked (limit 2 MB)"),
    ],
)
def test_a_file_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, reason: str
) -> None:
    bomb = changed("word/big.xml", b" " * 5_000_000)
    assert len(bomb) < 100_000
    monkeypatch.setattr(reader, limit, value)
    assert reason in skipped(tmp_path / "a.docx", bomb).reason


@given(cut=st.integers(0, len(STORY)), noise=st.binary(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_damage_can_raise(tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("word") / "a.docx"
    assert_clean(read(write(path, STORY[:cut] + noise + STORY[cut + len(noise) :])))


markup = st.lists(
    st.sampled_from(
        ["<w:r>", "</w:r>", "<w:t>", "</w:t>", "<w:p>", "</w:p>", "<w:del>", "</w:del>", "x", "&amp;", "\x00"]
    )
)


@given(inside=markup.map("".join))
@settings(max_examples=60, deadline=None)
def test_no_markup_can_raise(tmp_path_factory: pytest.TempPathFactory, inside: str) -> None:
    body = f"<w:document {W}><w:body><w:p>{inside}</w:p></w:body></w:document>".encode()
    assert_clean(read(write(tmp_path_factory.mktemp("word") / "a.docx", changed("word/document.xml", body))))
