"""The journal keeps answers, and what each reader said of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import WordEmbedder, take_in

from bot.answering.answer import Answer
from bot.answering.answer_store import Journal
from bot.articles.article import Article
from bot.errors import QuestionError
from bot.services import Workspace
from bot.settings import load_settings
from bot.storage.article_store import open_library

QUESTION = "Has Argentina won the final against France on penalties?"
ASKER, COLLEAGUE = "U0ASKER", "U0COLLEAGUE"


@pytest.fixture
def shared(tmp_path: Path, database_url: str, four: list[Article]) -> Iterator[Workspace]:
    """Four articles in a database of each kind."""
    settings = load_settings(data_dir=tmp_path / "shared", database_url=database_url)
    opened = Workspace(settings, embedder=WordEmbedder())
    take_in(opened, four)
    yield opened
    opened.close()


def answered(workspace: Workspace) -> Answer:
    trace = workspace.chain.trace(QUESTION)
    workspace.journal.remember(trace)
    return trace.answer


def said(journal: Journal) -> list[tuple[str, int, str, str]]:
    return [(one.person, one.citation, one.verdict, one.note) for one in journal.judgements()]


def test_what_was_given_and_said_is_kept(shared: Workspace) -> None:
    answer = answered(shared)
    shared.journal.judge(answer.id, "wrong", "It was the 2022 final 🏆\x00")
    (judgement,) = shared.journal.judgements()
    assert judgement.answer == answer
    assert said(shared.journal) == [("", 0, "wrong", "It was the 2022 final 🏆")]
    assert judgement.given <= judgement.said


def test_a_person_has_one_judgement_of_an_answer_and_one_of_each_citation(shared: Workspace) -> None:
    judge, answer = shared.journal.judge, answered(shared)
    judge(answer.id, "right", person=ASKER)
    judge(answer.id, "wrong", "out of date", person=ASKER, citation=1)
    judge(answer.id, "right", person=COLLEAGUE)
    before = {one.person: one.said for one in shared.journal.judgements()}
    judge(answer.id, "wrong", "does not say that", person=ASKER, citation=1)
    judge(answer.id, "wrong", "too short", person=ASKER)
    assert said(shared.journal) == [
        (COLLEAGUE, 0, "right", ""),
        (ASKER, 1, "wrong", "does not say that"),
        (ASKER, 0, "wrong", "too short"),
    ]
    assert list(shared.journal.judgements())[-1].said > before[ASKER]


def test_each_answer_is_judged_apart(shared: Workspace) -> None:
    first, second = answered(shared), answered(shared)
    for answer in (first, second):
        shared.journal.judge(answer.id, "right", person=ASKER)
    assert [one.answer.id for one in shared.journal.judgements()] == [first.id, second.id]


def test_all_that_is_said_at_the_terminal_is_kept(shared: Workspace) -> None:
    answer = answered(shared)
    for verdict in ("right", "wrong", "wrong"):
        shared.journal.judge(answer.id, verdict)
    assert [one.verdict for one in shared.journal.judgements()] == ["right", "wrong", "wrong"]


def test_two_replicas_keep_one_judgement(shared: Workspace, tmp_path: Path, database_url: str) -> None:
    answer = answered(shared)
    library = open_library(tmp_path / "shared", database_url)
    replicas = (shared.journal, Journal(library))

    def click(turn: int) -> None:
        verdict = "right" if turn % 3 else "wrong"
        replicas[turn % 2].judge(answer.id, verdict, str(turn), person=ASKER)

    with ThreadPoolExecutor(8) as clicks:
        list(clicks.map(click, range(40)))
    assert len(said(shared.journal)) == 1
    library.close()


def test_small_talk_is_not_kept_and_what_is_not_there_cannot_be_judged(shared: Workspace) -> None:
    talk = shared.chain.trace("hello")
    shared.journal.remember(talk)
    with pytest.raises(QuestionError, match=f"no answer '{talk.answer.id}' is stored"):
        shared.journal.judge(talk.answer.id, "right")
    answer = answered(shared)
    with pytest.raises(QuestionError, match="has no citation 9"):
        shared.journal.judge(answer.id, "wrong", person=ASKER, citation=9)
    assert said(shared.journal) == []
