"""Metrics: the design's table row by row, failures counted as wrong, and other people's programs as oracles."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lazy_imports import Later

from bot.answering.answer import Answer, Citation, Sentence, Status
from bot.evaluation.metrics import METRICS, observations, rouge_l, run_observations, summarize
from bot.evaluation.models import Case, Outcome, RetrievedPassage

ir_measures = Later("ir_measures")
rouge = Later("rouge_score.rouge_scorer")
sklearn = Later("sklearn.metrics")


def passages(*articles: str, text: str = "Nothing of note.") -> tuple[RetrievedPassage, ...]:
    return tuple(
        RetrievedPassage(f"p{place}", article, "", text, 1 / (place + 1))
        for place, article in enumerate(articles)
    )


def answer(
    text: str = "", *, status: Status = "answered", cited: tuple[str, ...] = (), confidence: float = 0.5
) -> Answer:
    citations = tuple(
        Citation(n=n, passage_id="p", article_id=article, version=1, start=0, end=1, quote="x", title="", source="", published=None, url=None, link=None)
        for n, article in enumerate(cited, start=1)
    )  # fmt: skip
    sentences = (Sentence(text=text, citations=()),) if text else ()
    return Answer(
        question="q", standalone_question="q", status=status, sentences=sentences, citations=citations,
        confidence=confidence, answerer="test",
    )  # fmt: skip


REFUSED = answer(status="not_found")
ANSWERABLE = Case("q", "q", answers=("Türkiye", "Turkey"), articles=("a", "b"), answerable=True)
UNANSWERABLE = Case("q", "q", answerable=False)


def outcome(case: Case = ANSWERABLE, given: Answer | None = None, **fields: Any) -> Outcome:
    return Outcome(case, gold=fields.pop("gold", case.articles), answer=given, **fields)


def test_the_table_is_the_designs_in_its_order() -> None:
    assert list(METRICS) == [
        "hit@1", "hit@5", "hit@10", "mrr@10", "ndcg@10", "passage_answer@1", "passage_answer@5", "answer",
        "short_answer", "answer_recall", "words", "rouge_l", "auroc", "over_refusal", "false_answers", "quote_valid",
        "cite_precision", "cite_recall", "supported", "p50_ms", "p95_ms",
    ]  # fmt: skip
    lower = {name for name, metric in METRICS.items() if metric.better == "lower"}
    assert lower == {"over_refusal", "false_answers", "p50_ms", "p95_ms"}
    assert METRICS["words"].better is None


@pytest.mark.parametrize(
    ("ranking", "hits", "mrr", "ndcg"),
    [
        (("a", "b"), (1, 1, 1), 1, 1),
        (("x", "x", "a", "a", "b"), (0, 1, 1), 1 / 3, (1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3))),
        (("x", "y", "z", "u", "v", "b"), (0, 0, 1), 1 / 6, (1 / math.log2(7)) / (1 + 1 / math.log2(3))),
        (("x",) * 10 + ("a",), (0, 0, 0), 0, (1 / math.log2(3)) / (1 + 1 / math.log2(3))),
        ((), (0, 0, 0), 0, 0),
    ],
)
def test_hits_and_mrr_are_over_passages_and_ndcg_over_articles(
    ranking: tuple[str, ...], hits: tuple[float, ...], mrr: float, ndcg: float
) -> None:
    seen = observations(outcome(passages=passages(*ranking)))
    assert tuple(seen[f"hit@{k}"][0] for k in (1, 5, 10)) == hits
    assert seen["mrr@10"] == pytest.approx((mrr,))
    assert seen["ndcg@10"] == pytest.approx((ndcg,))


def test_a_gold_article_that_the_library_lacks_is_one_not_retrieved() -> None:
    seen = observations(outcome(passages=passages("a"), gold=("a",)))
    assert seen["ndcg@10"] == pytest.approx((1 / (1 + 1 / math.log2(3)),))
    assert observations(outcome(passages=passages("a"), gold=()))["ndcg@10"] == (0.0,)
    twice = observations(outcome(passages=passages("a"), gold=("a", "a")))  # two addresses of one article
    assert twice["ndcg@10"] == (1.0,)


def test_passage_answer_looks_at_the_first_passages_only() -> None:
    ranked = passages("x", "x", "x") + passages("x", text="It happened in Türkiye’s south.")
    seen = observations(outcome(passages=ranked))
    assert (seen["passage_answer@1"], seen["passage_answer@5"]) == ((0.0,), (1.0,))
    late = observations(outcome(passages=passages(*"xxxxx") + ranked[-1:]))
    assert late["passage_answer@5"] == (0.0,)


@pytest.mark.parametrize(
    ("given", "right", "refused"),
    [
        (answer("It was in Turkey."), 1, 0),
        (answer("It was in Greece."), 0, 0),
        (REFUSED, 0, 1),
        (answer("Turkey, hello!", status="small_talk"), 0, 1),
        (answer(status="error"), 0, 1),
        (None, 0, 1),
    ],
)
def test_an_answerable_question_wants_a_gold_answer(
    given: Answer | None, right: float, refused: float
) -> None:
    seen = observations(outcome(given=given, error=None if given else "timeout"))
    assert seen["answer"] == seen["answer_recall"] == (right,)
    assert seen["over_refusal"] == (refused,)
    assert "false_answers" not in seen


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (REFUSED, 1),
        (answer("Greece."), 0),
        (answer("Hello!", status="small_talk"), 0),
        (answer(status="error"), 0),
        (None, 0),
    ],
)
def test_an_unanswerable_question_wants_a_refusal(given: Answer | None, right: float) -> None:
    seen = observations(outcome(UNANSWERABLE, given, error=None if given else "timeout"))
    assert seen == {"answer": (right,), "short_answer": (right,), "false_answers": (1 - right,)}


def test_words_are_those_of_the_text_shown() -> None:
    assert observations(outcome(given=answer("It was in Turkey, at 5 a.m.")))["words"] == (7.0,)
    assert observations(outcome(given=REFUSED))["words"] == (5.0,)  # "The articles do not say."
    assert observations(outcome(error="timeout"))["words"] == (0.0,)


def test_a_failed_question_is_wrong_in_all_that_applies() -> None:
    case = Case("q", "q", answers=("x",), long_answers=("x y",), articles=("a",), answerable=True)
    half = outcome(case, answer("x", cited=("a",)), passages=passages("a", text="x"), error="timeout")
    assert observations(half) == {
        "hit@1": (0.0,), "hit@5": (0.0,), "hit@10": (0.0,), "mrr@10": (0.0,), "ndcg@10": (0.0,),
        "passage_answer@1": (0.0,), "passage_answer@5": (0.0,), "answer": (0.0,), "short_answer": (0.0,), "answer_recall": (0.0,),
        "rouge_l": (0.0,), "over_refusal": (1.0,), "words": (0.0,), "cite_recall": (0.0,),
    }  # fmt: skip


def test_only_retrieval_gives_only_retrieval() -> None:
    retrieved = outcome(passages=passages("a"))
    assert set(observations(retrieved)) == {
        "hit@1", "hit@5", "hit@10", "mrr@10", "ndcg@10", "passage_answer@1", "passage_answer@5",
    }  # fmt: skip
    assert observations(outcome(UNANSWERABLE)) == {}


@pytest.mark.parametrize(("short", "score"), [("Turkey", 1.0), ("Greece", 0.0), ("", None)])
def test_the_exact_words_are_judged_by_themselves(short: str, score: float | None) -> None:
    given = answer("Turkey won against Greece.").model_copy(update={"short_answer": short})
    seen = observations(outcome(given=given)).get("short_answer")
    assert seen == (None if score is None else (score,))  # a composed answer has no such words


def test_a_failure_in_a_retrieval_run_does_not_invent_answers() -> None:
    run = [outcome(passages=passages("a")), outcome(error="timeout")]
    assert "answer" not in run_observations(run)[1]
    summary = summarize(run)
    assert summary.metrics["hit@1"] == 0.5
    assert "answer" not in summary.metrics
    assert "answer" in summarize([outcome(error="timeout")]).metrics  # nobody says that it only retrieved


def test_what_a_test_set_does_not_say_is_not_measured() -> None:
    unknown = Case("q", "q", answers=("Turkey",))
    seen = observations(outcome(unknown, answer("Turkey"), passages=passages("x", text="Turkey")))
    assert seen == {"passage_answer@1": (1.0,), "passage_answer@5": (1.0,)}
    bare = outcome(Case("q", "q"), answer("Turkey"), quotes_valid=(True,), supported=(True, False))
    assert observations(bare) == {"quote_valid": (1.0,), "supported": (1.0, 0.0)}
    only_articles = Case("q", "q", articles=("a",), answerable=True)
    assert not {"answer", "answer_recall"} & observations(outcome(only_articles, answer("x"))).keys()
    assert "hit@1" not in observations(outcome(Case("q", "q", articles=("a",), answerable=False), REFUSED))


@pytest.mark.parametrize(
    ("cited", "precision", "recall"),
    [
        (("a", "x", "a"), (1.0, 0.0), (0.5,)),  # an article that is cited twice is one
        (("a", "b"), (1.0, 1.0), (1.0,)),
        (("x",), (0.0,), (0.0,)),
        ((), None, (0.0,)),
    ],
)
def test_citations_are_held_against_the_gold_articles(
    cited: tuple[str, ...], precision: tuple[float, ...] | None, recall: tuple[float, ...]
) -> None:
    seen = observations(outcome(given=answer("x", cited=cited)))
    assert (seen.get("cite_precision"), seen["cite_recall"]) == (precision, recall)
    refused = observations(outcome(given=REFUSED))
    assert ("cite_precision" in refused, refused["cite_recall"]) == (False, (0.0,))


def test_rouge_l_takes_the_best_gold_and_a_refusal_is_nothing() -> None:
    case = Case("q", "q", long_answers=("something else", "the cat sat"), answerable=True)
    assert observations(outcome(case, answer("The cat sat!")))["rouge_l"] == (1.0,)
    assert observations(outcome(case, REFUSED))["rouge_l"] == (0.0,)


def test_a_summary_gives_value_interval_and_n() -> None:
    right, wrong = (
        outcome(given=answer("Turkey", cited=("a", "b"))),
        outcome(given=answer("Greece", cited=("x",))),
    )
    summary = summarize([right, right, wrong, outcome(error="timeout"), outcome(UNANSWERABLE, REFUSED)])
    assert summary.metrics["answer"] == pytest.approx(3 / 5)
    assert summary.n["answer"] == 5
    assert summary.ci["answer"] == pytest.approx((0.2307, 0.8824), abs=1e-4)  # Wilson, by hand
    assert (summary.metrics["answer_recall"], summary.n["answer_recall"]) == (0.5, 4)
    assert (summary.metrics["cite_precision"], summary.n["cite_precision"]) == (4 / 5, 5)
    assert (summary.metrics["cite_recall"], summary.n["cite_recall"]) == (0.5, 4)
    assert (summary.metrics["over_refusal"], summary.metrics["false_answers"]) == (0.25, 0)
    assert summary.metrics.keys() == summary.ci.keys() == summary.n.keys()
    assert list(summary.metrics) == [name for name in METRICS if name in summary.metrics]
    assert "rouge_l" not in summary.metrics


def test_nothing_run_gives_nothing() -> None:
    assert summarize([]).metrics == {}


def test_times_are_over_all_questions() -> None:
    summary = summarize([outcome(given=REFUSED, milliseconds=float(ms)) for ms in range(101)])
    assert (summary.metrics["p50_ms"], summary.metrics["p95_ms"], summary.n["p95_ms"]) == (50, 95, 101)
    for name in ("p50_ms", "p95_ms"):
        low, high = summary.ci[name]
        assert low <= summary.metrics[name] <= high


def test_auroc_needs_both_kinds_and_gives_a_failure_the_worst_confidence() -> None:
    sure, unsure = (
        outcome(given=answer("x", confidence=0.9)),
        outcome(UNANSWERABLE, answer("x", confidence=0.1)),
    )
    assert "auroc" not in summarize([sure]).metrics
    assert summarize([sure, unsure]).metrics["auroc"] == 1
    failed = outcome(error="timeout"), outcome(UNANSWERABLE, error="timeout")
    assert summarize([failed[0], unsure]).metrics["auroc"] == 0
    assert summarize([sure, failed[1]]).metrics["auroc"] == 0
    broken = outcome(UNANSWERABLE, answer(status="error", confidence=0.0))
    assert summarize([sure, broken]).metrics["auroc"] == 0


def test_the_order_of_the_questions_changes_nothing() -> None:
    draw = random.Random(3)
    outcomes = some_outcomes(draw, 60)
    summary = summarize(outcomes)
    assert {"ndcg@10", "rouge_l", "auroc", "words", "cite_recall", "p95_ms"} <= summary.metrics.keys()
    draw.shuffle(outcomes)
    assert summarize(outcomes) == summary


def some_outcomes(draw: random.Random, n: int) -> list[Outcome]:
    outcomes = []
    for _ in range(n):
        articles = tuple(draw.sample("abcdefghijkl", draw.randint(1, 4)))
        case = Case(
            "q",
            "q",
            answers=("b c",),
            long_answers=("a b c d",),
            articles=articles,
            answerable=draw.random() < 0.7,
        )
        text = " ".join(draw.choices("abcd", k=draw.randint(1, 9)))
        given = answer(
            text, cited=tuple(draw.choices("abcdefghijkl", k=draw.randint(0, 3))), confidence=draw.random()
        )
        ranked = passages(*draw.choices("abcdefghijklmnop", k=draw.randint(0, 14)), text=text)
        error = "timeout" if draw.random() < 0.1 else None
        outcomes.append(outcome(case, given, passages=ranked, milliseconds=draw.random(), error=error))
    return outcomes


@pytest.mark.parametrize("seed", range(4))
def test_a_run_s_figures_are_those_of_the_oracles_failures_included(seed: int) -> None:
    outcomes = some_outcomes(random.Random(seed), 40)
    metrics = summarize(outcomes).metrics
    labels = [bool(one.case.answerable) for one in outcomes]
    scores = [
        one.answer.confidence if one.answer and not one.error else 1 - label
        for one, label in zip(outcomes, labels, strict=True)
    ]
    assert metrics["auroc"] == pytest.approx(sklearn.roc_auc_score(labels, scores))
    asked = {str(number): one for number, one in enumerate(outcomes) if one.case.answerable}
    qrels = {name: dict.fromkeys(one.case.articles, 1) for name, one in asked.items()}
    ranked = {  # a question that failed is in no run: ir-measures counts it as nothing found
        name: {
            article: 1 / (place + 1)
            for place, article in enumerate(dict.fromkeys(p.article_id for p in one.passages))
        }
        for name, one in asked.items()
        if not one.error and one.passages
    }
    assert metrics["ndcg@10"] == pytest.approx(measured("nDCG@10", qrels, ranked)["nDCG@10"])
    f1 = [
        0 if one.error else oracle_rouge_l("a b c d", one.answer.text) for one in asked.values() if one.answer
    ]
    assert metrics["rouge_l"] == pytest.approx(sum(f1) / len(f1))


rankings = st.lists(st.sampled_from("abcdefghijklmnop"), min_size=1, max_size=15)
golds = st.sets(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=1, max_size=13)


@given(rankings, golds)
def test_ranking_metrics_are_those_of_ir_measures(ranking: list[str], gold: set[str]) -> None:
    case = Case("q", "q", articles=tuple(gold), answerable=True)
    seen = observations(outcome(case, passages=passages(*ranking)))
    by_passage = {"q": {f"{place}": 1.0 / (place + 1) for place in range(len(ranking))}}
    relevant = {"q": {f"{place}": int(article in gold) for place, article in enumerate(ranking)}}
    by_article = {"q": {article: 1.0 / (place + 1) for place, article in enumerate(dict.fromkeys(ranking))}}
    theirs = measured("Success@1 Success@5 Success@10 RR@10", relevant, by_passage)
    theirs |= measured("nDCG@10", {"q": dict.fromkeys(gold, 1)}, by_article)
    ours = {
        "Success@1": "hit@1",
        "Success@5": "hit@5",
        "Success@10": "hit@10",
        "RR@10": "mrr@10",
        "nDCG@10": "ndcg@10",
    }
    assert {name: seen[ours[name]][0] for name in theirs} == pytest.approx(theirs)


def measured(names: str, qrels: dict[str, Any], run: dict[str, Any]) -> dict[str, float]:
    measures = [ir_measures.parse_measure(name) for name in names.split()]
    return {
        str(measure): value for measure, value in ir_measures.calc_aggregate(measures, qrels, run).items()
    }


def oracle_rouge_l(gold: str, text: str) -> float:
    return float(rouge.RougeScorer(["rougeL"], use_stemmer=False).score(gold, text)["rougeL"].fmeasure)


sentences = st.lists(
    st.sampled_from(
        ["the", "cat", "sat", "on", "a", "mat", "Türkiye's", "1,200", "U.S.", "don't", "5%", "–", "ſ", "K"]
    ),
    max_size=12,
)


@given(sentences.map(" ".join), sentences.map(" ".join) | st.text(max_size=20))
def test_rouge_l_is_that_of_rouge_score(gold: str, text: str) -> None:
    assert rouge_l(gold, text) == pytest.approx(oracle_rouge_l(gold, text))
