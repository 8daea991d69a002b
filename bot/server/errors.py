"""HTTP errors and their conversion from exceptions, rendered as JSON or, for browsers, as HTML."""

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

_RETRY_SECONDS = 5  # default Retry-After of a 503
_UNAVAILABLE_RETRY_SECONDS = 10  # while Chroma or the article store is unavailable


class HttpError(Exception):
    """Error response, with a message that says why the request failed and what to do."""

    def __init__(
        self, status: int, reason: Reason, message: str, *, retry_after: int | None = None, **headers: str
    ) -> None:
        """Create an error response.

        Args:
            retry_after: seconds until the client may retry; a 503 always has a default.
            headers: additional headers, with `_` for `-` in their names.
        """
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after or (_RETRY_SECONDS if status == 503 else None)
        self._headers = headers

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of the response."""
        named = {name.replace("_", "-"): value for name, value in self._headers.items()}
        return named | ({"Retry-After": str(self.retry_after)} if self.retry_after else {})

    def fields(self) -> dict[str, object]:
        """Return the JSON body of the response."""
        after = {"retry_after": self.retry_after} if self.retry_after else {}
        return {"error": self.message, **after}


def error_response(error: HttpError, request: Request) -> Response:
    """Return the response for an error: HTML if a browser requested a page, otherwise JSON."""
    if request.url.path.startswith("/articles/") and prefers_html(request):
        from bot.server.pages import notice_page

        return notice_page(error.message, status=error.status, headers=error.headers)
    return JSONResponse(error.fields(), status_code=error.status, headers=dict(error.headers))


def prefers_html(request: Request) -> bool:
    """Return True if the client prefers HTML to JSON: browsers, and clients without a preference."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted or "application/json" not in accepted


def to_http_error(exc: BaseException) -> HttpError:
    """Convert an exception to an error response.

    Errors of Citewire are described in general terms, unexpected ones only reported as such; the log has the details.
    """
    if isinstance(exc, HttpError):
        return exc
    if isinstance(exc, HTTPException):
        return _convert_router_error(exc)
    if isinstance(exc, QuestionError):
        return HttpError(422, "input", str(exc))
    return _convert_interruption(exc) or _convert_failure(exc)


def _convert_interruption(exc: BaseException) -> HttpError | None:
    if isinstance(exc, asyncio.CancelledError):
        return HttpError(503, "stopping", "the service is stopping; ask again in a moment")
    if isinstance(exc, TimeoutError):
        return HttpError(503, "time", "that took too long; try again later")
    return None


def _convert_failure(exc: BaseException) -> HttpError:
    logger.error("not done: %s", describe_exception(exc))
    if isinstance(exc, VectorStoreUnavailableError):
        message = "the articles cannot be searched now: Chroma does not answer; ask again in a moment"
        return HttpError(503, "away", message, retry_after=_UNAVAILABLE_RETRY_SECONDS)
    if isinstance(exc, CitewireError):
        message = "the service cannot do that now, and its log says why; ask again in a moment"
        return HttpError(503, "away", message, retry_after=_UNAVAILABLE_RETRY_SECONDS)
    request_id = get_context().get("request_id", "")
    return HttpError(500, "failed", f"something went wrong; the log says where, at request {request_id}")


def _convert_router_error(exc: HTTPException) -> HttpError:
    if exc.status_code == 404:
        return HttpError(404, "path", "there is no such address here")
    allowed = (exc.headers or {}).get("Allow", "")
    return HttpError(exc.status_code, "method", f"this address takes {allowed} alone", Allow=allowed)
