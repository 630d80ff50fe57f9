"""Spans of runs: what hangs below what, what they say, and that every one of them ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from habit import BudgetExceeded, CallFailed, RunFailed, Settings
from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Reply, Sampling
from habit.calls.events import CallFinished, CallRetried, CallStarted
from habit.calls.provider import TransientFailure
from habit.calls.toolcalls import as_text
from habit.engine import Engine
from habit.events import CellStarted, Notice, RunStarted
from habit.journal.memory import MemoryStore
from habit.sandbox.cpython import CPythonSandbox
from habit.telemetry import otel
from habit.telemetry.otel import OpenTelemetry, wants_content
from support.scripted import ScriptedModels, ScriptedProvider, block

SECRET = "nobody's business"


class Spans:
    """An application's tracing, and what it has collected."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.memory))

    def telemetry(self, *, content: bool = False) -> OpenTelemetry:
        return OpenTelemetry(self.provider, content=content)

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """Those that have ended."""
        return self.memory.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def tree(self) -> Any:
        """{label: children} from the roots down; siblings in the order they began."""
        below: dict[int | None, list[ReadableSpan]] = {}
        for span in sorted(self.all, key=lambda span: span.start_time or 0):
            below.setdefault(span.parent.span_id if span.parent else None, []).append(span)

        def branch(key: int | None) -> list[Any]:
            return [(label(span), branch(span.context.span_id)) for span in below.get(key, ())]

        return branch(None)


def label(span: ReadableSpan) -> str:
    marks = [str(attributes(span)[name]) for name in ("habit.role", "habit.cell") if name in attributes(span)]
    return " ".join([span.name.split()[0], *marks])


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture
def engine(spans: Spans, sandbox: CPythonSandbox) -> Callable[..., Engine]:
    def make(model: ScriptedProvider, *, content: bool = False, **settings: Any) -> Engine:
        return Engine(
            Settings(**settings),
            models=ScriptedModels(model),
            sandbox=sandbox,
            store=MemoryStore(),
            telemetry=spans.telemetry(content=content),
        )

    return make


async def test_a_run_with_a_child_is_one_tree(spans: Spans, engine: Callable[..., Engine]) -> None:
    class Model(ScriptedProvider):
        async def request(self, call: Call) -> Reply:
            if call.role == "root" and call.session != "0":
                return Reply(block("answer(recursive_llm('what?', context[:3]))"), 7, 3)
            return await super().request(call)

    model = Model(
        [block("print(recursive_llm('one?', 'short'))"), block("answer(recursive_llm('all?', context))")], window=9_000
    )
    async with engine(model) as running:
        run = await running.ask("?", "x" * 60_000)
    assert run.depth == 1
    child = ("invoke_agent", [("chat root 1", []), ("execute_tool 1", [("chat leaf 1", [])])])
    assert spans.tree() == [
        (
            "invoke_agent",
            [
                ("chat root 1", []),
                ("execute_tool 1", [("chat leaf 1", [])]),
                ("chat root 2", []),
                ("execute_tool 2", [child]),
            ],
        )
    ]
    assert len({span.context.trace_id for span in spans.all}) == 1


async def test_a_step_of_the_agent_loop_has_the_name_of_its_tool(spans: Spans) -> None:
    steps = ['```json count\n{"pattern": "t"}\n```\n\n```json look\n{}\n```', '```json answer\n{"value": "x"}\n```']
    settings = Settings(model="scripted", strategy="agent")
    models = ScriptedModels(ScriptedProvider(steps))
    async with Engine(settings, models=models, store=MemoryStore(), telemetry=spans.telemetry()) as running:
        await running.ask("?", "text")
    told = [(span.name, (span.attributes or {})["gen_ai.tool.name"]) for span in spans.all if "_tool" in span.name]
    assert told == [(f"execute_tool {name}", name) for name in ("count", "unknown", "answer")]


async def test_spans_say_what_the_conventions_ask_for(spans: Spans, engine: Callable[..., Engine]) -> None:
    model = ScriptedProvider([block("answer(recursive_llm('q', 'c'))")], model="openai:gpt-5-mini", usd_per_token=0.001)
    async with engine(model) as running:
        run = await running.ask("?", "text")
    [agent], [cell] = spans.named("invoke_agent habit"), spans.named("execute_tool run_python")
    root, leaf = spans.named("chat gpt-5-mini")
    common = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5-mini", "gen_ai.conversation.id": run.id}
    assert attributes(agent) == {
        **common,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "habit",
        "habit.strategy": run.strategy,
        "habit.status": "answered",
        "habit.cells": 1,
        "habit.depth": 0,
        "habit.usage.calls": 2,
        "habit.usage.cached_calls": 0,
        "habit.usage.failed_calls": 0,
        "habit.usage.input_tokens": run.usage.root.input_tokens + run.usage.leaf.input_tokens,
        "habit.usage.output_tokens": run.usage.root.output_tokens + run.usage.leaf.output_tokens,
        "habit.usage.usd": run.usage.usd,
    }
    assert attributes(cell) == {
        "gen_ai.conversation.id": run.id,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "run_python",
        "gen_ai.tool.type": "function",
        "habit.session": "0",
        "habit.cell": 1,
        "habit.status": "answered",
    }
    said = attributes(leaf)
    assert len(said.pop("habit.key")) == 64
    assert said == {
        **common,
        "gen_ai.operation.name": "chat",
        "gen_ai.output.type": "text",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": run.usage.leaf.input_tokens,
        "gen_ai.usage.output_tokens": run.usage.leaf.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "habit.role": "leaf",
        "habit.session": "0",
        "habit.cell": 1,
        "habit.cached": False,
        "habit.usd": pytest.approx(run.usage.usd - attributes(root)["habit.usd"]),
    }
    assert (agent.kind, cell.kind, root.kind, leaf.kind) == (
        SpanKind.INTERNAL,
        SpanKind.INTERNAL,
        SpanKind.CLIENT,
        SpanKind.CLIENT,
    )
    assert all(span.status.status_code is StatusCode.UNSET for span in spans.all)


def said_by(call: Call) -> dict[str, Any]:
    """The attributes that a call has on its way."""
    spans = Spans()
    observer = spans.telemetry().run()
    observer.on_event(RunStarted("R", call.model, "rlm"))
    observer.on_event(CallStarted(call, 0))
    observer.close()
    return attributes(spans.all[0])


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("openai:gpt-5", "openai", "gpt-5"),
        ("openai-responses:gpt-5", "openai", "gpt-5"),
        ("google:gemini-2.5-flash", "gcp.gemini", "gemini-2.5-flash"),
        ("ollama:qwen3:8b", "ollama", "qwen3:8b"),
        ("qwen3:8b", "openai", "qwen3:8b"),
        ("local", "llama.cpp", "local"),
        ("local:small", "llama.cpp", "small"),
        ("/models/some.gguf", "llama.cpp", "/models/some.gguf"),
    ],
)
def test_models_and_providers_have_the_names_of_the_conventions(model: str, provider: str, name: str) -> None:
    said = said_by(Call(model, (), "root"))
    assert (said["gen_ai.provider.name"], said["gen_ai.request.model"]) == (provider, name)


def test_settings_of_a_request_are_told() -> None:
    said = said_by(Call("m", (), "leaf", schema={"type": "integer"}, sampling=Sampling(0.5, max_tokens=9, seed=3)))
    assert said["gen_ai.output.type"] == "json"
    assert (said["gen_ai.request.temperature"], said["gen_ai.request.max_tokens"], said["gen_ai.request.seed"]) == (
        0.5,
        9,
        3,
    )


def whatever(spans: Spans) -> str:
    return "".join(span.to_json() for span in spans.all)


SECRETIVE = [as_text(SECRET, [f"print(recursive_llm({SECRET!r}, {SECRET!r}))\n1 / 0"]), block(f"answer({SECRET!r})")]


@pytest.mark.parametrize("execution", ["fence", "tool"])
async def test_content_is_recorded_on_request_only(spans: Spans, engine: Callable[..., Engine], execution: str) -> None:
    for content in (False, True):
        spans.memory.clear()
        async with engine(
            ScriptedProvider(SECRETIVE, leaf=lambda _: SECRET), content=content, execution=execution
        ) as running:
            await running.ask(SECRET, SECRET)
        assert (SECRET in whatever(spans)) is content


async def test_content_has_the_form_of_the_conventions(spans: Spans, engine: Callable[..., Engine]) -> None:
    model = ScriptedProvider([as_text("Look.", ["print(3)"]), as_text("", ["answer(3)"])])
    async with engine(model, content=True, execution="tool") as running:
        await running.ask("How many?", "a\ud800", returns=int)
    [agent], second = spans.named("invoke_agent habit"), spans.named("chat scripted")[1]
    assert json.loads(attributes(agent)["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "3"}]}
    ]
    system, user, made, result = json.loads(attributes(second)["gen_ai.input.messages"])
    assert (system["role"], user["role"], result["role"]) == ("system", "user", "tool")
    assert made["parts"][0] == {"type": "text", "content": "Look."}
    assert made["parts"][1]["type"] == "tool_call"
    assert made["parts"][1]["arguments"] == {"code": "print(3)"}
    assert result["parts"][0]["type"] == "tool_call_response"
    assert result["parts"][0]["id"] == made["parts"][1]["id"]
    [reply] = json.loads(attributes(second)["gen_ai.output.messages"])
    assert (reply["finish_reason"], reply["parts"][0]["name"]) == ("stop", "run_python")
    cell = spans.named("execute_tool run_python")[0]
    assert json.loads(attributes(cell)["gen_ai.tool.call.arguments"]) == {"code": "print(3)"}
    assert json.loads(attributes(cell)["gen_ai.tool.call.result"])["stdout"] == "3\n"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, False), ("", False), ("false", False), ("NO_CONTENT", False), ("true", True), ("SPAN_ONLY", True)],
)
def test_the_variable_that_asks_for_content(value: str | None, wanted: bool) -> None:
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert wants_content({} if value is None else {name: value}) is wanted


async def test_replies_from_the_journal_cost_no_tokens_again(spans: Spans, engine: Callable[..., Engine]) -> None:
    script = [block("answer(recursive_llm('q', 'c'))")]
    async with engine(ScriptedProvider(script)) as running:
        run = await running.ask("?", "text")
        spans.memory.clear()
        await running.replay(run.id)
    calls = spans.named("chat scripted")
    assert [attributes(call)["habit.cached"] for call in calls] == [True, True]
    assert not any("gen_ai.usage.input_tokens" in attributes(call) for call in calls)


def failed(span: ReadableSpan) -> str | None:
    """What ``error.type`` says; a span with one has the status of an error, and no other has."""
    kind = attributes(span).get("error.type")
    assert (span.status.status_code is StatusCode.ERROR) is (kind is not None)
    return kind


async def test_errors_have_a_type(spans: Spans, engine: Callable[..., Engine]) -> None:
    model = ScriptedProvider(
        [block("{}['x']"), block("recursive_llm('q', 'c')"), CallFailed("the key is wrong", reason="rejected")],
        leaf=lambda _: CallFailed(f"no: {SECRET}", reason="refused"),
    )
    async with engine(model) as running:
        with pytest.raises(RunFailed):
            await running.ask("?", "x")
    kinds = [(label(span), failed(span)) for span in sorted(spans.all, key=lambda span: span.end_time or 0)]
    assert kinds == [
        ("chat root 1", None),
        ("execute_tool 1", "KeyError"),
        ("chat root 2", None),
        ("chat leaf 2", "refused"),
        ("execute_tool 2", "CallFailed"),
        ("chat root 3", "rejected"),
        ("invoke_agent", "failed"),
    ]
    assert SECRET not in whatever(spans)


async def test_a_run_stopped_by_its_budget(spans: Spans, engine: Callable[..., Engine]) -> None:
    model = ScriptedProvider([block("print(1)")] * 9)
    async with engine(model) as running:
        with pytest.raises(BudgetExceeded):
            await running.ask("?", "x", budget=Budget(max_calls=1))
    [agent] = spans.named("invoke_agent habit")
    assert failed(agent) == "budget_calls"
    assert attributes(agent)["habit.stopped_by"] == "calls"


async def test_cancellation_ends_every_span(spans: Spans, engine: Callable[..., Engine]) -> None:
    reached = anyio.Event()

    class Slow(ScriptedProvider):
        async def request(self, call: Call) -> Reply:
            if call.role == "root":
                return await super().request(call)
            reached.set()
            await anyio.sleep_forever()
            raise AssertionError

    async with engine(Slow([block("recursive_llm('q', 'c')")])) as running, anyio.create_task_group() as group:
        group.start_soon(running.ask, "?", "x")
        await reached.wait()
        group.cancel_scope.cancel()
    kinds = {label(span): failed(span) for span in spans.all}
    assert kinds == {
        "chat root 1": None,
        "chat leaf 1": "stopped",
        "execute_tool 1": "stopped",
        "invoke_agent": "interrupted",
    }


async def test_an_error_nobody_expected_ends_every_span(spans: Spans, engine: Callable[..., Engine]) -> None:
    async with engine(ScriptedProvider([ZeroDivisionError("a bug")])) as running:
        with pytest.raises(ZeroDivisionError):
            await running.ask("?", "x")
    assert {label(span): failed(span) for span in spans.all} == {"chat root 1": "stopped", "invoke_agent": "stopped"}


async def test_concurrent_runs_stay_apart(spans: Spans, engine: Callable[..., Engine]) -> None:
    class Echo(ScriptedProvider):
        async def request(self, call: Call) -> Reply:
            await anyio.lowlevel.checkpoint()
            if call.role == "leaf":
                return Reply("yes", 1, 1)
            found = re.search("Question: (.*)", call.messages[1].content)
            assert found
            return Reply(block(f"recursive_llm_map({found[1]!r}, ['a', 'b', 'c'])\nanswer({found[1]!r})"), 1, 1)

    async with engine(Echo()) as running, anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(running.ask, f"number {number}", "x")
    by_trace: dict[int, set[str]] = {}
    sizes: dict[int, int] = {}
    for span in spans.all:
        by_trace.setdefault(span.context.trace_id, set()).add(attributes(span)["gen_ai.conversation.id"])
        sizes[span.context.trace_id] = sizes.get(span.context.trace_id, 0) + 1
    assert len(by_trace) == 8
    assert all(len(runs) == 1 for runs in by_trace.values())
    assert set(sizes.values()) == {6}
    assert len(spans.tree()) == 8


async def test_a_run_hangs_below_the_callers_span(spans: Spans, engine: Callable[..., Engine]) -> None:
    tracer = trace.get_tracer("application", tracer_provider=spans.provider)
    async with engine(ScriptedProvider([block("answer(1)")])) as running:
        with tracer.start_as_current_span("request"):
            await running.ask("?", "x")
            assert trace.get_current_span().get_span_context().span_id != 0
    assert [name for name, _ in spans.tree()] == ["request"]


def test_retries_and_remarks_are_events_on_the_span_they_concern(spans: Spans) -> None:
    observer = spans.telemetry().run()
    calls = [Call("m", (Message("user", SECRET),), "leaf", cell=1) for _ in range(2)]
    observer.on_event(RunStarted("R", "m", "rlm"))
    observer.on_event(Notice("look"))
    observer.on_event(CellStarted("0", 1, "x"))
    for number, call in enumerate(calls):
        observer.on_event(CallStarted(call, number))
    observer.on_event(CallRetried(calls[0], 1, 0.5, TransientFailure(SECRET, reason="server")))
    for number, call in enumerate(calls):
        observer.on_event(CallFinished(call, number, Reply("ok", 1, 1)))
    observer.close()
    first, second, cell, agent = spans.all
    assert [(event.name, dict(event.attributes or {})["habit.reason"]) for event in first.events] == [
        ("habit.call_retried", "server")
    ]
    assert second.events == ()
    assert cell.events == ()
    assert [event.name for event in agent.events] == ["habit.notice"]
    assert SECRET not in whatever(spans)


async def test_the_setting_alone_takes_the_applications_provider(
    spans: Spans, sandbox: CPythonSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: spans.provider)
    models = ScriptedModels(ScriptedProvider([block("answer(1)")]))
    async with Engine(Settings(otel=True), models=models, sandbox=sandbox, store=MemoryStore()) as running:
        await running.ask("?", "x")
    assert len(spans.named("invoke_agent habit")) == 1
    async with Engine(Settings(), sandbox=sandbox, store=MemoryStore()) as silent:
        assert silent.resources.telemetry is None


def test_the_document_names_every_attribute_of_the_conventions() -> None:
    source = Path(otel.__file__).read_text("utf-8")
    document = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text("utf-8")
    names = set(re.findall(r'"((?:gen_ai|error)\.[a-z_.]+)"', source))
    assert len(names) > 15
    assert {name for name in names if f"`{name}`" not in document} == set()
