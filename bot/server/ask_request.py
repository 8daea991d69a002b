"""Request schema of `POST /ask`: a small JSON object without unknown fields."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import ClientDisconnect, Request

from bot.answering.question import MAX_QUESTION_CHARS, ConversationTurn, Question
from bot.errors import QuestionError
from bot.indexing.filters import SearchFilters
from bot.retrieval.retriever import DEFAULT_K
from bot.retrieval.time_filter import parse_window
from bot.server.errors import HttpError
from bot.server.middleware import ClientDisconnectedError

MAX_BODY_BYTES = 64_000
_BODY_TIMEOUT = 10.0  # seconds for a body to arrive
_NOT_AN_OBJECT = 'that is not one JSON object, such as {"question": "…"}'

_HistoryText = Annotated[str, StringConstraints(max_length=MAX_QUESTION_CHARS)]
_Date = Annotated[str, StringConstraints(max_length=40)]
_Labels = Annotated[tuple[Annotated[str, StringConstraints(max_length=300)], ...], Field(max_length=50)]


class AskRequest(BaseModel):
    """JSON body of a request; types are strict: a number is not accepted as text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    question: str
    since: _Date = ""
    until: _Date = ""
    sources: _Labels = ()
    tags: _Labels = ()
    k: Annotated[int, Field(ge=1, le=100)] = DEFAULT_K
    history: Annotated[tuple[_HistoryText, ...], Field(max_length=20)] = ()

    def to_question(self, answer_id: str) -> Question:
        """Return the question for the answer chain.

        Raises:
            HttpError: if a date is invalid.
        """
        try:
            window = parse_window(self.since, self.until)
        except QuestionError as exc:
            raise HttpError(422, "input", str(exc)) from None
        history = tuple(ConversationTurn(text) for text in self.history)
        filters = SearchFilters(window, self.sources, self.tags)
        return Question(self.question, history, filters, self.k, answer_id=answer_id)


async def parse_ask_request(request: Request) -> AskRequest:
    """Read and validate the body of a request.

    Raises:
        HttpError: if the body is not a valid question.
        ClientDisconnectedError: if the client disconnects before the body is complete.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HttpError(415, "input", "send the question as application/json")
    content = _require_object(await read_body(request, MAX_BODY_BYTES))
    try:
        return AskRequest.model_validate_json(content)
    except ValidationError as exc:
        raise HttpError(422, "input", _describe_error(exc)) from None


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body of a request.

    Args:
        limit: maximum size in bytes.

    Raises:
        HttpError: if the body is larger than `limit` or does not arrive in time.
        ClientDisconnectedError: if the client disconnects before the body is complete.
    """
    content_length = request.headers.get("content-length", "")
    if content_length.isdecimal() and int(content_length) > limit:
        raise HttpError(413, "input", f"that is more than {limit:,} bytes")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise HttpError(413, "input", f"that is more than {limit:,} bytes")
    except TimeoutError:
        raise HttpError(408, "input", f"the body did not arrive within {_BODY_TIMEOUT:.0f} seconds") from None
    except ClientDisconnect:
        raise ClientDisconnectedError from None
    return bytes(body)


def _require_object(body: bytes) -> bytes:
    """Return the body unchanged if it is one JSON object.

    Raises:
        HttpError: if it is not.
    """
    try:
        text = body.decode("utf-8")
        if not isinstance(
            json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_reject_duplicate_keys), dict
        ):
            raise ValueError
    except (ValueError, RecursionError):
        raise HttpError(400, "input", _NOT_AN_OBJECT) from None
    return body


def _reject_constant(_: str) -> None:
    raise ValueError


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object if its keys are unique: parsers disagree about which of two duplicates counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError
    return fields


def _describe_error(exc: ValidationError) -> str:
    """Describe the first invalid field.

    The name of an unknown field is text of the client, so it is truncated and quoted.

    Raises:
        HttpError: if the JSON itself is invalid.
    """
    error = exc.errors(include_url=False, include_input=False)[0]
    if error["type"] == "json_invalid":  # such as half of a surrogate pair
        raise HttpError(400, "input", _NOT_AN_OBJECT)
    if error["type"] == "extra_forbidden":
        known_fields = ", ".join(AskRequest.model_fields)
        return f"{str(error['loc'][0])[:40]!r} is not a field; known are {known_fields}"
    field = ".".join(str(part) for part in error["loc"])
    return f"{field}: {error['msg'][:1].lower()}{error['msg'][1:]}"
