"""OpenTelemetry: the spans of a run, its cells and its calls, made from its events; see docs/telemetry.md.

Names are those of the OpenTelemetry semantic conventions for generative AI, v0.1.0; what they have no name for is
called ``habit.…``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from habit.calls.call import Call
from habit.calls.catalogue import PROVIDERS
from habit.calls.events import CallEnded, CallFinished, CallRetried, CallStarted
from habit.calls.tools import RUN_PYTHON
from habit.errors import UsageError
from habit.events import CellFinished, CellStarted, ChildFinished, ChildStarted, Event, RunStarted
from habit.models import is_local
from habit.run import Run, RunEnded, plain
from habit.telemetry.event_json import error_type, name_of, to_json
from habit.telemetry.otel_messages import as_attributes, as_json, input_messages, output_messages, said

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

SCOPE = "habit"
CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CONTENT_VALUES = ("true", "1", "span_only", "span_and_event")
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure-responses": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "google-cloud": "gcp.vertex_ai",
    "local": "llama.cpp",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "openai-chat": "openai",
    "openai-responses": "openai",
    "xai": "x_ai",
}
"""What the conventions call a provider, where they call it otherwise."""

Attributes = Mapping[str, Any]


def _model_attributes(model: str) -> dict[str, Any]:
    """Provider and model of a full name; a bare name is of a server that speaks OpenAI's protocol."""
    prefix, colon, name = model.partition(":")
    provider = prefix if colon and prefix in PROVIDERS else "openai"
    if is_local(model):
        provider, name = "local", name or model
    return {
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": name if provider == prefix else model,
    }


class OpenTelemetry:
    """Makes spans of runs, for every run of an engine.

    ``tracer_provider`` is the application's global one when it is not given. ``content`` records questions, code,
    prompts, replies and answers too; None leaves that to ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``.
    Spans go below the caller's current span, or the one in ``parent``. Raises UsageError when the package is not
    installed.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        *,
        content: bool | None = None,
        parent: Context | None = None,
    ) -> None:
        try:
            from opentelemetry import trace
        except ImportError:
            raise UsageError("OpenTelemetry is not installed: run pip install 'habit[otel]'.") from None

        self.content = wants_content() if content is None else content
        self._parent = parent
        self._tracer = trace.get_tracer(SCOPE, version("habit"), tracer_provider)

    def run(self) -> RunSpans:
        """The observer of one run, to be closed at its end; made where the run is asked for."""
        from opentelemetry.context import get_current

        above = get_current() if self._parent is None else self._parent
        return RunSpans(self._tracer, above, content=self.content)


def wants_content(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the user's environment asks for content on spans."""
    return environ.get(CONTENT_VARIABLE, "").strip().lower() in _CONTENT_VALUES


class RunSpans:
    """Spans of one run: the run, its cells, their calls, and child runs below the cell that asked for them.

    Where a span belongs is known from the events alone, never from what happens to be the current span: calls of one
    run are under way at the same time, as are whole runs.
    """

    def __init__(self, tracer: Tracer, above: Context, *, content: bool) -> None:
        self._tracer = tracer
        self._above = above
        self._content = content
        self._run = self._model = ""
        self._agents: dict[str, Span] = {}
        """The span of each session: the run for ``0``, a child run for any other."""
        self._cells: dict[str, Span] = {}
        """The cell under way in each session."""
        self._calls: dict[tuple[str, int], Span] = {}
        self._attempts: dict[int, Span] = {}
        """The same by the identity of the call, which is all that is known of one that is retried."""

    def on_event(self, event: Event) -> None:
        """Take note of what happened."""
        match event:
            case RunStarted():
                self._run, self._model = event.run, event.model
                self._agents["0"] = self._agent(event.model, self._above, {"habit.strategy": event.strategy})
            case RunEnded():
                self._end_run(event.run)
            case CellStarted():
                self._start_cell(event)
            case CellFinished():
                self._end_cell(event)
            case ChildStarted():
                self._start_child(event)
            case ChildFinished():
                failed = event.status == "failed"
                self._end(
                    self._agents.pop(event.session, None), "failed" if failed else "", {"habit.status": event.status}
                )
            case CallStarted():
                self._start_call(event)
            case CallRetried():
                self._remark(self._attempts.get(id(event.call)), event)
            case CallFinished():
                self._end(self._taken(event.call, event.occurrence), "", self._reply_attributes(event))
            case CallEnded():
                values = to_json(event, content=self._content)
                message = {"habit.message": values.get("message")}
                self._end(self._taken(event.call, event.occurrence), values["reason"], message)
            case _:
                session = getattr(event, "session", "0")
                self._remark(self._cells.get(session) or self._agents.get(session), event)

    def close(self) -> None:
        """End whatever is still open: the run was cancelled, or it broke."""
        for spans in (self._calls, self._cells, self._agents):
            for span in reversed(list(spans.values())):
                self._end(span, "stopped")
            spans.clear()
        self._attempts.clear()

    def _agent(self, model: str, context: Context, more: Attributes) -> Span:
        return self._start(
            "invoke_agent habit",
            context,
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "habit",
                **_model_attributes(model),
                **more,
            },
        )

    def _end_run(self, run: Run) -> None:
        usage = run.usage
        attributes = {
            "habit.status": run.status,
            "habit.cells": run.cells,
            "habit.depth": run.depth,
            "habit.stopped_by": run.stopped_by,
            # Not gen_ai.usage: whoever sums that up over all spans would count each token twice.
            "habit.usage.calls": usage.calls,
            "habit.usage.cached_calls": usage.cached_calls,
            "habit.usage.failed_calls": usage.failed_calls,
            "habit.usage.input_tokens": usage.root.input_tokens + usage.leaf.input_tokens,
            "habit.usage.output_tokens": usage.root.output_tokens + usage.leaf.output_tokens,
            "habit.usage.usd": usage.usd,
        }
        if self._content:
            attributes |= {
                "gen_ai.input.messages": as_json([said("user", run.query)]),
                "gen_ai.output.messages": as_json([said("assistant", plain(run.answer))]),
                "habit.error": run.error,
            }
        agent = self._agents.pop("0", None)
        self.close()
        failed = {"budget": f"budget_{run.stopped_by}", "failed": "failed"}.get(run.status, "")
        self._end(agent, "interrupted" if run.error == "interrupted" else failed, attributes)

    def _start_child(self, event: ChildStarted) -> None:
        parent = event.session.rpartition(".")[0]
        above = self._cells.get(parent) or self._agents.get(parent)
        self._agents[event.session] = self._agent(
            self._model, self._below(above), {"habit.session": event.session, "habit.depth": event.depth}
        )

    def _start_cell(self, event: CellStarted) -> None:
        tool = event.tool or RUN_PYTHON.name
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool,
            "gen_ai.tool.type": "function",
            "habit.session": event.session,
            "habit.cell": event.index,
        }
        if self._content:
            attributes["gen_ai.tool.call.arguments"] = as_json({"code": event.code})
        above = self._agents.get(event.session)
        self._cells[event.session] = self._start(f"execute_tool {tool}", self._below(above), attributes)

    def _end_cell(self, event: CellFinished) -> None:
        attributes: dict[str, Any] = {"habit.status": event.status}
        if self._content:
            attributes["gen_ai.tool.call.result"] = as_json({"stdout": event.stdout, "error": event.error})
        failed = event.status not in ("ok", "answered")
        kind = (error_type(event.error) if event.status == "error" else None) or event.status
        self._end(self._cells.pop(event.session, None), kind if failed else "", attributes)

    def _start_call(self, event: CallStarted) -> None:
        from opentelemetry.trace import SpanKind

        call = event.call
        model = _model_attributes(call.model)
        attributes = {
            "gen_ai.operation.name": "chat",
            **model,
            "gen_ai.output.type": "text" if call.schema is None else "json",
            "gen_ai.request.temperature": call.sampling.temperature,
            "gen_ai.request.max_tokens": call.sampling.max_tokens,
            "gen_ai.request.seed": call.sampling.seed,
            "habit.role": call.role,
            "habit.session": call.session,
            "habit.cell": call.cell,
            "habit.key": call.key,
        }
        if self._content:
            attributes["gen_ai.input.messages"] = as_json(input_messages(call))
        # Root calls write the next cell, leaf calls come from the one under way.
        cell = self._cells.get(call.session) if call.role == "leaf" else None
        above = self._below(cell or self._agents.get(call.session))
        span = self._start(f"chat {model['gen_ai.request.model']}", above, attributes, SpanKind.CLIENT)
        self._calls[call.key, event.occurrence] = self._attempts[id(call)] = span

    def _reply_attributes(self, event: CallFinished) -> Attributes:
        reply = event.reply
        attributes: dict[str, Any] = {
            "gen_ai.response.finish_reasons": [reply.finish],
            "habit.cached": reply.cached,
        }
        if not reply.cached:  # what the journal gave was paid for before
            attributes |= {
                "gen_ai.usage.input_tokens": reply.input_tokens,
                "gen_ai.usage.output_tokens": reply.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": reply.cache_read_tokens,
                "habit.usd": reply.usd,
            }
        if self._content:
            attributes["gen_ai.output.messages"] = as_json(output_messages(event.call, reply))
        return attributes

    def _taken(self, call: Call, occurrence: int) -> Span | None:
        span = self._calls.pop((call.key, occurrence), None)
        if self._attempts.get(id(call)) is span:
            self._attempts.pop(id(call), None)
        return span

    def _remark(self, span: Span | None, event: Event) -> None:
        """Put an event that is no span of its own onto the span it concerns."""
        if span is not None:
            values = {name: value for name, value in to_json(event, content=self._content).items() if name != "event"}
            span.add_event(
                f"habit.{name_of(event)}", as_attributes({f"habit.{name}": value for name, value in values.items()})
            )

    def _start(self, name: str, context: Context, attributes: Attributes, kind: SpanKind | None = None) -> Span:
        from opentelemetry.trace import SpanKind

        kept = as_attributes({"gen_ai.conversation.id": self._run, **attributes})
        return self._tracer.start_span(name, context, kind or SpanKind.INTERNAL, kept, record_exception=False)

    def _end(self, span: Span | None, failed: str, attributes: Attributes | None = None) -> None:
        """End ``span``; ``failed`` is what the conventions call ``error.type``, empty when all went well."""
        from opentelemetry.trace import StatusCode

        if span is None:
            return
        span.set_attributes(as_attributes(attributes or {}))
        if failed:
            span.set_attribute("error.type", failed)
            span.set_status(StatusCode.ERROR)
        span.end()

    def _below(self, span: Span | None) -> Context:
        from opentelemetry.trace import set_span_in_context

        return self._above if span is None else set_span_in_context(span, self._above)
