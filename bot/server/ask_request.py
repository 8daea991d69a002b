"""What is sent to `/ask`: a small JSON object of known fields, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import ClientDisconnect, Request

from bot.answering.question import MAX_QUESTION, ConversationTurn, Question
from bot.errors import QuestionError
from bot.indexing.filters import SearchFilters
from bot.retrieval.retriever import DEFAULT_K
from bot.retrieval.time_filter import parse_window
from bot.server.errors import HttpError
from bot.server.middleware import ClientDisconnectedError

MOST_BYTES = 64_000
_PATIENCE = 10.0  # seconds for a body to arrive
_NO_OBJECT = 'that is not one JSON object, such as {"question": "…"}'

_Line = Annotated[str, StringConstraints(max_length=MAX_QUESTION)]
_Day = Annotated[str, StringConstraints(max_length=40)]
_Names = Annotated[tuple[Annotated[str, StringConstraints(max_length=300)], ...], Field(max_length=50)]


class AskRequest(BaseModel):
    """A question as it is sent, in JSON's own types: no number is taken for a text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    question: str
    since: _Day = ""
    until: _Day = ""
    sources: _Names = ()
    tags: _Names = ()
    k: Annotated[int, Field(ge=1, le=100)] = DEFAULT_K
    history: Annotated[tuple[_Line, ...], Field(max_length=20)] = ()

    def as_question(self, answer_id: str) -> Question:
        """Return it for the chain. Raises HttpError for dates that are none."""
        try:
            window = parse_window(self.since, self.until)
        except QuestionError as exc:
            raise HttpError(422, "input", str(exc)) from None
        history = tuple(ConversationTurn(asked) for asked in self.history)
        filters = SearchFilters(window, self.sources, self.tags)
        return Question(self.question, history, filters, self.k, answer_id=answer_id)


async def parse_ask_request(request: Request) -> AskRequest:
    """Read a request's body. Raises HttpError, and ClientDisconnectedError where its sender hangs up."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HttpError(415, "input", "send the question as application/json")
    fields = _object(await read_body(request, MOST_BYTES))
    try:
        return AskRequest.model_validate_json(fields)
    except ValidationError as exc:
        raise HttpError(422, "input", _sentence(exc)) from None


async def read_body(request: Request, most: int) -> bytes:
    """Return a body of at most so many bytes. Raises HttpError, and ClientDisconnectedError where its sender hangs up."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise HttpError(413, "input", f"that is more than {most:,} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise HttpError(413, "input", f"that is more than {most:,} bytes")
    except TimeoutError:
        raise HttpError(408, "input", f"the body did not arrive within {_PATIENCE:.0f} seconds") from None
    except ClientDisconnect:
        raise ClientDisconnectedError from None
    return bytes(body)


def _object(body: bytes) -> bytes:
    """Return the body if it is one JSON object. Raises HttpError."""
    try:
        text = body.decode("utf-8")
        if not isinstance(json.loads(text, parse_constant=_no_number, object_pairs_hook=_once), dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise HttpError(400, "input", _NO_OBJECT) from None
    return body


def _no_number(_: str) -> None:
    raise ValueError


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys each stand there once: of two, readers take different ones."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _sentence(exc: ValidationError) -> str:
    """Say what is wrong with the first field that is; an unknown one's name is the sender's own words."""
    error = exc.errors(include_url=False, include_input=False)[0]
    if error["type"] == "json_invalid":  # such as half of a character
        raise HttpError(400, "input", _NO_OBJECT)
    if error["type"] == "extra_forbidden":
        known = ", ".join(AskRequest.model_fields)
        return f"{str(error['loc'][0])[:40]!r} is not a field; known are {known}"
    field = ".".join(str(part) for part in error["loc"])
    return f"{field}: {error['msg'][:1].lower()}{error['msg'][1:]}"
