"""Sends spans from the command line, as the standard ``OTEL_*`` variables say."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from habit.calls.failures import one_line, secrets_in_environment
from habit.errors import UsageError
from habit.telemetry.otel import OpenTelemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_NOT_INSTALLED = "OpenTelemetry's SDK is not installed: run pip install 'habit[otel]'."


@contextmanager
def exporting(warn: Callable[[str], None]) -> Iterator[OpenTelemetry]:
    """Spans of the runs inside the block; at its end they are sent, and what could not be sent is told to ``warn``.

    The SDK reads the variables for service, sampling, batching and the exporter's address and headers by itself.
    A parent in ``TRACEPARENT`` is honoured. Raises UsageError when something is missing or asks for what is not there.
    """
    processor = _processor()
    from opentelemetry.propagate import extract
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create(None if named else {SERVICE_NAME: "habit"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if processor is not None:
        provider.add_span_processor(processor)
    carrier = {name.lower(): os.environ[name] for name in ("TRACEPARENT", "TRACESTATE") if name in os.environ}
    listening = _Listening()
    log = logging.getLogger("opentelemetry")
    told_on = log.propagate
    log.propagate = False
    log.addHandler(listening)
    try:
        yield OpenTelemetry(provider, parent=extract(carrier))
    finally:
        provider.shutdown()
        log.removeHandler(listening)
        log.propagate = told_on
        if listening.said:
            warn(f"Not all spans could be sent ({listening.said}): check OTEL_EXPORTER_OTLP_ENDPOINT.")


def _processor() -> SpanProcessor | None:
    """What hands spans to the exporter that is asked for; None for no exporter."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    try:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

        if exporter == "none":
            return None
        if exporter == "console":
            return SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr))
        if exporter != "otlp":
            raise UsageError(f"OTEL_TRACES_EXPORTER is {exporter!r}: set it to otlp, console or none.")
        if protocol not in (None, "http/protobuf"):
            raise UsageError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: set it to http/protobuf.")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise UsageError(_NOT_INSTALLED) from None
    return BatchSpanProcessor(OTLPSpanExporter())


class _Listening(logging.Handler):
    """Keeps the first thing that went wrong, in place of lines on the terminal amid a run."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a warning or an error."""
        self.said = self.said or one_line(record.getMessage(), secrets_in_environment())
