"""`POST /ask`: an answer as one JSON object, or sentence by sentence as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bot.answering.answer import Sentence, new_answer_id
from bot.answering.observer import AnswerObserver
from bot.answering.question import AnswerTrace, Notice, Question, parse_question
from bot.answering.streaming import stream_in_thread
from bot.errors import QuestionError
from bot.observability.tracing import bind_context
from bot.server.ask_request import parse_ask_request
from bot.server.auth import Authenticator
from bot.server.concurrency import ConcurrencyLimiter, Slot
from bot.server.errors import HttpError, to_http_error
from bot.server.middleware import ClientDisconnectedError
from bot.server.rate_limit import RateLimiter
from bot.server.timeouts import Timeouts

if TYPE_CHECKING:
    from bot.services import Services

_EVENT_STREAM = "text/event-stream"
_T = TypeVar("_T")
_PartStream = AsyncGenerator[tuple[Sequence[Notice | Sentence], AnswerTrace | None]]


class AskEndpoint:
    """ASGI endpoint of `POST /ask`."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        limiter: ConcurrencyLimiter,
        rate_limiter: RateLimiter,
        observer: AnswerObserver,
        timeouts: Timeouts,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._limiter = limiter
        self._rate_limiter = rate_limiter
        self._observer = observer
        self._timeouts = timeouts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        client = self._authenticator.authenticate(request)
        if self._authenticator.needs_token:
            bind_context(who=client)
        self._rate_limiter.check(client)
        answer_id = new_answer_id()
        bind_context(answer_id=answer_id)
        ask_request = await parse_ask_request(request)
        question = _validate(ask_request.to_question(answer_id))
        if _EVENT_STREAM in request.headers.get("accept", ""):
            await cancel_on_disconnect(receive, self._stream(question, send))
            return
        trace = await cancel_on_disconnect(receive, self._answer(question))
        content = trace.answer.model_dump_json()
        await Response(content, media_type="application/json")(scope, receive, send)

    async def _answer(self, question: Question) -> AnswerTrace:
        async with self._limiter.acquire() as slot:
            last = [trace async for _, trace in self._stream_parts(question, slot)][-1]
        assert last
        return last

    async def _stream(self, question: Question, send: Send) -> None:
        """Send each sentence once it is verified, then the whole answer after it is stored."""
        stream = _EventStream(send)
        try:
            async with self._limiter.acquire() as slot:
                await self._send_all(stream, self._stream_parts(question, slot))
        except Exception as exc:
            if not stream.started:  # the error still gets its own status code
                raise
            await stream.send("error", json.dumps(to_http_error(exc).fields(), ensure_ascii=False))
        await stream.end()

    async def _send_all(self, stream: _EventStream, parts_of_answer: _PartStream) -> None:
        async with contextlib.aclosing(parts_of_answer):
            next_parts = asyncio.ensure_future(anext(parts_of_answer, None))
            try:
                await asyncio.wait({next_parts}, timeout=self._timeouts.first_event)
                while True:
                    if not next_parts.done():
                        await stream.comment()
                        await asyncio.wait({next_parts}, timeout=self._timeouts.keep_alive)
                        continue
                    if (found := next_parts.result()) is None:
                        return
                    for part in found[0]:
                        await stream.send(*_event(part))
                    if found[1]:
                        await stream.send("answer", found[1].answer.model_dump_json())
                    next_parts = asyncio.ensure_future(anext(parts_of_answer, None))
                    await asyncio.wait({next_parts}, timeout=self._timeouts.keep_alive)
            finally:
                next_parts.cancel()
                await asyncio.gather(next_parts, return_exceptions=True)

    async def _stream_parts(self, question: Question, slot: Slot) -> _PartStream:
        """Yield the parts of an answer as they are ready, the last ones with the trace after it is stored."""
        started = time.perf_counter()
        self._observer.on_question("http")
        chain = self._services.chain
        slot.on_thread_start()
        stream = stream_in_thread(lambda: chain.stream_with_trace(question), on_end=slot.on_thread_end)
        try:
            async with contextlib.aclosing(stream):
                async for parts in stream:
                    trace = parts[-1] if isinstance(parts[-1], AnswerTrace) else None
                    if trace:
                        await asyncio.to_thread(self._services.answers.save, trace)
                        self._observer.on_answer(
                            trace.answer, via="http", seconds=time.perf_counter() - started
                        )
                    yield [part for part in parts if not isinstance(part, AnswerTrace)], trace
        except Exception:
            self._observer.on_failure("http")
            raise


class _EventStream:
    """Response of server-sent events, started by the first event."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, event: str, data: str) -> None:
        """Send an event.

        Args:
            data: one line of JSON.
        """
        await self._write(f"event: {event}\ndata: {data}\n\n")

    async def comment(self) -> None:
        """Send a comment, which keeps the connection open and is not an event."""
        await self._write(": keep-alive\n\n")

    async def end(self) -> None:
        """End the response."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, text: str) -> None:
        if not self.started:
            self.started = True
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _event(part: Notice | Sentence) -> tuple[str, str]:
    if isinstance(part, Sentence):
        return "sentence", part.model_dump_json()
    return "notice", json.dumps({"text": str(part)}, ensure_ascii=False)


def _validate(question: Question) -> Question:
    """Validate a question before it takes a slot.

    Raises:
        HttpError: if the question is invalid.
    """
    try:
        return parse_question(question)
    except QuestionError as exc:
        raise HttpError(422, "input", str(exc)) from None


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """Await the work, and cancel it if the client disconnects.

    Raises:
        ClientDisconnectedError: if the client disconnected first.
    """
    working, disconnect = asyncio.create_task(work), asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({working, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnectedError
        return working.result()
    finally:
        for task in (working, disconnect):
            task.cancel()
        await asyncio.gather(working, disconnect, return_exceptions=True)
