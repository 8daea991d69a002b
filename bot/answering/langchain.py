"""The chain: a question and its history in, an Answer out, as a LangChain Runnable."""

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
    """From a question (a string, a mapping with "question" and "history", or a Question) to an Answer.

    `invoke`, `ainvoke`, `batch` and `abatch` return the Answer; `stream` and `astream` yield its sentences, each
    verified and as soon as it is, and then the Answer. Each step is a Runnable of its own, so that callbacks and
    tracers see them all.
    """

    def __init__(self, steps: AnswerPipeline) -> None:
        self._plain = steps

        def answers(turns: Iterator[PipelineState]) -> Iterator[Notice | Sentence | AnswerTrace]:
            for turn in turns:
                yield from steps.answer(turn)

        # Its own types know functions from iterators to iterators of the same type only.
        untyped: Any = answers
        self._steps: Runnable[Any, Any] = (
            RunnableLambda(steps.understand, name="understand")
            | RunnableLambda(steps.retrieve, name="retrieve")
            | RunnableGenerator(untyped, name="answer")
        )

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Answer:  # noqa: A002
        """Answer one question. Raises QuestionError for an empty or overlong one."""
        return self.invoke_with_trace(input, config).answer

    def invoke_with_trace(self, asked: Any, config: RunnableConfig | None = None) -> AnswerTrace:
        """Answer one question and return all that the answer came from. Raises QuestionError."""
        *_, last = self.stream_with_trace(asked, config)
        assert isinstance(last, AnswerTrace)
        return last

    def stream_with_trace(
        self, asked: Any, config: RunnableConfig | None = None
    ) -> Iterator[Notice | Sentence | AnswerTrace]:
        """Yield each sentence of the answer as it is ready, then the Trace. Raises QuestionError.

        A notice that has to stand before the sentences comes before them.
        """
        yield from self._steps.stream(asked, {"run_name": "citewire", **(config or {})})

    def stream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Generator[Any]:  # noqa: A002
        """Yield each sentence of the answer as it is ready, then the Answer itself."""
        for part in self.stream_with_trace(input, config):
            if not isinstance(part, Notice):
                yield part.answer if isinstance(part, AnswerTrace) else part

    async def astream(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> AsyncIterator[Any]:  # noqa: A002
        """Yield each sentence of the answer as it is ready, then the Answer itself."""
        parts = self.stream(input, config)
        try:
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part
        finally:
            with contextlib.suppress(ValueError):  # cancelled while a thread is at work: it ends by itself
                parts.close()

    def find(self, asked: Any) -> ExtractiveResult:
        """Return what was found to answer this and how much speaks for it. Raises QuestionError."""
        return self._plain.find(asked)

    def search(self, asked: Any) -> tuple[Hit, ...]:
        """Return the passages that would be read to answer this, best first. Raises QuestionError."""
        return self._plain.search(asked)
