"""A real HTTP server that speaks OpenAI's chat completions, with a script in the model's place.

    with OpenAIServer([Reply(status=429, retry_after=0.01), Reply("It rained [1].")]) as server:
        model = init_chat_model("openai:test", base_url=server.url, api_key="sk-test", stream_usage=True)

It answers slowly, stops in the middle of a word, refuses, hangs and talks nonsense when told to; what reaches
a client is bytes on a socket, as from any provider. Every request is kept in `requests`.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self


class Message(NamedTuple):
    """A message of a request; content in parts is joined."""

    role: str
    content: str


class Sent(NamedTuple):
    """A piece of the answer that has left, with `time.perf_counter()`."""

    at: float
    text: str


@dataclass
class ChatRequest:
    """What a client asked, `at` a time of `time.perf_counter()`; `sent` grows while it is answered."""

    messages: list[Message]
    model: str
    max_tokens: int | None
    temperature: float | None
    stream: bool
    headers: dict[str, str]  # names in lower case
    raw: dict[str, Any]
    at: float
    sent: list[Sent] = field(default_factory=list)

    @property
    def prompt(self) -> str:
        """The last message of the user."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def wants_usage(self) -> bool:
        return bool((self.raw.get("stream_options") or {}).get("include_usage"))


@dataclass(frozen=True)
class Reply:
    """What to say, and how badly.

    `chunks`: how a stream is cut: every n characters, by "words", or just so. `delay`: seconds before each chunk.
    With `status` other than 200, `text` is the message (else OpenAI's own). `cut_after`: the connection ends after n
    chunks (or within the body, when nothing is streamed). `hang`: no byte until the server closes. `malformed`: after the
    first chunk comes what is no JSON. `usage`: prompt and completion tokens; counted in words when not given.
    """

    text: str = ""
    chunks: int | str | Sequence[str] = "words"
    delay: float = 0.0
    finish_reason: str = "stop"
    status: int = 200
    retry_after: float | None = None
    cut_after: int | None = None
    hang: bool = False
    usage: tuple[int, int] | None = None
    malformed: bool = False

    def pieces(self) -> list[str]:
        if isinstance(self.chunks, int):
            return [self.text[i : i + self.chunks] for i in range(0, len(self.text), self.chunks)]
        return re.findall(r"\s*\S+|\s+$", self.text) if self.chunks == "words" else list(self.chunks)


Script = Callable[[ChatRequest], Reply]

# Status: message, type and code, as OpenAI's API gives them.
ERRORS = {
    400: ("The request is not valid.", "invalid_request_error", None),
    401: ("Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys.",
          "invalid_request_error", "invalid_api_key"),
    404: ("The model `{model}` does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"),
    429: ("Rate limit reached for {model} in organization org-test on requests per min (RPM): Limit 3, Used 3, Requested 1.",
          "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request. Sorry about that!", "server_error", None),
    503: ("The engine is currently overloaded, please try again later.", "server_error", None),
}  # fmt: skip


class OpenAIServer(ThreadingHTTPServer):
    """Serves on 127.0.0.1 from `with` to its end, on a port picked by the system."""

    daemon_threads = False  # closing waits for every thread
    block_on_close = True
    request_queue_size = 64

    def __init__(self, script: Script | Reply | str | Sequence[Reply | str], *, model: str = "test") -> None:
        """Answer with what `script` returns, or with its replies in turn, the last one again and again."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.requests: list[ChatRequest] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self._script = script if callable(script) else _in_turn(script)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client was quicker
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def reply_to(self, request: ChatRequest) -> Reply:
        """Keep the request and ask the script."""
        self.requests.append(request)
        return self._script(request)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away; anything else is a fault in the script and stays loud."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: OpenAIServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm: ClassVar[bool] = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay quiet."""

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._send_error(404, "Not found")
        model = {"id": self.server.model, "object": "model", "created": 1_700_000_000, "owned_by": "tests"}
        return self._send(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/v1/chat/completions":
            return self._send_error(404, "Not found")
        try:
            request = _request(json.loads(body), dict(self.headers.items()))
        except (ValueError, KeyError, TypeError) as exc:
            return self._send_error(400, f"Not a chat completion request: {exc!r}")
        reply = self.server.reply_to(request)
        if reply.hang:
            self.server.closing.wait()
            self.close_connection = True
            return None
        if reply.status != 200:
            return self._refuse(request, reply)
        return self._stream(request, reply) if request.stream else self._complete(request, reply)

    def _refuse(self, request: ChatRequest, reply: Reply) -> None:
        message, kind, code = ERRORS.get(reply.status, ERRORS[500])
        message = reply.text or message.format(key=request.key, model=request.model)
        headers = {} if reply.retry_after is None else {"Retry-After": f"{reply.retry_after:g}"}
        self._send_error(reply.status, message, kind=kind, code=code, headers=headers)

    def _send_error(
        self, status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        error = {"message": message, "type": kind, "param": None, "code": code}
        self._send(status, {"error": error}, headers or {})

    def _send(
        self, status: int, answer: dict[str, Any], headers: dict[str, str] | None = None, *, cut: bool = False
    ) -> None:
        data = json.dumps(answer).encode()
        content = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self._send_head(status, content | (headers or {}))
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        # One request a connection: nothing is left open on either side when a test ends.
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _complete(self, request: ChatRequest, reply: Reply) -> None:
        pieces = reply.pieces()
        self.server.closing.wait(reply.delay * len(pieces))
        message = {"role": "assistant", "content": "".join(pieces), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}
        answer = _head(request, "chat.completion") | {"choices": [choice], "usage": _usage(request, reply)}
        if reply.malformed:
            self._send_head(200, {"Content-Type": "application/json", "Content-Length": "9"})
            self.wfile.write(b'{"id": "c')
        else:
            self._send(200, answer, cut=reply.cut_after is not None)
        request.sent.append(Sent(time.perf_counter(), "".join(pieces)))

    def _stream(self, request: ChatRequest, reply: Reply) -> None:
        self._send_head(
            200, {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
        )
        for number, (event, text) in enumerate(_events(request, reply)):
            # The first event holds the role alone.
            if reply.cut_after is not None and number > reply.cut_after:
                return
            if text and self.server.closing.wait(reply.delay):
                return
            data = f"data: {event}\n\n".encode()
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            if text:
                request.sent.append(Sent(time.perf_counter(), text))
        self.wfile.write(b"0\r\n\r\n")


def _in_turn(replies: Reply | str | Sequence[Reply | str]) -> Script:
    several = [replies] if isinstance(replies, Reply | str) else list(replies)
    turn = [Reply(reply) if isinstance(reply, str) else reply for reply in several]
    lock = threading.Lock()

    def script(_: ChatRequest) -> Reply:
        with lock:
            return turn.pop(0) if len(turn) > 1 else turn[0]

    return script


def _request(raw: dict[str, Any], headers: dict[str, str]) -> ChatRequest:
    return ChatRequest(
        messages=[Message(message["role"], _text(message["content"])) for message in raw["messages"]],
        model=raw["model"],
        max_tokens=raw.get("max_completion_tokens", raw.get("max_tokens")),
        temperature=raw.get("temperature"),
        stream=bool(raw.get("stream")),
        headers={name.lower(): value for name, value in headers.items()},
        raw=raw,
        at=time.perf_counter(),
    )


def _text(content: str | list[dict[str, Any]] | None) -> str:
    parts = [{"text": content or ""}] if isinstance(content, str | None) else content
    return "".join(part.get("text", "") for part in parts)


def _head(request: ChatRequest, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-test", "object": kind, "created": 1_700_000_000, "model": request.model}


def _usage(request: ChatRequest, reply: Reply) -> dict[str, int]:
    read = sum(len(message.content.split()) for message in request.messages)
    prompt, completion = reply.usage or (read, len("".join(reply.pieces()).split()))
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _events(request: ChatRequest, reply: Reply) -> Iterator[tuple[str, str]]:
    """Yield the data of each event with the text it holds: role, contents, finish, usage where asked for, end."""

    def chunk(delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return json.dumps(_head(request, "chat.completion.chunk") | {"choices": [choice]} | empty_usage)

    empty_usage = {"usage": None} if request.wants_usage else {}
    yield chunk({"role": "assistant", "content": ""}), ""
    for number, piece in enumerate(reply.pieces()):
        if reply.malformed and number == 1:
            yield '{"id": "chatcmpl-', ""
        yield chunk({"content": piece}), piece
    yield chunk({}, reply.finish_reason), ""
    if request.wants_usage:
        usage = {"choices": [], "usage": _usage(request, reply)}
        yield json.dumps(_head(request, "chat.completion.chunk") | usage), ""
    yield "[DONE]", ""
