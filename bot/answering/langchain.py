"""The answer pipeline as a LangChain Runnable."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda

from bot.answering.answer import Answer, Sentence
from bot.answering.extractive import ExtractiveResult
from bot.answering.pipeline import AnswerPipeline
from bot.answering.question import AnswerTrace, Notice, PipelineState
from bot.retrieval.models import Hit


class AnswerChain(Runnable[Any, Answer]):
    """LangChain Runnable from a question to an Answer.

    The input is a string, a mapping with "question" and "history", or a Question. `invoke`, `ainvoke`, `batch` and
    `abatch` return the Answer; `stream` and `astream` yield each sentence as soon as it is verified, and then the
    Answer. Each step is a separate Runnable, so that callbacks and tracers see all of them.
    """

    def __init__(self, pipeline: AnswerPipeline) -> None:
        self._pipeline = pipeline

        def stream_answers(states: Iterator[PipelineState]) -> Iterator[Notice | Sentence | AnswerTrace]:
            for state in states:
                yield from pipeline.answer(state)

        # RunnableGenerator is typed for functions between iterators of the same type only.
        untyped: Any = stream_answers
        self._runnable: Runnable[Any, Any] = (
            RunnableLambda(pipeline.understand, name="understand")
            | RunnableLambda(pipeline.retrieve, name="retrieve")
            | RunnableGenerator(untyped, name="answer")
        )

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Answer:  # noqa: A002
        """Answer a question.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        return self.invoke_with_trace(input, config).answer

    def invoke_with_trace(self, question: Any, config: RunnableConfig | None = None) -> AnswerTrace:
        """Answer a question and return the answer with its trace.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        *_, last = self.stream_with_trace(question, config)
        assert isinstance(last, AnswerTrace)
        return last

    def stream_with_trace(
        self, question: Any, config: RunnableConfig | None = None
    ) -> Iterator[Notice | Sentence | AnswerTrace]:
        """Yield a notice, if there is one, each sentence as soon as it is ready, and then the trace.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        yield from self._runnable.stream(question, {"run_name": "citewire", **(config or {})})

    def stream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Generator[Any]:  # noqa: A002
        """Yield each sentence as soon as it is ready, and then the Answer."""
        for part in self.stream_with_trace(input, config):
            if not isinstance(part, Notice):
                yield part.answer if isinstance(part, AnswerTrace) else part

    async def astream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> AsyncIterator[Any]:  # noqa: A002
        """Yield each sentence as soon as it is ready, and then the Answer."""
        parts = self.stream(input, config)
        try:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part
        finally:
            with contextlib.suppress(ValueError):  # canceled while the thread is running: it ends on its own
                parts.close()

    def find(self, question: Any) -> ExtractiveResult:
        """Return the quotes that answer a question, with their confidence.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        return self._pipeline.find(question)

    def search(self, question: Any) -> tuple[Hit, ...]:
        """Return the passages that are retrieved for a question, best first.

        Raises:
            QuestionError: if the question is empty or too long.
        """
        return self._pipeline.search(question)
