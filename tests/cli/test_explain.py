"""`citewire explain`: an answer's way can be followed, and asked again from what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import WordEmbedder, take_in
from openai_server import OpenAIServer

from bot.answering.answer import Answer, Citation
from bot.answering.citation_status import AffectedAnswer
from bot.answering.question import Question
from bot.articles.article import Article
from bot.cli.explain import format_explanation
from bot.indexing.filters import SearchFilters
from bot.retrieval.time_filter import parse_window
from bot.services import Services
from bot.settings import load_settings

QUESTION = "Has Argentina won the final against France on penalties?"


@pytest.fixture
def ready(workspace: Services, four: list[Article]) -> Services:
    take_in(workspace, four)
    return workspace


def explained(workspace: Services, question: Question | str) -> str:
    trace = workspace.chain.invoke_with_trace(question)
    workspace.answers.save(trace)
    found = workspace.answers.load(trace.answer.id)
    assert found is not None
    assert found[0] == trace.answer
    affected = workspace.citation_audit.for_answer(trace.answer.id)
    assert affected is not None
    return format_explanation(affected, found[1])


def test_an_answer_is_explained_from_question_to_passages(ready: Services) -> None:
    filters = SearchFilters(parse_window("2022", "2022"), sources=("Daily",), tags=())
    text = explained(
        ready, Question("And who scored twice in the match?", history=(QUESTION,), filters=filters)
    )
    for words in ("question      And who", f"stands alone  {QUESTION} And who", f"asked before  {QUESTION}", "window        2022",
                  "sources       Daily", "status        answered, confidence 0.", "answerer      extractive", "timings       understand",
                  "verbatim      Argentina won", "  [1] Final won on penalties · 18 December 2022 · cup version 1, 0–52", "vectors 0.", "(rank 1)"):  # fmt: skip
        assert words in text
    assert "\x1b" not in text


def test_a_model_s_part_is_explained(tmp_path: Path, four: list[Article]) -> None:
    with OpenAIServer("Argentina won the final against France on penalties [1]. It cost $9 [1].") as server:
        settings = load_settings(
            data_dir=tmp_path / "data", chat_model="openai:test", chat_base_url=server.url, chat_price_in=1.0
        )
        workspace = Services(settings, embedder=WordEmbedder())
        take_in(workspace, four)
        text = explained(workspace, QUESTION)
        workspace.close()
    for words in (
        "answerer      openai:test",
        "prompt        sha256 ",
        "tokens        ",
        ", $0.",
        "dropped       It cost $9. [1]: the number",
    ):
        assert words in text


def test_the_record_is_enough_to_ask_the_same_again(ready: Services) -> None:
    question = Question(QUESTION, history=("Who failed?",), filters=SearchFilters(sources=("Daily",)), k=3)
    trace = ready.chain.invoke_with_trace(question)
    ready.answers.save(trace)
    found = ready.answers.load(trace.answer.id)
    assert found is not None
    answer, record = found
    again = Question(
        answer.question,
        history=tuple(exchange["question"] for exchange in record["history"]),
        filters=SearchFilters(sources=tuple(record["sources"])),
        k=record["k"],
        asked=datetime.fromisoformat(record["asked"]),
    )
    repeated = ready.chain.invoke_with_trace(again)
    assert repeated.answer.model_dump(exclude={"id", "timings"}) == answer.model_dump(
        exclude={"id", "timings"}
    )
    assert [hit["passage_id"] for hit in record["hits"]] == [hit.passage.id for hit in repeated.hits]


def test_a_citation_of_print_is_explained_with_its_page(workspace: Services, four: list[Article]) -> None:
    take_in(workspace, [replace(article, pages=(0, 90)) for article in four])
    assert " · cup p. 2, version 1, 0–52" in explained(workspace, QUESTION)


def test_an_unknown_answer_is_none(ready: Services) -> None:
    assert ready.answers.load("nonsense' OR 1=1 --") is None


QUOTE = "Argentina won the final\nagainst France [1] \x1b[31mon penalties."


def handmade(**fields: Any) -> str:
    cited = Citation(
        n=1, passage_id="p", article_id="cup", version=2, start=100, end=100 + len(QUOTE), quote=QUOTE, title="Final won", source="Daily",
        published=datetime(2022, 12, 18, tzinfo=UTC), url="https://daily.example/cup", link="https://daily.example/cup#:~:text=A",
        answer_start=118, answer_end=131, page=3,
    )  # fmt: skip
    answer = Answer(
        question=QUESTION, standalone_question=QUESTION, answerer="extractive", **{name: value(cited) for name, value in fields.items()}
    )  # fmt: skip
    return format_explanation(AffectedAnswer(answer, datetime.now(UTC), {}), {})


def test_the_words_that_answer_are_explained_below_their_citation() -> None:
    text = handmade(status=lambda _: "answered", citations=lambda cited: (cited,))
    lines = text.splitlines()
    place = lines.index("  [1] Final won · 18 December 2022 · cup p. 3, version 2, 100–161")
    assert lines[place + 1] == "      words that answer: “final against”, 118–131"


def test_the_closest_passage_is_explained_without_a_number() -> None:
    text = handmade(status=lambda _: "not_found", closest=lambda cited: (cited,))
    assert text.splitlines()[-4:] == [
        "not sure      I am not sure the articles answer this. The closest passage:",
        "      “Argentina won the final against France [1] [31mon penalties.”",
        "      Daily · Final won · 18 December 2022 · cup p. 3, version 2, 100–161 · https://daily.example/cup#:~:text=A",
        "      words that answer: “final against”, 118–131",
    ]
    assert "  [1] " not in text.replace("France [1]", "")
