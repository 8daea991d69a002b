"""Two runs side by side: paired by content, tested question by question, told in plain text."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from lazy_imports import Later
from run_factory import GOLD, case, outcome, run, run_of, unanswerable

from bot.errors import EvaluationError
from bot.evaluation.comparison import Comparison, compare
from bot.evaluation.comparison_result import Row
from bot.evaluation.metrics import METRICS, summarize
from bot.evaluation.models import Outcome, Run
from bot.evaluation.reports.text import format_comparison

stats = Later("scipy.stats")

MIXED = "++-+0++-.!..+-++.0+x" * 3


def row(comparison: Comparison, metric: str) -> Row:
    (found,) = (row for row in comparison.metrics if row.metric == metric)
    return found


def varied(seed: int) -> Run:
    """A run with every kind of outcome, several citations and sentences, and times that differ."""
    chance = random.Random(seed)
    made = []
    for number in range(60):
        asked = (
            unanswerable(number)
            if number % 3 == 0
            else case(number, long_answers=("It is Ankara, of course.",))
        )
        text = chance.choice([GOLD, "Izmir it was", None])
        cited = [chance.random() < 0.9 for _ in range(chance.randrange(4))] if text else []
        one = outcome(asked, text, rank=chance.randrange(1, 12), confidence=chance.random(), cited=cited)
        failed = Outcome(asked, asked.articles, error="boom")
        supported = tuple(chance.random() < 0.8 for _ in range(chance.randrange(3))) if text else ()
        made.append(
            replace(failed if number == 7 else one, milliseconds=chance.uniform(50, 900), supported=supported)
        )
    return run(made)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(varied(1), varied(2))


def test_the_values_are_those_of_the_runs_own_summaries(comparison: Comparison) -> None:
    a, b = varied(1), varied(2)
    before, after = summarize(a.outcomes).metrics, summarize(b.outcomes).metrics
    assert {row.metric for row in comparison.metrics} == set(METRICS) == set(before)
    for found in comparison.metrics:
        assert found.a == pytest.approx(before[found.metric]), found.metric
        assert found.b == pytest.approx(after[found.metric]), found.metric
        assert found.difference == pytest.approx(found.b - found.a)
        assert found.ci[0] <= found.difference + 1e-9, found.metric
        assert found.ci[1] >= found.difference - 1e-9, found.metric
        if found.wins is not None:
            assert found.wins + found.ties + found.losses + found.in_one == found.n  # type: ignore[operator]


@pytest.mark.parametrize("same", [run_of(MIXED), varied(3)])
def test_a_run_does_not_differ_from_itself(same: Run) -> None:
    comparison = compare(same, same)
    assert comparison.settings == comparison.only_a == comparison.only_b == comparison.changed == ()
    assert comparison.regressions == comparison.metrics_in_one == ()
    for found in comparison.metrics:
        assert (found.difference, found.ci, found.change) == (0, (0, 0), None), found.metric
        assert str(found.drop) == "0.0", found.metric  # not -0.0
        assert found.p in (1, None)
        assert found.wins in (0, None)
        assert found.losses in (0, None)
    assert comparison.detectable
    assert comparison.detectable.identical
    text = " ".join(format_comparison(comparison).split())
    assert "The settings are the same." in text
    assert "Nothing is significantly worse in B." in text
    assert "reckoned for two independent runs" in text


def test_a_share_is_tested_by_mcnemar_and_counted_by_question() -> None:
    found = row(compare(run_of("+" * 20 + "-" * 10), run_of("+" * 9 + "-" * 11 + "++" + "-" * 8)), "answer")
    assert (found.a, found.b, found.n) == (pytest.approx(20 / 30), pytest.approx(11 / 30), 30)
    assert (found.wins, found.ties, found.losses) == (2, 17, 11)
    assert found.p == pytest.approx(stats.binomtest(2, 13).pvalue)
    assert found.change == "worse"


def test_where_lower_is_better_a_win_is_lower() -> None:
    comparison = compare(run_of("!" * 10), run_of("." * 10))
    found = row(comparison, "false_answers")
    assert (found.a, found.b, found.wins, found.losses, found.change) == (1, 0, 10, 0, "better")
    assert found.drop == -1
    back = row(compare(run_of("." * 10), run_of("!" * 10)), "false_answers")
    assert (back.drop, back.change) == (1, "worse")


def test_what_has_no_direction_has_no_wins_and_is_never_worse() -> None:
    short = [outcome(case(number), GOLD) for number in range(30)]
    long = [outcome(case(number), f"{GOLD} it is, they say") for number in range(30)]
    found = row(compare(run(short), run(long)), "words")
    assert (found.difference, found.wins, found.change) == (4, None, None)


def test_times_are_shown_without_a_test() -> None:
    slow = [replace(one, milliseconds=5000.0) for one in run_of(MIXED).outcomes]
    for found in (row(compare(run_of(MIXED), run(slow)), name) for name in ("p50_ms", "p95_ms")):
        assert (found.b, found.p, found.change, found.wins) == (5000, None, None, None)


def test_regressions_stand_first_then_the_rest_by_p() -> None:
    comparison = compare(run_of("+" * 20 + "!" * 20), run_of("0" * 20 + "." * 20))
    changes = [found.change for found in comparison.metrics]
    worse = changes.count("worse")
    assert {found.metric for found in comparison.metrics[:worse]} >= {"over_refusal", "answer_recall"}
    assert comparison.regressions == comparison.metrics[:worse]
    better = changes.count("better")
    assert better
    assert changes == ["worse"] * worse + ["better"] * better + [None] * (len(changes) - worse - better)
    rest = [2 if found.p is None else found.p for found in comparison.metrics[worse + better :]]
    assert rest == sorted(rest)
    lines = format_comparison(comparison).splitlines()
    headings = [lines.index(f"{group} in B (p < 0.05):") for group in ("Worse", "Better")]
    assert lines[headings[0] + 1].split()[0] == comparison.regressions[0].metric
    assert headings[1] == headings[0] + 1 + worse
    assert lines[headings[1] + 1 + better] == "Neither worse nor better, or not tested:"


def test_failed_questions_count_as_wrong_and_are_counted() -> None:
    comparison = compare(run_of("+" * 12), run_of("+" * 4 + "x" * 8))
    assert comparison.failed == (0, 8)
    assert row(comparison, "answer").b == pytest.approx(4 / 12)
    assert "Failed, and counted as wrong: 0 in A, 8 in B." in format_comparison(comparison)


@pytest.mark.parametrize(
    "changed",
    [
        {"answers": ("Izmir",)},
        {"answerable": None},
        {"articles": ("other",)},
        {"long_answers": ("x",)},
        {"history": ("x",)},
    ],
)
def test_one_id_with_another_content_is_not_paired_but_listed(changed: dict[str, object]) -> None:
    before = [outcome(case(number), GOLD) for number in range(5)]
    after = [*before[:4], outcome(case(4, **changed), GOLD)]
    comparison = compare(run(before), run(after))
    assert (comparison.paired, comparison.changed) == (4, ("q4",))
    assert "1 with another content in B, not compared: q4" in format_comparison(comparison)


def test_tags_do_not_make_another_question() -> None:
    before, after = outcome(case(1), GOLD), outcome(case(1, tags=("world",), extra={"note": 1}), GOLD)
    assert compare(run([before]), run([after])).paired == 1


def test_questions_of_one_run_only_are_listed() -> None:
    everything = run_of("+" * 40)
    comparison = compare(everything, run(everything.outcomes[:10]))
    assert (comparison.paired, len(comparison.only_a), comparison.only_b) == (10, 30, ())
    text = format_comparison(comparison)
    assert "30 only in A: q10, q11" in text
    assert "and 10 more (--json names all)" in text
    assert comparison.fields()["only_a"] == tuple(f"q{number}" for number in range(10, 40))


def test_the_order_of_the_answers_does_not_matter(comparison: Comparison) -> None:
    assert compare(varied(1), run(varied(2).outcomes[::-1])) == comparison
    assert compare(run(varied(1).outcomes[::-1]), varied(2)) == comparison


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        (run_of("++"), run([outcome(case(9), GOLD)]), "no question in common"),
        (run_of("++"), run([outcome(unanswerable(0), GOLD)]), "1 ids are in both, but with another content"),
        (run_of(""), run_of("+"), "run A holds no answered question"),
        (run_of("+"), run_of(""), "run B holds no answered question"),
        (run(run_of("+").outcomes * 2), run_of("+"), "run A holds question 'q0' twice"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: Run, b: Run, reason: str) -> None:
    with pytest.raises(EvaluationError, match=reason):
        compare(a, b)


def test_settings_that_differ_come_first_and_times_are_none() -> None:
    a = run_of("++", settings={"k": 10, "model": "mini"}, started="monday")
    b = run_of("++", settings={"k": 5, "model": "mini", "rerank": "x" * 300}, started="tuesday")
    comparison = compare(a, b)
    assert [(s.key, s.a, s.b) for s in comparison.settings] == [
        ("settings.k", 10, 5),
        ("settings.rerank", None, "x" * 300),
    ]
    assert format_comparison(comparison).splitlines()[:3] == [
        "Settings that differ:",
        "  key              A   B",
        "  settings.k       10  5",
    ]


def test_long_settings_keep_both_ends_and_fit_the_terminal() -> None:
    a = run_of("++", settings={"chat_model": "openai:some-model-with-a-long-name-2024-05-13"})
    b = run_of("++", settings={"chat_model": "openai:some-model-with-a-long-name-2024-08-06", "k" * 99: 1})
    lines = format_comparison(compare(a, b)).splitlines()[:4]
    assert max(map(len, lines)) <= 80
    assert "openai:" in lines[2]
    assert "05-13" in lines[2]
    assert lines[2].endswith("08-06")


def test_metrics_of_one_run_only_are_named() -> None:
    asked = run_of("+-.!")
    retrieved = run([replace(one, answer=None, error=None) for one in asked.outcomes])
    comparison = compare(asked, retrieved)
    assert {"answer", "auroc", "over_refusal"} <= set(comparison.metrics_in_one)
    assert {"hit@1", "p50_ms"} <= {found.metric for found in comparison.metrics}
    assert "In one run only, and not compared: answer," in format_comparison(comparison)
    assert comparison.detectable
    assert comparison.detectable.metric == "hit@1"


def test_whether_a_run_only_retrieved_is_said_by_all_its_questions() -> None:
    failed = [Outcome(one.case, one.case.articles, error="boom") for one in run_of("+.").outcomes]
    more = replace(outcome(case(2), GOLD), answer=None)
    comparison = compare(run([*failed, more]), run_of("+."))
    assert {"auroc", "answer"} <= set(comparison.metrics_in_one)
    assert "auroc" not in {found.metric for found in comparison.metrics}


def test_a_metric_that_a_question_has_in_one_run_only_says_so() -> None:
    before = [outcome(case(number), GOLD, cited=[True, True]) for number in range(10)]
    after = [outcome(case(number), GOLD, cited=[True] * (number % 2)) for number in range(10)]
    comparison = compare(run(before), run(after))
    assert (row(comparison, "quote_valid").n, row(comparison, "quote_valid").in_one) == (10, 5)
    text = format_comparison(comparison)
    assert (
        "Questions with a metric in one run only: quote_valid 5 of 10, cite_precision 5 of 10."
        in " ".join(text.split())
    )


@pytest.mark.parametrize(
    ("a", "b", "line"),
    [
        (
            "+" * 100,
            "+" * 100,
            "These 100 questions show a drop of answer from 0.079 up (80 % power at 5 %). Here A equals B",
        ),
        (
            "+-" * 100,
            "+-" * 100,
            "These 200 questions show a drop of answer from 0.140 up (80 % power at 5 %). Here A equals B",
        ),
        (
            "+-" * 100,
            "-+" * 2 + "+-" * 98,
            "These 200 questions show a drop of answer from 0.040 up (80 % power at 5 %).",
        ),
        ("+++", "++-", "Too few questions (3) to show any drop of answer."),
        ("+", "+", "Too few questions (1) to show any drop of answer."),
    ],
)
def test_the_text_says_how_small_a_drop_can_be_seen(a: str, b: str, line: str) -> None:
    assert line in " ".join(format_comparison(compare(run_of(a), run_of(b))).split())


def test_without_a_main_metric_nothing_is_claimed() -> None:
    bare = run([outcome(case(number, answers=(), articles=(), answerable=None), GOLD) for number in range(3)])
    comparison = compare(bare, bare)
    assert comparison.detectable is None
    assert "is not known: neither answer nor hit@1" in format_comparison(comparison)


def test_the_text_is_aligned_and_fits_a_terminal() -> None:
    slow = run(
        [replace(one, milliseconds=one.milliseconds * 40) for one in varied(2).outcomes], note="y" * 500
    )
    compared = compare(varied(1), slow)
    lines = format_comparison(compared).splitlines()
    assert max(map(len, lines)) <= 80
    head = next(line for line in lines if line.startswith("metric"))
    table = [line for line in lines if line.startswith("  ") and line.split()[0] in METRICS]
    assert [line.split()[0] for line in table] == [found.metric for found in compared.metrics]
    end = head.index("95 % interval") + len("95 % interval")
    assert {line[end - 1] for line in table} == {"]"}
    assert {len(line) for line in table} == {len(head)}


def test_the_fields_are_json(comparison: Comparison) -> None:
    fields = json.loads(json.dumps(comparison.fields(), allow_nan=False))
    first = fields["metrics"][0]
    assert first["metric"] == comparison.metrics[0].metric
    assert set(first) >= {"a", "b", "difference", "ci", "p", "wins", "ties", "losses", "n", "change"}
    assert fields["paired"] == 60
    assert fields["detectable"]["metric"] == "answer"
