import email.encoders
import email.policy
import tracemalloc
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from article_files import MORE, PROSE, article, assert_clean, read, skipped, texts, write
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.articles.article import Article
from bot.ingestion.loaders import Skipped, read_articles
from bot.ingestion.loaders import email as reader

PAGE = f"<html><body><nav>Home</nav><article><h1>Plan</h1><p>{PROSE}</p><p>{MORE}</p></article></body></html>"


LAID_OUT = f"""<html><body><div style="display:none;max-height:0">What only the list of messages shows of it.</div>
<table role="presentation"><tr><td><a href="https://bote.example">View in browser</a></td></tr>
<tr><td><h2><a href="https://bote.example/1">The plan</a></h2><p>{PROSE}</p></td></tr>
<tr><td><table><tr><td><h2><a href="https://bote.example/2">And more</a></h2>{MORE}</td></tr></table></td></tr>
<tr><td>You receive this e-mail because you signed up. <a href="https://bote.example/u">Unsubscribe</a></td></tr>
</table><img src="https://bote.example/open.gif" width="1" height="1"></body></html>"""


def message(text: str = "", html: str = "", **headers: str) -> EmailMessage:
    made = EmailMessage(policy=email.policy.SMTP)
    given = {
        "From": "Täglicher Bote <news@bote.example>",
        "Subject": "Der Plan – heute",
        "Date": "Fri, 17 Jun 2022 08:00:00 +0200",
        "Message-ID": "<1@bote.example>",
    }
    for name, value in (given | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value:
            made[name] = value
    if text or not html:
        made.set_content(text)
    if html and text:
        made.add_alternative(html, subtype="html")
    elif html:
        made.set_content(html, subtype="html")
    return made


def test_a_newsletter_is_an_article_of_its_sender(tmp_path: Path) -> None:
    sent = message("Only in the text part.", PAGE)
    sent.add_attachment(b"%PDF-1.7 secret", maintype="application", subtype="pdf", filename="a.pdf")
    found = article(tmp_path / "a.eml", sent.as_bytes(), source="elsewhere")
    assert (found.title, found.source) == ("Der Plan – heute", "Täglicher Bote")
    assert found.published == datetime(2022, 6, 17, 6, tzinfo=UTC)
    assert found.text == f"{PROSE}\n\n{MORE}"
    assert found.url is None


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (message("Just this."), "Just this."),
        (message("Just this.", "<p></p>"), "Just this."),
        (message(html=PAGE), f"{PROSE}\n\n{MORE}"),
        (message("See the web version: https://bote.example/1", LAID_OUT), f"{PROSE}\n\n{MORE}"),
        (message(f"View this e-mail in your browser: https://x\n\n{PROSE}"), PROSE),
    ],
    ids=["text", "empty page", "page alone", "laid out with tables", "text with notices"],
)
def test_the_page_counts_and_failing_that_the_text(tmp_path: Path, sent: EmailMessage, text: str) -> None:
    assert article(tmp_path / "a.eml", sent.as_bytes()).text == text


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("From", "news@bote.example", "source", "bote.example"),
        ("From", '"Bote, Der" <x@y.example>, a@b.example', "source", "Bote, Der"),
        ("From", "", "source", "given"),
        ("From", "nobody", "source", "nobody"),
        ("Subject", "=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?b?IPCfmoA=?=", "title", "Grüße 🚀"),
        ("Subject", "", "title", ""),
        ("Date", "soon", "published", None),
        ("Date", "", "published", None),
        ("Date", "Fri, 17 Jun 2022 08:00:00 -0000", "published", datetime(2022, 6, 17, 8, tzinfo=UTC)),
    ],
)
def test_headers_give_the_fields(tmp_path: Path, name: str, value: str, field: str, expected: object) -> None:
    lines = {"From": "A <a@b.example>", "Subject": "S", "Date": "Fri, 17 Jun 2022 08:00:00 +0000"} | {
        name: value
    }
    content = "".join(f"{key}: {said}\r\n" for key, said in lines.items() if said) + "\r\nText.\r\n"
    [found] = read(write(tmp_path / "a.eml", content), source="given")
    assert getattr(found, field) == expected


@pytest.mark.parametrize(
    ("charset", "said"),
    [
        ("utf-8", "Déjà vu à l’été."),
        ("windows-1251", "Правительство приняло вчера новый закон."),
        ("iso-2022-jp", "政府は昨日、新しい法律を承認した。"),
        ("koi8-r", "Правительство приняло вчера новый закон."),
    ],
)
@pytest.mark.parametrize("coding", ["base64", "quoted-printable"])
def test_a_part_is_read_in_its_charset(tmp_path: Path, charset: str, said: str, coding: str) -> None:
    sent = message("x")
    sent.set_payload(said.encode(charset))
    del sent["Content-Type"], sent["Content-Transfer-Encoding"]
    sent["Content-Type"] = f'text/plain; charset="{charset}"'
    getattr(email.encoders, "encode_base64" if coding == "base64" else "encode_quopri")(sent)
    assert article(tmp_path / "a.eml", sent.as_bytes(policy=email.policy.SMTP)).text == said


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "no-such", "us-ascii", "\udcff"])
def test_a_charset_cannot_do_harm(tmp_path: Path, charset: str) -> None:
    content = f"Subject: S\r\nContent-Type: text/plain; charset={charset}\r\n\r\nDéjà +AGE- \\x41".encode(
        "utf-8", "surrogateescape"
    )
    assert article(tmp_path / "a.eml", content).text == "Déjà +AGE- \\x41"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\r\n", "the file is empty"),
        (b"Subject: S\r\n\r\n", "the article has no text"),
        (message(html="<nav>x</nav>").as_bytes(), "no article text found"),
        (b"Content-Type: image/png\r\n\r\nabc", "no text in this message"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--", "no text"),
        (b"Content-Type: text/plain; a=" + b"x" * 200_000 + b"\r\n\r\n ", "the article has no text"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 5_000, "no text in this message"),
    ],
    ids=["empty", "blank", "no body", "no article", "picture", "pictures", "long header", "deep"],
)  # fmt: skip
def test_what_gives_no_article_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    assert skipped(tmp_path / "a.eml", content).reason.startswith(reason)


# Mailboxes


def mailbox(*messages: bytes) -> bytes:
    return b"".join(b"From news@bote.example Fri Jun 17 08:00:00 2022\n" + one + b"\n\n" for one in messages)


LETTERS = [
    message(f"Number {n}.", Message_ID=f"<{n}@x.example>").as_bytes(policy=email.policy.default)
    for n in range(3)
]


def test_each_message_of_a_mailbox_is_an_article(tmp_path: Path) -> None:
    found = read(write(tmp_path / "a.mbox", mailbox(*LETTERS)))
    assert texts(found) == ["Number 0.", "Number 1.", "Number 2."]
    assert len({item.id for item in found if isinstance(item, Article)}) == 3


def test_a_message_keeps_its_identity_when_others_come_before_it(tmp_path: Path) -> None:
    [before] = read(write(tmp_path / "a.mbox", mailbox(LETTERS[1])))
    assert before in read(write(tmp_path / "a.mbox", mailbox(*LETTERS)))


def test_a_bad_message_is_skipped_with_its_line_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_MAIL_BYTES", 1_000)
    long = b"Subject: S\n\n" + b"x" * 100 * 1_000
    content = mailbox(
        LETTERS[0], b"Subject: S\n\n", long, LETTERS[2].replace(b"Number", b">From there, number")
    )
    found = read(write(tmp_path / "a.mbox", content))
    second, third = (
        content[: content.index(b"From n", at)].count(b"\n") + 1 for at in (100, content.index(b"S\n\n"))
    )
    assert [(item.line, item.reason) if isinstance(item, Skipped) else item.text for item in found] == [
        "Number 0.",
        (second, "the article has no text"),
        (third, "0.1 MB: too large for a message (limit 0.001 MB); leave its attachments out"),
        "From there, number 2.",
    ]


def test_a_mailbox_is_streamed(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mbox", mailbox(*(f"Subject: {n}\n\n{'x ' * 500}".encode() for n in range(3_000)))
    )
    tracemalloc.start()
    count = sum(isinstance(item, Article) for item in read_articles([path]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 3_000
    assert peak < path.stat().st_size / 4


@pytest.mark.parametrize("content", [b"no mailbox", b"Subject: S\n\nText."])
def test_a_file_without_messages_is_no_mailbox(tmp_path: Path, content: bytes) -> None:
    assert skipped(tmp_path / "a.mbox", content).reason == "no message in this mailbox"


header = st.sampled_from(
    ["From", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding", "Message-ID", "MIME-Version"]
)
said = st.text(max_size=30) | st.sampled_from(
    [
        "multipart/mixed; boundary=b",
        "text/html",
        "base64",
        "<a@b",
        "=?utf-8?b?",
        "a@[",
        '"',
        "text/plain; charset*0=x",
    ]
)
lines = st.lists(st.tuples(header, said).map(lambda pair: f"{pair[0]}: {pair[1]}"), max_size=6)
bodies = st.lists(
    st.sampled_from(["--b", "--b--", "", "text", "<p>x</p>", "From x", "Content-Type: text/html"])
    | st.text(max_size=20),
    max_size=6,
)


@given(lines=lines, body=bodies, noise=st.binary(max_size=20), name=st.sampled_from(["a.eml", "a.mbox"]))
@settings(max_examples=300, deadline=None)
def test_no_message_can_raise(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], body: list[str], noise: bytes, name: str
) -> None:
    content = "\n".join(["From x", *lines, "", *body]).encode("utf-8", "surrogatepass") + noise
    assert_clean(read(write(tmp_path_factory.mktemp("mail") / name, content)))
