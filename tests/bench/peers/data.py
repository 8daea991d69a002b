"""The same articles and questions for all contenders, as files that each of them reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from bot.articles.article import Article, canonical_url
from bot.errors import EvaluationError
from bot.evaluation.dataset import load_testset
from bot.evaluation.models import Case
from bot.ingestion.loaders import read_articles

_REHEARSED = 3  # articles


@dataclass(frozen=True)
class Data:
    """What is compared on: files in a folder of the run's own, and what is known to be right.

    `dated` are the questions with the day they are asked, `single` a file for each of the first questions,
    `few` the articles of the rehearsal. The articles that the cases name are named by their ids.
    """

    articles: Path
    few: Path
    questions: Path
    dated: Path
    single: Sequence[Path]
    testset: Path
    cases: Sequence[Case]
    count: int
    characters: int


def prepare(source: Path, testset: Path, folder: Path, *, limit: int | None, rounds: int) -> Data:
    """Write the articles, each id once, and the questions that all contenders can be asked.

    Left out are follow-ups, whose history only Citewire reads, and with `limit` the questions about articles
    beyond it. Raises EvaluationError.
    """
    found: dict[str, Article] = {}
    for item in read_articles([source]):
        if isinstance(item, Article):
            found.setdefault(item.id, item)
    articles = list(islice(found.values(), limit))
    cases = _cases(testset, articles, whole=limit is None)
    if not (articles and cases):
        raise EvaluationError(f"{source}, {testset}: no articles, or no questions about them")
    plain = [{"question": case.question} for case in cases]
    days = [{"asked": case.asked.isoformat()} if case.asked else {} for case in cases]
    return Data(
        articles=_write(folder / "articles.jsonl", map(_record, articles)),
        few=_write(folder / "few.jsonl", map(_record, articles[:_REHEARSED])),
        questions=_write(folder / "questions.jsonl", plain),
        dated=_write(folder / "dated.jsonl", (row | day for row, day in zip(plain, days, strict=True))),
        single=[_write(folder / f"single-{n}.jsonl", [row]) for n, row in enumerate(plain[:rounds])],
        testset=_write(folder / "testset.jsonl", map(_row, cases)),
        cases=cases,
        count=len(articles),
        characters=sum(len(article.text) for article in articles),
    )


def _cases(testset: Path, articles: Sequence[Article], *, whole: bool) -> list[Case]:
    ids = {canonical_url(article.url): article.id for article in articles if article.url}
    ids |= {article.id: article.id for article in articles}
    cases = []
    for case in load_testset(testset).cases:
        named = tuple(ids.get(name) or ids.get(canonical_url(name)) for name in case.articles)
        if not case.history and (whole or None not in named):
            known = (name or given for name, given in zip(named, case.articles, strict=True))
            cases.append(replace(case, articles=tuple(known)))
    return cases


def _record(article: Article) -> Mapping[str, object]:
    published = article.published.isoformat() if article.published else ""
    texts = {"title": article.title, "url": article.url or "", "source": article.source, "text": article.text}
    return {"id": article.id, "published": published, **texts}


def _row(case: Case) -> Mapping[str, object]:
    row = {"id": case.id, "question": case.question, "answerable": case.answerable}
    row |= {"answers": case.answers, "long_answer": case.long_answers, "articles": case.articles}
    row |= {"asked": case.asked.isoformat() if case.asked else None}
    return {key: value for key, value in row.items() if value not in (None, ())}


def _write(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
