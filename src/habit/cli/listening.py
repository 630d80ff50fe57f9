"""Who else listens to runs, besides the person at the terminal: a file of events, a collector of spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from habit.cli.output import warning_line
from habit.events import Observer, ignore

if TYPE_CHECKING:
    from habit.config import Settings
    from habit.telemetry.otel import OpenTelemetry


@dataclass(frozen=True)
class Listeners:
    """Whom an engine tells what happens."""

    on_event: Observer = ignore
    telemetry: OpenTelemetry | None = None


@contextmanager
def listening(settings: Settings, events: str | None, *, content: bool = False) -> Iterator[Listeners]:
    """Listeners for ``--events`` and ``--otel``; what they could not take is told at the end. Raises UsageError."""
    with ExitStack() as stack:
        on_event, telemetry = ignore, None
        if events is not None:
            from habit.telemetry.event_log import EventLog

            on_event = stack.enter_context(EventLog(events, content=content, warn=warning_line)).on_event
        if settings.otel:
            from habit.telemetry.exporting import exporting

            telemetry = stack.enter_context(exporting(warning_line))
        yield Listeners(on_event, telemetry)
