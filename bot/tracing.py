"""OpenTelemetry traces, where its own variables ask for them; without those nothing of it is imported."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bot import __version__
from bot.errors import SettingsError
from bot.observing import trace_with

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Send spans where the variables of OpenTelemetry say, and the last of them at the end of the block.

    Raises SettingsError for what they ask for and is not there.
    """
    if not _is_wanted():
        yield
        return
    provider = _provider(_exporter())
    trace_with(_Tracer(provider))
    try:
        yield
    finally:
        trace_with(None)
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
