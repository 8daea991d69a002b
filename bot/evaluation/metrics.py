"""Retrieval, answer, citation and latency metrics, each with a 95 % interval and its number of observations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bot.answering.answer import Answer
from bot.evaluation import statistics
from bot.evaluation.models import Outcome, Summary
from bot.text.tokens import contains_answer

DEPTH = 10
"""Ranks that mrr and ndcg take into account."""

Observations = dict[str, tuple[float, ...]]
_OVER_GOLD_ARTICLES = "answerable questions with gold articles"
_OVER_GOLD_ANSWERS = "answerable questions with gold answers"
PERCENTILES = {"p50_ms": 50, "p95_ms": 95}
"""The metrics that are percentiles of the time per answer."""

_TOKEN = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Metric:
    """Definition of a metric.

    Args:
        name: name of the metric.
        description: explanation for users.
        over: the kind of observations, for users.
        better: direction of the metric, or None if it has none.
        share: every observation is 0 or 1.
    """

    name: str
    description: str
    over: str
    better: Literal["higher", "lower"] | None = "higher"
    share: bool = False


_ROWS = (
    *(
        Metric(f"hit@{k}", f"a gold article's passage is {where}", _OVER_GOLD_ARTICLES, share=True)
        for k, where in ((1, "ranked first"), (5, "among the first 5"), (10, "among the first 10"))
    ),
    Metric("mrr@10", "1 / rank of the first passage of a gold article", _OVER_GOLD_ARTICLES),
    Metric("ndcg@10", "ranking of the articles, each once, against the ideal one", _OVER_GOLD_ARTICLES),
    Metric("passage_answer@1", "a gold answer stands in the first passage", _OVER_GOLD_ANSWERS, share=True),
    Metric(
        "passage_answer@5", "a gold answer stands in the first 5 passages", _OVER_GOLD_ANSWERS, share=True
    ),
    Metric("answer", "a gold answer is given where there is one, else refused", "questions", share=True),
    Metric(
        "short_answer", "a gold answer is in the exact words shown, else refused", "questions", share=True
    ),
    Metric("answer_recall", "a gold answer stands in the answer", _OVER_GOLD_ANSWERS, share=True),
    Metric("words", "length of the text shown", "answerable questions", None),
    Metric("rouge_l", "ROUGE-L F1 against the best gold long answer", "questions with long answers"),
    Metric("auroc", "confidence ranks answerable above unanswerable", "questions"),
    Metric("over_refusal", "refused", "answerable questions", "lower", share=True),
    Metric("false_answers", "answered", "unanswerable questions", "lower", share=True),
    Metric("quote_valid", "the quote is verbatim in the stored article", "citations", share=True),
    Metric(
        "cite_precision",
        "the cited article is a gold one",
        f"articles cited, in {_OVER_GOLD_ARTICLES}",
        share=True,
    ),
    Metric("cite_recall", "share of the gold articles that are cited", _OVER_GOLD_ARTICLES),
    Metric("supported", "the sentence's own citations support it", "answer sentences", share=True),
    Metric("p50_ms", "median time per answer", "questions", "lower"),
    Metric("p95_ms", "time within which 95 % are answered", "questions", "lower"),
)
METRICS = {metric.name: metric for metric in _ROWS}

_ANSWER_METRICS = frozenset(METRICS) - {
    name for name in METRICS if name.startswith(("hit@", "mrr@", "ndcg@", "passage_answer@", "p50", "p95"))
}


def observations(outcome: Outcome) -> Observations:
    """Return the observations of one question for each metric that is a mean, without metrics that do not apply.

    A failed question counts as wrong in all metrics that apply to it.
    """
    answered = outcome.answer is not None or outcome.error is not None
    found = _observe_retrieval(outcome) | (
        _observe_answer(outcome) | _observe_citations(outcome) if answered else {}
    )
    return {name: found[name] for name in METRICS if found.get(name)}


def run_observations(outcomes: Sequence[Outcome]) -> list[Observations]:
    """Return the observations of each question of a run, without answer metrics if the run was retrieval-only.

    A failed question alone does not show if its run was retrieval-only; the other questions do.
    """
    skipped = _ANSWER_METRICS if retrieval_only(outcomes) else frozenset()
    return [
        {name: values for name, values in observations(outcome).items() if name not in skipped}
        for outcome in outcomes
    ]


def summarize(outcomes: Sequence[Outcome]) -> Summary:
    """Return the value, 95 % interval and number of observations of each metric that applies to `outcomes`.

    The result does not depend on the order of the outcomes, not even in the last digit: workers and resumed runs
    change the order.
    """
    summary = Summary({}, {}, {})
    seen = run_observations(outcomes)
    for name, metric in METRICS.items():
        if groups := [found[name] for found in seen if name in found]:
            _add_mean(summary, metric, groups)
        elif name == "auroc" and not retrieval_only(outcomes):
            _add_auroc(summary, outcomes)
        elif name in PERCENTILES and outcomes:
            _add_time(summary, name, [outcome.milliseconds for outcome in outcomes])
    return summary


def retrieval_only(outcomes: Sequence[Outcome]) -> bool:
    """Return True if a run only retrieved: it has no answers, and not because all questions failed."""
    some_only_retrieved = any(outcome.answer is None and outcome.error is None for outcome in outcomes)
    return some_only_retrieved and all(outcome.answer is None for outcome in outcomes)


def _add(summary: Summary, name: str, value: float, interval: tuple[float, float], n: int) -> None:
    summary.metrics[name], summary.ci[name], summary.n[name] = value, interval, n


def _add_mean(summary: Summary, metric: Metric, groups: Sequence[tuple[float, ...]]) -> None:
    values = [value for group in groups for value in group]
    total, n = math.fsum(values), len(values)
    interval = statistics.wilson(round(total), n) if metric.share else statistics.bootstrap(sorted(groups))
    _add(summary, metric.name, total / n, interval, n)


def _add_auroc(summary: Summary, outcomes: Iterable[Outcome]) -> None:
    pairs = sorted(
        (outcome.case.answerable, confidence(outcome))
        for outcome in outcomes
        if outcome.case.answerable is not None
    )
    labels, scores = [label for label, _ in pairs], [score for _, score in pairs]
    if any(labels) and not all(labels):
        value = statistics.auroc(labels, scores)
        _add(summary, "auroc", value, statistics.auroc_interval(labels, scores), len(labels))


def _add_time(summary: Summary, name: str, times: Sequence[float]) -> None:
    def percentile(values: statistics.Floats) -> float:
        return float(np.percentile(values, PERCENTILES[name]))

    interval = statistics.bootstrap([[time] for time in sorted(times)], percentile)
    _add(summary, name, percentile(np.asarray(times, dtype=np.float64)), interval, len(times))


def confidence(outcome: Outcome) -> float:
    """Return the confidence of the answer, or the worst possible value for a failed question."""
    if outcome.answer is None or outcome.error is not None or outcome.answer.status == "error":
        return 0.0 if outcome.case.answerable else 1.0
    return outcome.answer.confidence


def _get_answer(outcome: Outcome) -> Answer | None:
    """Return the answer, or None if the question was refused, failed or was small talk."""
    answer = outcome.answer
    return answer if answer and answer.status == "answered" and outcome.error is None else None


def _observe_retrieval(outcome: Outcome) -> Observations:
    case, found = outcome.case, Observations()
    passages = () if outcome.error is not None else outcome.passages
    if case.answerable is False:
        return found
    if case.articles:
        ranking = [passage.article_id for passage in passages]
        found |= _observe_ranking(ranking, set(outcome.gold), _count_gold_articles(outcome))
    if case.answers:
        for k in (1, 5):
            stands = any(_contains_gold_answer(passage.text, outcome) for passage in passages[:k])
            found[f"passage_answer@{k}"] = (float(stands),)
    return found


def _observe_ranking(ranking: Sequence[str], gold: set[str], relevant: int) -> Observations:
    places = [place for place, article in enumerate(ranking, start=1) if article in gold]
    first = min(places, default=math.inf)
    once = [article in gold for article in dict.fromkeys(ranking)][:DEPTH]
    return {
        **{f"hit@{k}": (float(first <= k),) for k in (1, 5, 10)},
        "mrr@10": (1 / first if first <= DEPTH else 0.0,),
        "ndcg@10": (_dcg(once) / _dcg([True] * min(relevant, DEPTH)),),
    }


def _dcg(gains: Iterable[bool]) -> float:
    return sum(1 / math.log2(place + 1) for place, gain in enumerate(gains, start=1) if gain)


def _count_gold_articles(outcome: Outcome) -> int:
    """Return the number of gold articles; aliases count once, and articles missing from the article store count too."""
    missing = len(outcome.case.articles) - len(outcome.gold)
    return max(1, len(set(outcome.gold)) + max(0, missing))


def _contains_gold_answer(text: str, outcome: Outcome) -> bool:
    return any(contains_answer(text, gold) for gold in outcome.case.answers)


def _observe_answer(outcome: Outcome) -> Observations:
    case, given, found = outcome.case, _get_answer(outcome), Observations()
    if case.answerable is False:
        refused = (
            outcome.error is None and outcome.answer is not None and outcome.answer.status == "not_found"
        )
        return {
            "answer": (float(refused),),
            "short_answer": (float(refused),),
            "false_answers": (float(not refused),),
        }
    if case.long_answers:
        best = max(rouge_l(gold, given.text) for gold in case.long_answers) if given else 0.0
        found["rouge_l"] = (best,)
    if case.answerable is None:
        return found
    found["over_refusal"] = (float(given is None),)
    if case.answers:
        right = given is not None and _contains_gold_answer(given.text, outcome)
        found["answer"] = found["answer_recall"] = (float(right),)
        if given is None or given.short_answer:  # the answer of a chat model has no short answer
            exact = given is not None and any(
                contains_answer(given.short_answer, gold) for gold in case.answers
            )
            found["short_answer"] = (float(exact),)
    shown = outcome.answer.text if outcome.answer and outcome.error is None else ""
    found["words"] = (float(len(shown.split())),)
    return found


def _observe_citations(outcome: Outcome) -> Observations:
    found = {
        "quote_valid": tuple(map(float, outcome.quotes_valid)),
        "supported": tuple(map(float, outcome.supported)),
    }
    if not outcome.case.articles or outcome.case.answerable is False:
        return found
    given, gold = _get_answer(outcome), set(outcome.gold)
    cited = {citation.article_id for citation in given.citations} if given else set()
    found["cite_precision"] = tuple(float(article in gold) for article in sorted(cited))
    found["cite_recall"] = (len(gold & cited) / _count_gold_articles(outcome),)
    return found


def rouge_l(gold: str, text: str) -> float:
    """Return the F1 of the longest common subsequence of both texts' tokens, 0..1."""
    wanted, given = _TOKEN.findall(gold.lower()), _TOKEN.findall(text.lower())
    common = _lcs_length(wanted, given)
    if not common:
        return 0.0
    precision, recall = common / len(given), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def _lcs_length(one: Sequence[str], two: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for word in one:
        before = 0
        for place, other in enumerate(two, start=1):
            above = row[place]
            row[place] = before + 1 if word == other else max(above, row[place - 1])
            before = above
    return row[-1]
