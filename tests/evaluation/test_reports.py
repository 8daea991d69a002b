"""Reports: the same run as a page, a table for a pull request, rows for a spreadsheet, and a CI server's XML."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from run_factory import GOLD, case, outcome, run, run_of, unanswerable

from bot.answering.answer import Citation, Sentence
from bot.errors import EvaluationError
from bot.evaluation.gates import Verdict, evaluate_gates
from bot.evaluation.metrics import METRICS, summarize
from bot.evaluation.models import Case, Outcome, RetrievedPassage, Run, Summary
from bot.evaluation.reports import check_report_path, print_summary_table, write_junit, write_report
from bot.evaluation.reports.html_details import excerpt, find_gold, highlight
from bot.evaluation.reports.summary import by_tag, result_counts, result_summary, risk_coverage, risk_steps

SCRIPT = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(2)>"
LINK = "javascript:alert(3)"
ATTRIBUTE = "\" autofocus onfocus='alert(4)' x=\""
COMMENT = "--><!-- ]]> &amp; &lt;b&gt;"
CONTROL = "\x00\x07\x1b[31m\x9b\ufffe\ud800\u202e"
HOSTILE = f"{SCRIPT}{IMAGE}{LINK}{ATTRIBUTE}{COMMENT}"


def asking(question: str, number: int = 1, **changes: Any) -> Case:
    return replace(case(number, **changes), question=question)


def hostile() -> Outcome:
    """Every text that comes from outside is hostile."""
    text = HOSTILE + CONTROL
    asked = asking(text, answers=(text, GOLD), long_answers=(text,), articles=(text,), history=(text,), tags=(text,)
    )  # fmt: skip
    citation = Citation(n=1, passage_id=text, article_id=text, version=1, start=0, end=1, quote=f"{text} {GOLD}",
                        title=text, source=text, published=datetime(2022, 7, 1, tzinfo=UTC), url=LINK, link=LINK)  # fmt: skip
    one = outcome(replace(asked, id=text), f"{GOLD} {text}")
    assert one.answer
    changes: dict[str, Any] = {"citations": (citation,), "dropped": (text,), "answerer": text}
    answer = one.answer.model_copy(update=changes)
    return replace(
        one,
        gold=(text,),
        passages=(RetrievedPassage(text, text, text, f"{text} {GOLD}", 0.5),),
        answer=answer,
        quotes_valid=(False,),
        supported=(False,),
    )


def written(made: Run, suffix: str, tmp_path: Path, verdict: Verdict | None = None) -> str:
    path = tmp_path / f"new folder/report{suffix}"
    write_report(made, summarize(made.outcomes), verdict, path)
    return path.read_bytes().decode("utf-8")


def gates_of(made: Run, **gates: Any) -> Verdict:
    return evaluate_gates(summarize(made.outcomes), made, **gates)


# The page


class Page(HTMLParser):
    """What a browser would find: every element with its attributes, and the text between."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {"script": "", "style": ""}
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        self.text = "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.append("")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.inside:
            self.inside[self._open[-1]] += data
        else:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hostile_page(tmp_path: Path) -> Page:
    made = run(
        [hostile(), replace(hostile(), answer=None, error=HOSTILE + CONTROL)], testset={"name": HOSTILE}, note=HOSTILE
    )  # fmt: skip
    return Page(written(made, ".html", tmp_path, gates_of(made, fail_under={"answer": 0.9})))


def test_the_page_asks_for_nothing_and_runs_nothing_but_its_own_script(tmp_path: Path) -> None:
    page = hostile_page(tmp_path)
    tags = [tag for tag, _ in page.elements]
    assert (tags.count("script"), tags.count("style"), tags.count("meta")) == (1, 1, 3)
    outside = {"link", "img", "iframe", "object", "embed", "base", "video", "audio", "source", "image", "use"}
    assert not outside & set(tags)
    for tag, attributes in page.elements:
        names = set(attributes)
        assert not any(name.startswith("on") for name in names), (tag, attributes)
        assert not names & {"src", "srcset", "style", "action", "formaction", "xlink:href", "autofocus"}, tag
        if "href" in names:
            assert (tag, str(attributes["href"])[0]) == ("a", "#")
    assert not re.search(r"@import|url\(|https?:", page.inside["style"] + page.inside["script"])


def test_the_policy_allows_the_pages_own_style_and_script_alone(tmp_path: Path) -> None:
    page = hostile_page(tmp_path)
    policy = page.all("meta")[1]["content"]
    assert policy
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(page.inside[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert "unsafe" not in policy


def test_hostile_texts_are_shown_as_texts(tmp_path: Path) -> None:
    page = hostile_page(tmp_path)
    # title, heading, header twice; in both questions id, question, gold, long answer, article, history, tag, passage…
    assert page.text.count(HOSTILE) > 20
    assert page.text.count(SCRIPT) == page.text.count(IMAGE) == page.text.count(LINK)
    assert not set(CONTROL.replace("[31m", "")) & set(page.text)
    for name in ("id", "class", "data-result", "data-tags", "data-value", "data-filter"):
        assert not any(HOSTILE in str(attributes.get(name)) for _, attributes in page.elements), name


def test_every_anchor_of_the_menu_is_there(tmp_path: Path) -> None:
    page = Page(written(run_of("+-"), ".html", tmp_path))
    ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [str(attributes["href"])[1:] for attributes in page.all("a")]
    assert targets
    assert set(targets) <= set(ids)
    assert "tags" not in targets  # no question has one


def test_an_opened_question_shows_all_that_is_known(tmp_path: Path) -> None:
    asked = asking("Where?", answers=(GOLD, "Angora"), long_answers=("In Ankara.",), tags=("world",),
                 history=("Who?",))  # fmt: skip
    one = outcome(asked, f"They meet in {GOLD} today.", rank=2, cited=[True, False])
    assert one.answer
    sentences = (*one.answer.sentences, Sentence(text="It rains.", citations=(1, 2)))
    answer = one.answer.model_copy(update={"sentences": sentences, "dropped": ("Unfounded.",)})
    passages = (one.passages[0], replace(one.passages[1], text=f"… {GOLD} …"), *one.passages[2:])
    made = replace(one, answer=answer, passages=passages, supported=(True, False))
    source = written(run([made]), ".html", tmp_path)
    for shown in (
        f"They meet in <mark>{GOLD}</mark> today.",
        'It rains. <small>[1][2]</small> <span class="label bad">unsupported</span>',
        f"{GOLD} <b>or</b> Angora",
        '<b>gold1</b> <span class="label good">gold</span>',
        "<b>other1</b> <small>",
        f"… <mark>{GOLD}</mark> …",
        "<li dir=\"auto\">Unfounded.</li>",
        "<li dir=\"auto\">Who?</li>",
        "<li dir=\"auto\">In Ankara.</li>",
        '<span class="tag">world</span>',
        '<span class="good">right</span>: nothing wrong was found',
    ):  # fmt: skip
        assert shown in source, shown
    assert source.count('<span class="label bad">not verbatim</span>') == 1


def test_the_page_says_first_what_went_wrong(tmp_path: Path) -> None:
    made = run_of("+0!0", questions=9)
    source = written(made, ".html", tmp_path, gates_of(made, fail_under={"answer": 0.9}))
    text = Page(source).text
    assert "0 of 4 questions right; 4 wrong, most often “refused wrongly” (2)." in text
    assert "Incomplete: 5 still to be asked." in text
    places = [
        source.index(f"<h2>{name}") for name in ("Gates", "Where it went wrong", "Figures", "Questions")
    ]
    assert places == sorted(places)
    assert '<span class="bad">FAIL</span>' in source


def test_what_has_no_questions_cannot_be_chosen(tmp_path: Path) -> None:
    page = Page(written(run_of("00!"), ".html", tmp_path))
    chosen = [button["data-value"] for button in page.all("button") if "data-value" in button]
    assert chosen == ["refused wrongly", "answered the unanswerable"]
    assert [option["value"] for option in page.all("option")] == ["", "wrong", *chosen]


def test_all_tags_are_shown_and_numbered_alike(tmp_path: Path) -> None:
    made = run([outcome(case(n, tags=(f"t{n}", "all")), GOLD, cited=[True]) for n in range(40)])
    page = Page(written(made, ".html", tmp_path))
    buttons = [b["data-value"] for b in page.all("button") if b.get("data-filter") == "tag"]
    assert buttons == [str(number) for number in range(41)]
    assert "28 more tags" not in page.text
    assert "29 more tags" in page.text
    assert [row["data-tags"] for row in page.all("tr") if "data-tags" in row][:2] == ["1 0", "2 0"]


@pytest.mark.parametrize(
    ("outcomes", "shown"),
    [
        ([], "0 of 0 questions right; 0 wrong."),
        ([outcome(case(1, answers=(), articles=(), answerable=None), GOLD)], "1 not judged"),
        ([replace(outcome(case(1), None), answer=None)], "1 of 1 questions right"),
        ([Outcome(case(1), error="boom")], "most often “failed” (1)"),
    ],
)
def test_every_format_holds_a_run_of_little(outcomes: list[Outcome], shown: str, tmp_path: Path) -> None:
    assert shown in Page(written(run(outcomes), ".html", tmp_path)).text
    assert shown in written(run(outcomes), ".md", tmp_path).replace("\\", "")
    assert len(written(run(outcomes), ".csv", tmp_path).splitlines()) == 1 + len(outcomes)
    write_junit(run(outcomes), summarize(outcomes), None, tmp_path / "junit.xml")
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == str(len(outcomes))


def test_a_thousand_questions_are_written_in_a_page_of_some_megabytes(tmp_path: Path) -> None:
    long = [replace(one, passages=tuple(replace(hit, text="word " * 160) for hit in one.passages))
            for one in run_of("+-0.!" * 20).outcomes]  # fmt: skip
    source = written(run(long), ".html", tmp_path)
    assert len(source) / len(long) < 8_000


@pytest.mark.parametrize(
    ("span", "start", "end", "expected"),
    [
        ((2, 4), 0, None, "ab<mark>cd</mark>ef"),
        ((2, 4), 3, None, "<mark>d</mark>ef"),
        ((2, 4), 0, 3, "ab<mark>c</mark>"),
        ((2, 4), 4, None, "ef"),
        (None, 0, None, "abcdef"),
    ],
)
def test_a_match_is_marked_across_the_pieces_of_a_text(
    span: tuple[int, int] | None, start: int, end: int | None, expected: str
) -> None:
    assert highlight("abcdef", span, start, end) == expected


def test_an_excerpt_is_taken_around_the_match() -> None:
    text = "x " * 500 + GOLD + " y" * 500
    shown = excerpt(text, find_gold(text, ["Izmir", GOLD]), 60)
    assert shown.startswith("… x ")
    assert f"<mark>{GOLD}</mark>" in shown
    assert shown.endswith(" y …")
    assert len(shown) < 90
    assert excerpt("short", None, 60) == "short"
    assert excerpt("a" * 70, None, 60) == "a" * 60 + " …"
    assert excerpt("one two three four", None, 10) == "one two …"
    assert excerpt("one two three Ankara four five six", (14, 20), 15) == "… <mark>Ankara</mark> four …"
    assert f"<mark>{GOLD}</mark>" in excerpt(text, find_gold(text, [GOLD]), 3)


@pytest.mark.parametrize(
    ("span", "bold", "start", "end", "expected"),
    [
        (None, (2, 4), 0, None, "ab<b>cd</b>ef"),
        ((2, 4), (2, 4), 0, None, "ab<b><mark>cd</mark></b>ef"),
        ((1, 3), (2, 5), 0, None, "a<mark>b</mark><b><mark>c</mark>de</b>f"),
        ((3, 6), (2, 5), 0, None, "ab<b>c<mark>de</mark></b><mark>f</mark>"),
        (None, (2, 4), 3, None, "<b>d</b>ef"),
        (None, (2, 4), 4, None, "ef"),
        (None, (2, 4), 0, 3, "ab<b>c</b>"),
    ],
)
def test_words_in_bold_and_a_match_are_nested(
    span: tuple[int, int] | None, bold: tuple[int, int], start: int, end: int | None, expected: str
) -> None:
    assert highlight("abcdef", span, start, end, bold=bold) == expected


def test_an_excerpt_without_a_match_is_taken_around_the_words_in_bold() -> None:
    text = "x " * 500 + GOLD + " y" * 500
    shown = excerpt(text, None, 60, bold=(1_000, 1_006))
    assert shown.startswith("… x ")
    assert f"<b>{GOLD}</b>" in shown
    assert len(shown) < 90


def spanned(quote: str, words: str) -> Citation:
    start = 7 + quote.index(words)
    return Citation(n=1, passage_id="p", article_id="gold1", version=1, start=7, end=7 + len(quote), quote=quote, title="Summit | opens",
                    source="Daily", published=datetime(2022, 7, 1, tzinfo=UTC), url="https://d.example", link="https://d.example",
                    answer_start=start, answer_end=start + len(words))  # fmt: skip


def closest(quote: str, words: str) -> Outcome:
    refused = outcome(asking("Where?", answers=("Izmir",)), None)
    assert refused.answer
    return replace(refused, answer=refused.answer.model_copy(update={"closest": (spanned(quote, words),)}))


def test_the_words_that_answer_are_bold_in_a_quote(tmp_path: Path) -> None:
    one = outcome(asking("Where?"), f"They meet in {GOLD} today.")
    assert one.answer
    cited = spanned(f"They meet in {GOLD} <b>today</b>.", f"in {GOLD} <b>")
    made = replace(one, answer=one.answer.model_copy(update={"citations": (cited,)}))
    source = written(run([made]), ".html", tmp_path)
    shown = f"“They meet <b>in <mark>{GOLD}</mark> &lt;b&gt;</b>today&lt;/b&gt;.”"
    assert shown in source
    assert "Closest passage" not in source


def test_the_closest_passage_is_shown_and_no_quote(tmp_path: Path) -> None:
    source = written(run([closest(f"{SCRIPT} They meet in {GOLD}.", f"{GOLD}")]), ".html", tmp_path)
    page = Page(source)
    assert "I am not sure the articles answer this. The closest passage:" in page.text
    assert f"“{SCRIPT} They meet in {GOLD}.”Daily · 1 July 2022 · Summit | opens gold" in page.text
    assert f"They meet in <b>{GOLD}</b>." in source
    assert page.text.count(SCRIPT) == 1
    assert "<dt>Closest passage</dt>" in source
    assert "<dt>Quotes</dt>" not in source
    assert "The articles do not say." not in page.text
    assert "[1]" not in page.text


def test_markdown_shows_the_closest_passage_with_its_words_in_bold(tmp_path: Path) -> None:
    text = written(
        run([closest(f"[x]({LINK}) | They met in {GOLD} *today*.", f"in {GOLD}")]), ".md", tmp_path
    )
    (row,) = [line for line in text.splitlines() if line.startswith("| q1 |")]
    assert "I am not sure the articles answer this. The closest passage\\:" in row
    assert f"They met **in {GOLD}** \\*today\\*.” Daily · 1 July 2022 · Summit \\| opens | Izmir |" in row
    assert "](" not in re.sub(r"\\.", "", row)
    assert re.sub(r"\\.", "", row).count("|") == 6


def test_markdown_shows_what_is_beside_the_words_of_a_long_passage(tmp_path: Path) -> None:
    text = written(run([closest(f"{'a' * 900} {GOLD} {'b' * 900}", GOLD)]), ".md", tmp_path)
    assert re.search(rf"“… a{{99}} \*\*{GOLD}\*\* b{{99}} …”", text)
    text = written(run([closest("a" * 900, "")]), ".md", tmp_path)
    assert re.search(r"“a{300} …”", text)


def test_csv_holds_a_closest_passage_as_no_citation(tmp_path: Path) -> None:
    (row,) = rows_of(written(run([closest(f"They meet in {GOLD}.", GOLD)]), ".csv", tmp_path))
    assert row["answer_text"].endswith(f"The closest passage: “They meet in {GOLD}.”")
    assert row["cited_articles"] == ""
    assert row["result"] == "refused wrongly"


# What all of them show


def test_faults_stand_by_how_common_they_are_and_right_stands_last() -> None:
    counts = result_counts(run_of("+++0!!x").outcomes)
    assert list(counts.items())[:2] == [("badly cited", 3), ("answered the unanswerable", 2)]
    assert list(counts)[-2:] == ["right", "not judged"]
    assert sum(counts.values()) == 7
    assert result_summary(run_of("..").outcomes) == "2 of 2 questions right; 0 wrong."


def test_a_tags_results_are_its_own_questions_answer_metric() -> None:
    made = [replace(one, case=replace(one.case, tags=("a", "a") if n < 4 else ("b",)))
            for n, one in enumerate(run_of("++-0-0-0-").outcomes)]  # fmt: skip
    b, a = by_tag(made)
    assert (a.tag, a.questions, a.wrong, a.answer) == ("a", 4, 4, "0.500")  # two are right, and cite nothing
    assert (b.tag, b.questions, b.wrong, b.answer, b.interval) == ("b", 5, 5, "0.000", "0.000–0.434")
    assert b.drawn
    assert b.drawn[:2] == (0, 0)


def test_a_question_that_failed_to_retrieve_has_no_answer_to_be_wrong(tmp_path: Path) -> None:
    asked = [replace(one, answer=None, case=replace(one.case, tags=("t",))) for one in run_of("++").outcomes]
    made = run([*asked, Outcome(case(7, tags=("t",)), error="boom")])
    (tagged,) = by_tag(made.outcomes)
    assert (tagged.answer, tagged.drawn, tagged.wrong) == ("n/a", None, 1)
    header = written(made, ".csv", tmp_path).splitlines()[0].split(",")
    assert "hit@1" in header
    assert not {"answer_recall", "over_refusal"} & set(header)


def test_the_risk_of_answering_grows_by_falling_confidence() -> None:
    sure = [(GOLD, 0.9), ("Izmir", 0.7), (GOLD, 0.7), (None, 0.1), ("Izmir", 0.2)]
    made = [outcome(case(n), text, confidence=confidence, cited=[True]) for n, (text, confidence) in enumerate(sure)]  # fmt: skip
    points = risk_coverage(made)
    assert [(p.confidence, p.coverage, p.risk) for p in points] == [
        (0.9, 0.2, 0),
        (0.7, 0.6, pytest.approx(1 / 3)),
        (0.2, 0.8, 0.5),
    ]
    assert risk_steps(points) == points
    assert risk_coverage(run_of("0.x").outcomes) == risk_steps([]) == []


def test_small_talk_where_the_articles_do_not_say_is_wrong_in_figures_and_faults() -> None:
    refused = outcome(unanswerable(1), "Hello!")
    assert refused.answer
    talk = replace(refused, answer=refused.answer.model_copy(update={"status": "small_talk"}))
    assert summarize([talk]).metrics["answer"] == 0
    assert result_counts([talk])["answered the unanswerable"] == 1


# Markdown


def test_markdown_holds_figures_faults_and_the_questions_that_went_wrong(tmp_path: Path) -> None:
    made = run_of("+-0.!x", questions=8)
    text = written(made, ".md", tmp_path, gates_of(made, fail_over={"false_answers": 0.4}))
    assert "**Incomplete: 2 still to be asked.**" in text
    assert "| FAIL | false\\_answers is 0.5, over 0.4 |" in text
    assert "| Metric | Value | 95 % interval | n |\n| --- | ---: | ---: | ---: |\n" in text
    assert "| answer | 0.333 | 0.097–0.700 | 6 |" in text
    assert "| q2 | Question 2? | refused wrongly | The articles do not say. | Ankara |" in text
    assert "| q5 | Question 5? | failed | no answer within 120 s | Ankara |" in text
    assert "| q3 |" not in text  # refused rightly
    assert "| settings.model | mini |" in text


def test_markdown_takes_no_markup_from_texts(tmp_path: Path) -> None:
    evil = (
        f"{HOSTILE} | [x]({LINK}) ![i](https://x.example/a) **b** `c` @team #1 www.x.example\n# Head\n| a |"
    )
    made = run([replace(hostile(), error=evil), Outcome(asking(evil, tags=(evil,)), error=evil)])
    text = written(made, ".md", tmp_path)
    unescaped = re.sub(r"\\.", "", text)
    for mark in ("<", "![", "](", "`", "@", "http:", "https:", "www.", "\x1b"):
        assert mark not in unescaped, mark
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if re.fullmatch(r"##? [A-Z][a-z ]+", line)
    ]
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({re.sub(r"\\.", "", line).count("|") for line in table.splitlines()}) == 1


def test_markdown_of_many_faults_stays_a_comment_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    text = written(run_of("-" * 90), ".md", tmp_path)
    assert text.count("| retrieved but not used |") == 1 + 50
    assert "… and 40 more" in text
    assert len(text) < 60_000


# CSV


def rows_of(source: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(source, newline="")))


def test_csv_has_a_row_a_question_and_a_column_a_metric(tmp_path: Path) -> None:
    made = run_of("+-0.!x")
    rows = rows_of(written(made, ".csv", tmp_path))
    assert [row["result"] for row in rows] == [
        "badly cited", "retrieved but not used", "refused wrongly", "right", "answered the unanswerable", "failed"
    ]  # fmt: skip
    assert [row["answer_text"] for row in rows[:2]] == [GOLD, "Izmir"]
    assert {"answer", "answer_recall", "false_answers"} <= set(rows[0])
    summary = summarize(made.outcomes)
    for name in set(METRICS) & set(rows[0]):
        values = [float(row[name]) for row in rows if row[name]]
        assert sum(values) / len(values) == pytest.approx(summary.metrics[name]), name
    assert len(rows) == 6


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\n=1", "\r=1", "＝1", "\u00a0=1", "\x00=1", "\ufeff=1",
     "=HYPERLINK(\"http://x\",\"y\")", "=cmd|' /C calc'!A0"],
)  # fmt: skip
def test_no_cell_begins_as_a_formula(text: str, tmp_path: Path) -> None:
    asked = replace(asking(text, answers=(text,), articles=(text,), tags=(text,)), id=text)
    one = outcome(asked, text, cited=[True])
    (row, failure) = rows_of(written(run([one, replace(one, answer=None, error=text)]), ".csv", tmp_path))
    for cell in (*row.values(), *failure.values()):
        assert not re.match(r"\s*[=+\-@＝＋－＠]|[\t\r\n]", cell), cell
    assert row["question"].startswith("'")
    assert row["question"].endswith(text[-1])


def test_csv_keeps_texts_with_commas_quotes_and_lines(tmp_path: Path) -> None:
    text = 'He said "yes, no";\nthen\r\nleft\u2028– Türkiye, 日本'
    one = outcome(asking(text, tags=("a", "b")), text)
    source = written(run([one]), ".csv", tmp_path)
    (row,) = rows_of(source)
    assert row["question"] == row["answer_text"] == 'He said "yes, no";\nthen\nleft\n– Türkiye, 日本'
    assert row["tags"] == "a|b"
    assert source.endswith("\r\n")


# JUnit


def junit_of(made: Run, tmp_path: Path, verdict: Verdict | None = None) -> ET.Element:
    write_junit(made, summarize(made.outcomes), verdict, tmp_path / "junit.xml")
    return ET.parse(tmp_path / "junit.xml").getroot()


def test_junit_has_a_test_case_a_question_and_one_a_gate(tmp_path: Path) -> None:
    unknown = outcome(case(7, answers=(), articles=(), answerable=None), GOLD)
    made = run([*run_of("-0.!x").outcomes, unknown])
    root = junit_of(
        made, tmp_path, gates_of(made, fail_under={"answer": 0.9}, fail_over={"false_answers": 0.9})
    )
    questions, gates = root.findall("testsuite")
    counts = ("tests", "failures", "errors", "skipped")
    assert [questions.get(name) for name in counts] == ["6", "3", "1", "1"]
    assert [gates.get(name) for name in counts] == ["2", "1", "0", "0"]
    assert [root.get(name) for name in counts] == ["8", "4", "1", "1"]
    assert [node.get("type") for node in questions.iter("failure")] == [
        "retrieved but not used", "refused wrongly", "answered the unanswerable"
    ]  # fmt: skip
    first = questions[0]
    assert (first.get("name"), first.get("time")) == ("q0: Question 0?", "0.102")
    failure = first.find("failure")
    assert failure is not None
    assert (
        failure.text == "question: Question 0?\ngold: Ankara\ngold articles: gold0\nanswer (answered): Izmir"
    )
    error = questions.find("testcase/error")
    assert error is not None
    assert error.get("message") == "no answer within 120 s"
    gate = gates.find("testcase/failure")
    assert gate is not None
    assert str(gate.get("message")).startswith("answer is 0.2, under 0.9")


def test_junit_of_hostile_texts_and_control_characters_is_xml(tmp_path: Path) -> None:
    broken = replace(hostile(), answer=None, error=HOSTILE + CONTROL)
    root = junit_of(run([hostile(), broken]), tmp_path)
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert HOSTILE in str(error.get("message"))
    assert HOSTILE in str(error.text)
    assert {node.tag for node in root.iter()} <= {"testsuites", "testsuite", "testcase", "error", "failure"}


def test_junit_of_an_incomplete_run_has_an_error(tmp_path: Path) -> None:
    root = junit_of(run_of("..", questions=5), tmp_path)
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert (root.get("tests"), root.get("errors")) == ("3", "1")
    assert error.get("message") == "questions not asked yet: 3"


# The terminal and the files


def table_of(summary: Summary, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_summary_table(summary, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_terminal_shows_every_metric_in_the_designs_order() -> None:
    asked = case(1, long_answers=("In Ankara.",))
    made = [replace(outcome(asked, GOLD, cited=[True]), supported=(True,)), *run_of("-0.!x").outcomes]
    lines = table_of(summarize(made))
    assert lines[0].split() == ["Metric", "Value", "95", "%", "interval", "n"]
    assert [line.split()[0] for line in lines[1:]] == list(METRICS)
    assert len({len(line) for line in lines}) == 1
    assert max(map(len, lines)) <= 60


def test_the_terminal_shows_figures_and_takes_no_markup() -> None:
    summary = Summary({"answer": 0.5, "words": 1234.5, "p50_ms": 12345.6, "[red]x[/]\x1b": 0.25},
                      {"answer": (0.25, 0.75)}, {"answer": 1200, "words": 3, "p50_ms": 4})  # fmt: skip
    assert [" ".join(line.split()) for line in table_of(summary)[1:]] == [
        "answer 0.500 0.250–0.750 1,200",
        "words 1234.5 n/a 3",
        "p50_ms 12,346 n/a 4",
        "[red]x[/] 0.250 n/a 0",
    ]
    assert table_of(Summary({}, {}, {})) == ["Nothing was measured."]


@pytest.mark.parametrize("name", ["report", "report.pdf", "report.html.bak"])
def test_a_report_of_no_known_format_is_refused(name: str) -> None:
    with pytest.raises(
        EvaluationError, match=r"no such report; name a file that ends with \.html, \.md, \.csv"
    ):
        check_report_path(Path(name))


def test_the_suffix_may_be_written_large(tmp_path: Path) -> None:
    assert written(run_of("+"), ".HTML", tmp_path).startswith("<!doctype html>")


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = run_of("+")
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_report(made, summarize(made.outcomes), None, tmp_path / "file/report.html")
    with pytest.raises(EvaluationError, match="cannot be written"):
        write_junit(made, summarize(made.outcomes), None, tmp_path)
