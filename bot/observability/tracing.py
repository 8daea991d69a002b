"""Request ids for logs, and tracing spans with OpenTelemetry.

OpenTelemetry is imported only if tracing is enabled, so that it does not slow down startup. Without it, a span costs
one function call.
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

_NO_IDS: Mapping[str, str] = {}
_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default=_NO_IDS)
_NO_SPAN: AbstractContextManager[object] = nullcontext()
_ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def bind_context(*, clear: bool = False, **ids: str) -> None:
    """Bind ids to the log records and spans of this task and of the threads that it starts.

    Args:
        clear: drop the ids bound earlier, because the requests of one connection may share a context.
    """
    _ids.set(ids if clear else {**_ids.get(), **ids})


def get_context() -> Mapping[str, str]:
    """Return the ids bound to this task."""
    return _ids.get()


class Tracer(Protocol):
    """Creates spans."""

    def span(self, name: str, attributes: Mapping[str, str | int]) -> AbstractContextManager[object]:
        """Return a context manager for a span, the parent of the spans in its block."""

    def generator_span(
        self, name: str, attributes: Mapping[str, str | int]
    ) -> AbstractContextManager[object]:
        """Return a context manager for a span of a generator; it is not the parent of its caller's spans."""

    def continue_trace(self, headers: Mapping[str, str]) -> AbstractContextManager[object]:
        """Return a context manager whose spans continue the trace named in the headers of a request."""


class _State:
    tracer: Tracer | None = None


def set_tracer(tracer: Tracer | None) -> None:
    """Set the tracer of this process; None disables tracing."""
    _State.tracer = tracer


def span(name: str, **attributes: str | int) -> AbstractContextManager[object]:
    """Return a context manager for a span with the ids bound to this task.

    Args:
        name: name of the span.
        attributes: must not contain text of questions, answers or articles.
    """
    tracer = _State.tracer
    return tracer.span(name, {**_ids.get(), **attributes}) if tracer else _NO_SPAN


def generator_span(name: str, **attributes: str | int) -> AbstractContextManager[object]:
    """Return a context manager for a span of a block in which a generator yields."""
    tracer = _State.tracer
    return tracer.generator_span(name, {**_ids.get(), **attributes}) if tracer else _NO_SPAN


def continue_trace(headers: Mapping[str, str]) -> AbstractContextManager[object]:
    """Return a context manager whose spans continue the trace named in the headers of a request."""
    tracer = _State.tracer
    return tracer.continue_trace(headers) if tracer else _NO_SPAN


def describe_exception(exc: BaseException) -> str:
    """Describe an exception for the log.

    Unexpected exceptions are described by type and location only, because their messages may contain article text.
    """
    if isinstance(exc, CitewireError):
        return str(exc)
    return f"{type(exc).__name__}\n{''.join(traceback.format_tb(exc.__traceback__))}"


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Export spans during the block as the environment variables of OpenTelemetry say, and flush them at its end.

    Raises:
        SettingsError: if the variables name an unsupported exporter, or its package is not installed.
    """
    if not _is_enabled():
        yield
        return
    provider = _build_provider(_build_exporter())
    set_tracer(_OpenTelemetryTracer(provider))
    try:
        yield
    finally:
        set_tracer(None)
        provider.shutdown()


def _is_enabled() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and bool(exporter or any(os.environ.get(name) for name in _ENDPOINT_VARIABLES))


def _build_exporter() -> SpanExporter:
    exporter_name = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    default_protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or default_protocol
    if exporter_name != "otlp" or protocol != "http/protobuf":
        raise SettingsError(
            f"traces as {exporter_name} over {protocol} are not sent; OTEL_TRACES_EXPORTER may be otlp or none, and "
            "OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as exc:
        raise SettingsError(f"{exc.name} is not installed: pip install 'citewire[otel]'") from exc
    return OTLPSpanExporter()


def _build_provider(exporter: SpanExporter) -> TracerProvider:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = {"service.version": __version__}
    if "OTEL_SERVICE_NAME" not in os.environ:
        resource["service.name"] = "citewire"
    provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class _OpenTelemetryTracer:
    """Tracer of OpenTelemetry; records exceptions by type only, because messages may contain article text."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("citewire", __version__)

    @contextlib.contextmanager
    def span(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        options: Any = {"record_exception": False, "set_status_on_exception": False}
        with (
            self._tracer.start_as_current_span(name, attributes=_prefix_names(attributes), **options) as span,
            _record_errors(span),
        ):
            yield

    @contextlib.contextmanager
    def generator_span(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        span = self._tracer.start_span(name, attributes=_prefix_names(attributes))
        try:
            with _record_errors(span):
                yield
        finally:
            span.end()

    @contextlib.contextmanager
    def continue_trace(self, headers: Mapping[str, str]) -> Iterator[None]:
        from opentelemetry import context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        token = context.attach(TraceContextTextMapPropagator().extract(headers, context.Context()))
        try:
            yield
        finally:
            context.detach(token)


@contextlib.contextmanager
def _record_errors(span: Span) -> Iterator[None]:
    from opentelemetry.trace import StatusCode

    try:
        yield
    except Exception as exc:
        span.set_status(StatusCode.ERROR)
        span.set_attribute("error.type", type(exc).__name__)
        raise


def _prefix_names(attributes: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"citewire.{name}": value for name, value in attributes.items()}
