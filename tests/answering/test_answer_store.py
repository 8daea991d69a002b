"""The journal keeps answers, and what each reader said of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import WordEmbedder, take_in

from bot.answering.answer import Answer
from bot.answering.answer_store import AnswerStore
from bot.articles.article import Article
from bot.errors import QuestionError
from bot.services import Services
from bot.settings import load_settings
from bot.storage.article_store import open_article_store

QUESTION = "Has Argentina won the final against France on penalties?"
ASKER, COLLEAGUE = "U0ASKER", "U0COLLEAGUE"


@pytest.fixture
def shared(tmp_path: Path, database_url: str, four: list[Article]) -> Iterator[Services]:
    """Four articles in a database of each kind."""
    settings = load_settings(data_dir=tmp_path / "shared", database_url=database_url)
    opened = Services(settings, embedder=WordEmbedder())
    take_in(opened, four)
    yield opened
    opened.close()


def answered(workspace: Services) -> Answer:
    trace = workspace.chain.invoke_with_trace(QUESTION)
    workspace.answers.save(trace)
    return trace.answer


def said(journal: AnswerStore) -> list[tuple[str, int, str, str]]:
    return [(one.person, one.citation, one.verdict, one.note) for one in journal.iter_feedback()]


def test_what_was_given_and_said_is_kept(shared: Services) -> None:
    answer = answered(shared)
    shared.answers.add_feedback(answer.id, "wrong", "It was the 2022 final 🏆\x00")
    (judgement,) = shared.answers.iter_feedback()
    assert judgement.answer == answer
    assert said(shared.answers) == [("", 0, "wrong", "It was the 2022 final 🏆")]
    assert judgement.given <= judgement.said


def test_a_person_has_one_judgement_of_an_answer_and_one_of_each_citation(shared: Services) -> None:
    judge, answer = shared.answers.add_feedback, answered(shared)
    judge(answer.id, "right", person=ASKER)
    judge(answer.id, "wrong", "out of date", person=ASKER, citation=1)
    judge(answer.id, "right", person=COLLEAGUE)
    before = {one.person: one.said for one in shared.answers.iter_feedback()}
    judge(answer.id, "wrong", "does not say that", person=ASKER, citation=1)
    judge(answer.id, "wrong", "too short", person=ASKER)
    assert said(shared.answers) == [
        (COLLEAGUE, 0, "right", ""),
        (ASKER, 1, "wrong", "does not say that"),
        (ASKER, 0, "wrong", "too short"),
    ]
    assert list(shared.answers.iter_feedback())[-1].said > before[ASKER]


def test_each_answer_is_judged_apart(shared: Services) -> None:
    first, second = answered(shared), answered(shared)
    for answer in (first, second):
        shared.answers.add_feedback(answer.id, "right", person=ASKER)
    assert [one.answer.id for one in shared.answers.iter_feedback()] == [first.id, second.id]


def test_all_that_is_said_at_the_terminal_is_kept(shared: Services) -> None:
    answer = answered(shared)
    for verdict in ("right", "wrong", "wrong"):
        shared.answers.add_feedback(answer.id, verdict)
    assert [one.verdict for one in shared.answers.iter_feedback()] == ["right", "wrong", "wrong"]


def test_two_replicas_keep_one_judgement(shared: Services, tmp_path: Path, database_url: str) -> None:
    answer = answered(shared)
    library = open_article_store(tmp_path / "shared", database_url)
    replicas = (shared.answers, AnswerStore(library))

    def click(turn: int) -> None:
        verdict = "right" if turn % 3 else "wrong"
        replicas[turn % 2].add_feedback(answer.id, verdict, str(turn), person=ASKER)

    with ThreadPoolExecutor(8) as clicks:
        list(clicks.map(click, range(40)))
    assert len(said(shared.answers)) == 1
    library.close()


def test_small_talk_is_not_kept_and_what_is_not_there_cannot_be_judged(shared: Services) -> None:
    talk = shared.chain.invoke_with_trace("hello")
    shared.answers.save(talk)
    with pytest.raises(QuestionError, match=f"no answer '{talk.answer.id}' is stored"):
        shared.answers.add_feedback(talk.answer.id, "right")
    answer = answered(shared)
    with pytest.raises(QuestionError, match="has no citation 9"):
        shared.answers.add_feedback(answer.id, "wrong", person=ASKER, citation=9)
    assert said(shared.answers) == []
