"""``--events`` and ``--otel`` from end to end: real files and pipes, and OTLP over real HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_bench import InProcess, Program, Result, Terminal
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support.mock_server import MockServer, running_server

SECRET = "nobody's business"
CODE = f"```python\nprint({SECRET!r})\nanswer(len(context.splitlines()))\n```"


class Bench:
    """The command line with a server that it asks."""

    def __init__(self, habit: InProcess, server: MockServer) -> None:
        self.habit = habit
        self.model = ["--model", "mock", "--base-url", server.url]

    def ask(self, *arguments: str, **details: Any) -> Result:
        return self.habit("ask", SECRET, *self.model, *arguments, stdin=b"a\nb\n", **details)


@pytest.fixture
def bench(habit: InProcess) -> Iterator[Bench]:
    with running_server(lambda request: CODE) as server:
        yield Bench(habit, server)


def events_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_go_to_a_file_without_words(bench: Bench, own_place: Path) -> None:
    result = bench.ask("--events", "events.jsonl", "--json")
    assert result.json["answer"] == "2"
    events = events_in(own_place / "events.jsonl")
    assert [event["event"] for event in events] == [
        "run_started",
        "call_started",
        "call_finished",
        "cell_started",
        "cell_finished",
        "run_ended",
    ]
    assert {event["run"] for event in events} == {result.json["run"]}
    assert events[2]["input_tokens"] == 10
    assert SECRET not in (own_place / "events.jsonl").read_text()


def test_words_go_there_on_request(bench: Bench, own_place: Path) -> None:
    bench.ask("--events", "events.jsonl", "--events-content")
    events = events_in(own_place / "events.jsonl")
    assert events[-1]["query"] == SECRET
    assert events[4]["stdout"] == f"{SECRET}\n"


@pytest.mark.parametrize("command", ["resume", "replay"])
def test_a_repeated_run_tells_its_events(bench: Bench, own_place: Path, command: str) -> None:
    bench.ask("--max-calls", "1") if command == "replay" else bench.ask("--max-tokens", "1")
    bench.habit(command, "last", "--events", "again.jsonl", *(["--max-calls", "9"] if command == "resume" else []))
    names = [event["event"] for event in events_in(own_place / "again.jsonl")]
    assert (names[0], names[-1]) == ("run_started", "run_ended")


def test_a_conversation_tells_the_events_of_every_question(program: Program, own_place: Path) -> None:
    (own_place / "input.txt").write_text("a\nb\n")
    answers = iter(["first-done", "second-done"])
    with running_server(lambda request: f"```python\nanswer({next(answers)!r})\n```") as server:
        terminal = Terminal()
        model = ["--model", "mock", "--base-url", server.url]
        process = terminal.start(program, "ask", "-i", "input.txt", *model, "--events", "events.jsonl")
        for question, wanted in ((b"one?", b"first-done"), (b"two?", b"second-done")):
            terminal.read_until(b"habit> ")
            terminal.type(question + b"\r")
            terminal.read_until(wanted)
        terminal.type(b"\r")
        terminal.read_all()
        assert process.wait(60) == 0
    events = events_in(own_place / "events.jsonl")
    assert [event["event"] for event in events].count("run_ended") == 2
    assert len({event["run"] for event in events} - {None}) == 2


def test_a_full_disk_is_a_warning(bench: Bench) -> None:
    result = bench.ask("--events", "/dev/full")
    assert (result.code, result.raw_out) == (0, b"2\n")
    assert "Not all events are in /dev/full: No space left on device." in result.err


@pytest.mark.parametrize("path", ["-", "no/folder/here"])
def test_what_can_not_be_opened_starts_nothing(bench: Bench, own_place: Path, path: str) -> None:
    result = bench.ask("--events", path)
    assert result.code == 2
    assert "--events" in result.err
    assert not (own_place / ".habit").exists()


class Collector:
    """An OTLP collector: takes spans by HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def service(self) -> str:
        resource = self.requests[0][1].resource_spans[0].resource
        return next(each.value.string_value for each in resource.attributes if each.key == "service.name")


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") is None:
                collector.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_telemetry_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def test_spans_reach_a_collector(bench: Bench) -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with collecting() as collector:
        result = bench.ask("--otel", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, TRACEPARENT=parent)
    assert (result.code, result.raw_out) == (0, b"2\n")
    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    assert collector.service == "habit"
    by_name = {span.name: span for span in collector.spans}
    assert set(by_name) == {"invoke_agent habit", "chat mock", "execute_tool run_python"}
    agent = by_name["invoke_agent habit"]
    assert (agent.trace_id.hex(), agent.parent_span_id.hex()) == ("ab" * 16, "cd" * 8)
    assert by_name["chat mock"].parent_span_id == by_name["execute_tool run_python"].parent_span_id == agent.span_id
    assert SECRET.encode() not in b"".join(request.SerializeToString() for _, request in collector.requests)


def test_the_environment_turns_spans_and_content_on(bench: Bench) -> None:
    with collecting() as collector:
        bench.ask(
            HABIT_OTEL="1",
            OTEL_SERVICE_NAME="reports",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/elsewhere",
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
        )
    assert {path for path, _ in collector.requests} == {"/elsewhere"}
    assert collector.service == "reports"
    assert SECRET.encode() in b"".join(request.SerializeToString() for _, request in collector.requests)


def test_a_collector_that_refuses_is_a_warning(bench: Bench) -> None:
    with collecting(status=400) as collector:
        result = bench.ask("--otel", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (result.code, result.raw_out) == (0, b"2\n")
    assert "Not all spans could be sent" in result.err
    assert "Traceback" not in result.err


def test_without_being_asked_for_nothing_is_sent(bench: Bench) -> None:
    with collecting() as collector:
        bench.ask(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.requests == []


def test_spans_on_the_console_leave_stdout_alone(bench: Bench) -> None:
    result = bench.ask("--otel", OTEL_TRACES_EXPORTER="console")
    assert result.raw_out == b"2\n"
    assert "invoke_agent habit" in result.err


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "set it to otlp, console or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "set it to http/protobuf"),
    ],
)
def test_what_can_not_be_had_starts_nothing(
    bench: Bench, own_place: Path, variables: dict[str, str], said: str
) -> None:
    result = bench.ask("--otel", **variables)
    assert result.code == 2
    assert said in result.err
    assert not (own_place / ".habit").exists()


def test_a_missing_package_says_how_to_install_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    result = bench.ask("--otel")
    assert (result.code, "pip install 'habit[otel]'" in result.err) == (2, True)
