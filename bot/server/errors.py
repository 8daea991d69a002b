"""What is said where something is not done: one sentence, as JSON or for a browser as a page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.errors import CitewireError, QuestionError, VectorStoreUnavailableError
from bot.observability.tracing import describe_exception, get_context

logger = logging.getLogger(__name__)

Reason = Literal["busy", "rate", "stopping", "time", "token", "input", "away", "failed", "method", "path"]

_SOON, _AGAIN = (
    5,
    10,
)  # seconds after which it may be otherwise; and until Chroma or the library may be there again


class HttpError(Exception):
    """A request is not done; the sentence says why and what to do."""

    def __init__(
        self, status: int, reason: Reason, sentence: str, *, retry_after: int | None = None, **headers: str
    ) -> None:
        """`headers` are named with _ for -. A 503 always says when to come again."""
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.message = sentence
        self.retry_after = retry_after or (_SOON if status == 503 else None)
        self._headers = headers

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that go with it."""
        named = {name.replace("_", "-"): value for name, value in self._headers.items()}
        return named | ({"Retry-After": str(self.retry_after)} if self.retry_after else {})

    def fields(self) -> dict[str, object]:
        """Return it for JSON."""
        after = {"retry_after": self.retry_after} if self.retry_after else {}
        return {"error": self.message, **after}


def error_response(refusal: HttpError, request: Request) -> Response:
    """Return the response to a request that is refused; a browser that asked for a page gets one."""
    if request.url.path.startswith("/articles/") and prefers_html(request):
        from bot.server.pages import notice_page

        return notice_page(refusal.message, status=refusal.status, headers=refusal.headers)
    return JSONResponse(refusal.fields(), status_code=refusal.status, headers=dict(refusal.headers))


def prefers_html(request: Request) -> bool:
    """Say whether a page is wanted rather than JSON: by browsers, and by whoever does not say."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted or "application/json" not in accepted


def to_http_error(exc: BaseException) -> HttpError:
    """Return what is said of an error: of ours what it means, of any other that there was one; the log is told more."""
    if isinstance(exc, HttpError):
        return exc
    if isinstance(exc, HTTPException):
        return _unrouted(exc)
    if isinstance(exc, QuestionError):
        return HttpError(422, "input", str(exc))
    return _interrupted(exc) or _failed(exc)


def _interrupted(exc: BaseException) -> HttpError | None:
    if isinstance(exc, asyncio.CancelledError):
        return HttpError(503, "stopping", "the service is stopping; ask again in a moment")
    if isinstance(exc, TimeoutError):
        return HttpError(503, "time", "that took too long; try again later")
    return None


def _failed(exc: BaseException) -> HttpError:
    logger.error("not done: %s", describe_exception(exc))
    if isinstance(exc, VectorStoreUnavailableError):
        sentence = "the articles cannot be searched now: Chroma does not answer; ask again in a moment"
        return HttpError(503, "away", sentence, retry_after=_AGAIN)
    if isinstance(exc, CitewireError):
        sentence = "the service cannot do that now, and its log says why; ask again in a moment"
        return HttpError(503, "away", sentence, retry_after=_AGAIN)
    number = get_context().get("request_id", "")
    return HttpError(500, "failed", f"something went wrong; the log says where, at request {number}")


def _unrouted(exc: HTTPException) -> HttpError:
    if exc.status_code == 404:
        return HttpError(404, "path", "there is no such address here")
    allowed = (exc.headers or {}).get("Allow", "")
    return HttpError(exc.status_code, "method", f"this address takes {allowed} alone", Allow=allowed)
