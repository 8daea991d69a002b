"""What is seen from outside of questions on their way: the ids they go by, spans for a tracer, and who counts answers.

It imports nothing of weight: without a tracer a span costs a call, and no one's start waits for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from bot import __version__
from bot.errors import CitewireError, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

logger = logging.getLogger(__name__)

_NONE: Mapping[str, str] = {}
_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default=_NONE)
_NOTHING: AbstractContextManager[object] = nullcontext()
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def bind_context(*, clear: bool = False, **ids: str) -> None:
    """Have every log line and span of this task and of the threads it starts bear these ids.

    `afresh` forgets those before: one connection's requests may inherit each other's context.
    """
    _ids.set(ids if clear else {**_ids.get(), **ids})


def get_context() -> Mapping[str, str]:
    """Return the ids in force."""
    return _ids.get()


class Tracer(Protocol):
    """Where spans go."""

    def span(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """Return a block that is a span, and the parent of those within."""

    def stretch(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """Return the same for a block of a generator, which must not change what its caller's spans hang on."""

    def continuing(self, headers: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return a block whose spans hang on those of the caller that these headers of a request name."""


class _Tracing:
    tracer: Tracer | None = None


def set_tracer(tracer: Tracer | None) -> None:
    """Send the spans of this process there."""
    _Tracing.tracer = tracer


def span(name: str, **attributes: str | int) -> AbstractContextManager[object]:
    """Return a block that is a span of this name, with the ids in force. No attribute may hold words of a text."""
    tracer = _Tracing.tracer
    return tracer.span(name, {**_ids.get(), **attributes}) if tracer else _NOTHING


def generator_span(name: str, **attributes: str | int) -> AbstractContextManager[object]:
    """Return the same for a block in which a generator yields."""
    tracer = _Tracing.tracer
    return tracer.stretch(name, {**_ids.get(), **attributes}) if tracer else _NOTHING


def continue_trace(headers: Mapping[str, str]) -> AbstractContextManager[object]:
    """Return a block whose spans hang on those of the caller that a request's headers name."""
    tracer = _Tracing.tracer
    return tracer.continuing(headers) if tracer else _NOTHING


def describe_exception(exc: BaseException) -> str:
    """Return for the log what went wrong; of an unforeseen error where, because its words may hold article text."""
    if isinstance(exc, CitewireError):
        return str(exc)
    return f"{type(exc).__name__}\n{''.join(traceback.format_tb(exc.__traceback__))}"


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Send spans where the variables of OpenTelemetry say, and the last of them at the end of the block.

    Raises SettingsError for what they ask for and is not there.
    """
    if not _is_wanted():
        yield
        return
    provider = _provider(_exporter())
    set_tracer(_Tracer(provider))
    try:
        yield
    finally:
        set_tracer(None)
        provider.shutdown()


def _is_wanted() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and bool(exporter or any(os.environ.get(name) for name in _ENDPOINTS))


def _exporter() -> SpanExporter:
    kind = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    general = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or general
    if kind != "otlp" or protocol != "http/protobuf":
        raise SettingsError(
            f"traces as {kind} over {protocol} are not sent; OTEL_TRACES_EXPORTER may be otlp or none, and "
            "OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as exc:
        raise SettingsError(f"{exc.name} is not installed: pip install 'citewire[otel]'") from exc
    return OTLPSpanExporter()


def _provider(exporter: SpanExporter) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {"service.version": __version__}
    if "OTEL_SERVICE_NAME" not in os.environ:
        named["service.name"] = "citewire"
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class _Tracer:
    """Makes spans; what goes wrong in one is named by its kind alone, because its words may hold article text."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("citewire", __version__)

    @contextlib.contextmanager
    def span(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        quietly: Any = {"record_exception": False, "set_status_on_exception": False}
        with (
            self._tracer.start_as_current_span(name, attributes=_named(attributes), **quietly) as span,
            _marking(span),
        ):
            yield

    @contextlib.contextmanager
    def stretch(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        span = self._tracer.start_span(name, attributes=_named(attributes))
        try:
            with _marking(span):
                yield
        finally:
            span.end()

    @contextlib.contextmanager
    def continuing(self, headers: Mapping[str, str]) -> Iterator[None]:
        from opentelemetry import context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        token = context.attach(TraceContextTextMapPropagator().extract(headers, context.Context()))
        try:
            yield
        finally:
            context.detach(token)


@contextlib.contextmanager
def _marking(span: Span) -> Iterator[None]:
    from opentelemetry.trace import StatusCode

    try:
        yield
    except Exception as exc:
        span.set_status(StatusCode.ERROR)
        span.set_attribute("error.type", type(exc).__name__)
        raise


def _named(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"citewire.{name}": value for name, value in attributes.items()}
