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

_EVENTS = "text/event-stream"
_T = TypeVar("_T")
_Parts = AsyncGenerator[tuple[Sequence[Notice | Sentence], AnswerTrace | None]]


class AskEndpoint:
    """Answers questions that are sent."""

    def __init__(
        self,
        workspace: Services,
        access: Authenticator,
        places: ConcurrencyLimiter,
        rate: RateLimiter,
        witness: AnswerObserver,
        patience: Timeouts,
    ) -> None:
        self._workspace = workspace
        self._access = access
        self._places = places
        self._rate = rate
        self._witness = witness
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        request = Request(scope, receive)
        who = self._access.authenticate(request)
        if self._access.needs_token:
            bind_context(who=who)
        self._rate.check(who)
        answer_id = new_answer_id()
        bind_context(answer_id=answer_id)
        wanted = await parse_ask_request(request)
        question = _checked(wanted.as_question(answer_id))
        if _EVENTS in request.headers.get("accept", ""):
            await cancel_on_disconnect(receive, self._streamed(question, send))
            return
        trace = await cancel_on_disconnect(receive, self._whole(question))
        content = trace.answer.model_dump_json()
        await Response(content, media_type="application/json")(scope, receive, send)

    async def _whole(self, question: Question) -> AnswerTrace:
        async with self._places.acquire() as place:
            last = [trace async for _, trace in self._answered(question, place)][-1]
        assert last
        return last

    async def _streamed(self, question: Question, send: Send) -> None:
        """Send each sentence once it is verified, and at last the answer, which is stored by then."""
        stream = _EventStream(send)
        try:
            async with self._places.acquire() as place:
                await self._send_all(stream, self._answered(question, place))
        except Exception as exc:
            if not stream.begun:  # it has a status of its own
                raise
            await stream.send("error", json.dumps(to_http_error(exc).fields(), ensure_ascii=False))
        await stream.end()

    async def _send_all(self, stream: _EventStream, answered: _Parts) -> None:
        async with contextlib.aclosing(answered):
            coming = asyncio.ensure_future(anext(answered, None))
            try:
                await asyncio.wait({coming}, timeout=self._patience.first_event)
                while True:
                    if not coming.done():
                        await stream.comment()
                        await asyncio.wait({coming}, timeout=self._patience.keep_alive)
                        continue
                    if (found := coming.result()) is None:
                        return
                    for part in found[0]:
                        await stream.send(*_event(part))
                    if found[1]:
                        await stream.send("answer", found[1].answer.model_dump_json())
                    coming = asyncio.ensure_future(anext(answered, None))
                    await asyncio.wait({coming}, timeout=self._patience.keep_alive)
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    async def _answered(self, question: Question, place: Slot) -> _Parts:
        """Yield the parts of an answer as they are ready, and with the last the Trace, once it is stored."""
        begun = time.perf_counter()
        self._witness.on_question("http")
        chain = self._workspace.chain
        place.on_thread_start()
        parts_of = stream_in_thread(lambda: chain.stream_with_trace(question), ended=place.on_thread_end)
        try:
            async with contextlib.aclosing(parts_of):
                async for parts in parts_of:
                    trace = parts[-1] if isinstance(parts[-1], AnswerTrace) else None
                    if trace:
                        await asyncio.to_thread(self._workspace.answers.save, trace)
                        self._witness.on_answer(trace.answer, via="http", seconds=time.perf_counter() - begun)
                    yield [part for part in parts if not isinstance(part, AnswerTrace)], trace
        except Exception:
            self._witness.on_failure("http")
            raise


class _EventStream:
    """A response of server-sent events, begun with the first."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def send(self, event: str, data: str) -> None:
        """Send an event; `data` is one line of JSON."""
        await self._write(f"event: {event}\ndata: {data}\n\n")

    async def comment(self) -> None:
        """Send what keeps the connection open and is no event."""
        await self._write(": keep-alive\n\n")

    async def end(self) -> None:
        """Send that there is no more."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, text: str) -> None:
        if not self.begun:
            self.begun = True
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _event(part: Notice | Sentence) -> tuple[str, str]:
    if isinstance(part, Sentence):
        return "sentence", part.model_dump_json()
    return "notice", json.dumps({"text": str(part)}, ensure_ascii=False)


def _checked(question: Question) -> Question:
    """Refuse what is no question before it takes a place."""
    try:
        return parse_question(question)
    except QuestionError as exc:
        raise HttpError(422, "input", str(exc)) from None


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, _T]) -> _T:
    """Do the work, and stop where its asker hangs up. Raises ClientDisconnectedError then."""
    working, gone = asyncio.create_task(work), asyncio.create_task(_wait_for_disconnect(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnectedError
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)
