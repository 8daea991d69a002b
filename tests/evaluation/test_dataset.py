"""Test sets: JSON lines and CSV, the names of other tools, and every error with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import EvaluationError
from bot.evaluation.dataset import find_unknown_articles, load_testset


def load(tmp_path: Path, text: str, name: str = "t.jsonl"):  # type: ignore[no-untyped-def]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_testset(path)


def test_all_fields_of_the_design_are_read(tmp_path: Path) -> None:
    row = (
        '{"id": "q17", "question": "Who?", "answers": ["Turkey", "Türkiye"], "long_answer": "Long.", "articles": '
        '["https://x.example/1"], "answerable": true, "asked": "2026-07-10", "history": ["Before?"], "tags": ["world"], "x": 1}'
    )
    (case,) = load(tmp_path, row).cases
    assert (case.id, case.question, case.answers, case.long_answers) == (
        "q17",
        "Who?",
        ("Turkey", "Türkiye"),
        ("Long.",),
    )
    assert (case.articles, case.answerable, case.asked) == (("https://x.example/1",), True, date(2026, 7, 10))
    assert (case.history, case.tags, case.extra) == (("Before?",), ("world",), {"x": 1})


def test_only_the_question_is_required(tmp_path: Path) -> None:
    (case,) = load(tmp_path, '{"question": "Who?"}').cases
    assert (case.id, case.answerable, case.answers) == ("line-1", None, ())


@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        ('{"query": "Who?"}', "question", "Who?"),
        ('{"user_input": "Who?", "reference": "Me"}', "answers", ("Me",)),
        ('{"question": "Who?", "ground_truth": "Me"}', "answers", ("Me",)),
        ('{"question": "Who?", "ground_truths": ["Me", "I"]}', "answers", ("Me", "I")),
        ('{"question": "Who?", "answer": 7}', "answers", ("7",)),
        ('{"question": "Who?", "long_answer": ["a", "b"]}', "long_answers", ("a", "b")),
        ('{"question": "Who?", "url": "u"}', "articles", ("u",)),
        ('{"question": "Who?", "is_answerable": "no"}', "answerable", False),
        ('{"question": "Who?", "answers": ["Me"]}', "answerable", True),
        ('{"question": "Who?", "answers": ["Own"], "reference": "Other"}', "answers", ("Own",)),
        ('{"question": "Who?", "reference": "Other", "answers": ["Own"]}', "answers", ("Own",)),
        ('{"question": "  Who\\n is?  "}', "question", "Who is?"),
        ('{"question": "Who?", "answer": "A model\'s", "ground_truth": "Me"}', "answers", ("Me",)),
        (
            '{"question": "Who?", "answer": "A model\'s", "ground_truth": "Me"}',
            "extra",
            {"answer": "A model's"},
        ),
        ('{"question": "Who?", "id": 0}', "id", "0"),
        ('{"question": "Who?", "asked": "2026-07-10T08:00:00Z"}', "asked", date(2026, 7, 10)),
        ('{"question": "Who?", "curated": "no"}', "curated", False),
        ('{"question": "Who?", "my key": null}', "extra", {"my key": None}),
    ],
)
def test_other_names_mean_the_same(tmp_path: Path, row: str, field: str, value: object) -> None:
    (case,) = load(tmp_path, row).cases
    assert getattr(case, field) == value


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_and_any_line_end_are_read(tmp_path: Path, mark: str, end: str) -> None:
    rows = ['{"id": 1, "question": "Who?"}', "", '{"id": 2, "question": "What?"}', ""]
    loaded = load(tmp_path, mark + end.join(rows))
    assert [(case.id, case.question) for case in loaded.cases] == [("1", "Who?"), ("2", "What?")]
    assert loaded.lines == {"1": 1, "2": 3}
    table = load(
        tmp_path, mark + end.join(["id,question,curated", '1,"Who,', 'then?",false', "2,What?,"]), "t.csv"
    )
    assert [(case.id, case.question, case.curated) for case in table.cases] == [
        ("1", "Who, then?", False),
        ("2", "What?", True),
    ]
    assert table.lines == {"1": 2, "2": 4}


def test_csv_splits_its_lists(tmp_path: Path) -> None:
    text = 'id,question,answers,answerable,tags\n1,"Who, then?",Turkey|Türkiye,true,a|b\n2,What?,,false,\n'
    one, two = load(tmp_path, text, "t.csv").cases
    assert (one.question, one.answers, one.tags) == ("Who, then?", ("Turkey", "Türkiye"), ("a", "b"))
    assert (two.answers, two.answerable) == ((), False)


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        ('{"question": "ok"}\n{broken\n', "t.jsonl", "line 2: not valid JSON"),
        ('\n\n["x"]\n', "t.jsonl", "line 3: expected an object"),
        ('{"answers": ["x"]}', "t.jsonl", "line 1: no question"),
        ('{"question": " "}', "t.jsonl", "line 1: no question"),
        ('{"question": 5}', "t.jsonl", "line 1: no question"),
        ('{"question": "a", "answers": {"x": 1}}', "t.jsonl", "line 1: answers: expected a text or a list"),
        ('{"question": "a", "answerable": "perhaps"}', "t.jsonl", "neither true nor false"),
        (
            '{"question": "a", "answerable": false, "answers": ["b"]}',
            "t.jsonl",
            "answerable is false, but there are answers",
        ),
        ('{"question": "a", "asked": "soon"}', "t.jsonl", "asked: 'soon' is not a day"),
        (
            '{"question": "a", "id": 1}\n{"question": "b", "id": 1}',
            "t.jsonl",
            "line 2: id '1' stands on line 1 too",
        ),
        ("", "t.jsonl", "line 1: no questions"),
        ('{"question": "a", "id": ["b"]}', "t.jsonl", "line 1: id: expected a text or a number"),
        ('{"question": "a", "asked": "2026-07-10 or so"}', "t.jsonl", "is not a day"),
        ('{"question": "a", "answers": [true]}', "t.jsonl", "answers: expected a text"),
        ('{"question": "a", "answers": ["b", "?!"]}', "t.jsonl", "answers: '?!' holds no word and no number"),
        ('{"question": "a", "answerable": false, "long_answer": "b"}', "t.jsonl", "there are answers"),
        ('{"question": "a", "curated": "perhaps"}', "t.jsonl", "curated: 'perhaps' is neither"),
        ('{"question": "a", "question": "b"}', "t.jsonl", "line 1: not valid JSON: a key stands twice"),
        ('{"question": "a", "x": NaN}', "t.jsonl", "NaN is no number"),
        ('{"question": "a", "answers": ["\\ud800"]}', "t.jsonl", "line 1: half a character ('\\ud800')"),
        ("frage;antwort\na;b\n", "t.csv", "line 1: no column is called question"),
        ("question,id,id\na,1,2\n", "t.csv", "line 1: a column stands twice: id"),
        ('question,asked\n"over two\nlines",soon\n', "t.csv", "line 2: asked: 'soon'"),
        ("question,id\na,1,extra\n", "t.csv", "line 2: more cells than the header"),
        ('question\n"never closed\n', "t.csv", "not valid CSV"),
    ],
)
def test_every_error_is_listed_with_its_line(tmp_path: Path, text: str, name: str, problem: str) -> None:
    assert any(problem in str(found) for found in load(tmp_path, text, name).problems)


def test_a_row_tells_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    row = '{"answerable": "perhaps", "asked": "soon", "tags": [[]], "id": 1}'
    problems = load(tmp_path, f'{{"question": "a", "id": 1}}\n{row}').problems
    told = [(problem.line, problem.reason.split(":")[0]) for problem in problems]
    assert told == [
        (2, "answerable"),
        (2, "asked"),
        (2, "tags"),
        (2, "no question"),
        (2, "id '1' stands on line 1 too"),
    ]


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="No such file"):
        load_testset(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes("{'é'}".encode("latin-1"))
    with pytest.raises(EvaluationError, match="not UTF-8"):
        load_testset(tmp_path / "latin.jsonl")


def test_gold_articles_that_are_not_there_are_named(tmp_path: Path) -> None:
    cases = load(tmp_path, '{"id": "1", "question": "a", "articles": ["known", "lost"]}').cases
    assert [(case.id, article) for case, article in find_unknown_articles(cases, {"known": "x"}.get)] == [
        ("1", "lost")
    ]


@given(data=st.binary(max_size=300))
def test_no_bytes_raise_anything_else(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("t.jsonl", "t.csv"):
        path = tmp_path_factory.mktemp("t") / name
        path.write_bytes(data)
        try:
            loaded = load_testset(path)
        except EvaluationError:
            continue
        assert loaded.cases or loaded.problems
