"""Between our calls and pydantic-ai's requests, replies and errors. Heavy: imported in a thread, by ``pydantic_ai``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx2
from pydantic_ai import exceptions as errors
from pydantic_ai.messages import (
    CachePoint,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from habit.calls import toolcalls
from habit.calls.call import Call, Message, Reply, Sampling, sendable
from habit.calls.failures import broken, failure_for_status, nonsense, one_line, too_slow
from habit.calls.provider import UnusableReply
from habit.calls.tools import Tools
from habit.errors import CallFailed

# Models that always reason take no temperature; the library leaves it out by itself, and nobody can act on being told.
warnings.filterwarnings(
    "ignore", message=r"Sampling parameters .* are not supported when reasoning", category=UserWarning
)

PROBLEMS = (
    errors.AgentRunError,
    errors.UserError,
    httpx2.HTTPError,
    aiohttp.ClientError,
    OSError,
    # A hostile or broken body meets code that expects the documented shape, anywhere in a provider's SDK.
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a request may raise for reasons that are the server's, not ours."""

_STATUS_OF = (
    (errors.ModelQuotaExceededError, 402),
    (errors.ModelRateLimitError, 429),
    (errors.ModelUnavailableError, 503),
    (errors.ModelServerError, 500),
    (errors.ModelContextWindowExceededError, 413),
    (errors.ModelAuthenticationError, 401),
    (errors.ModelNotFoundError, 404),
    (errors.ModelRequestRejectedError, 400),
)
"""The HTTP status that a category of error has, for errors that came without one; the most special first."""


@dataclass(frozen=True)
class Endpoint:
    """What messages about a failure need to know."""

    model: str
    key_name: str
    secrets: Sequence[str]
    timeout: float
    near: Callable[[], str]
    """A hint at models with similar names, for when the server does not know this one."""


def to_messages(call: Call, *, breakpoints: bool = False) -> list[ModelMessage]:
    """The prompt of a call in pydantic-ai's terms; when it has tools, with earlier calls of them as such.

    With ``breakpoints`` the end of what other calls share is marked, for a provider that caches where it is told to.
    """
    converted: list[ModelMessage] = []
    for turn in toolcalls.as_turns(call.messages, call.tools) if call.tools else call.messages:
        if isinstance(turn, toolcalls.ToolCalls):
            prose = [TextPart(sendable(turn.prose))] if turn.prose.strip() else []
            calls = [
                ToolCallPart(made.tool, toolcalls.sendable_arguments(made), identity) for identity, made in turn.calls
            ]
            converted.append(ModelResponse(parts=[*prose, *calls]))
            continue
        if isinstance(turn, Message) and turn.role == "assistant":
            converted.append(ModelResponse(parts=[TextPart(sendable(turn.content))]))
            continue
        part = _request_part(turn, breakpoints)
        last = converted[-1] if converted else None
        if isinstance(last, ModelRequest):
            last.parts = [*last.parts, part]
        else:
            converted.append(ModelRequest(parts=[part]))
    return converted


def _request_part(
    turn: Message | toolcalls.ToolResult, breakpoints: bool
) -> SystemPromptPart | UserPromptPart | ToolReturnPart:
    if isinstance(turn, toolcalls.ToolResult):
        return ToolReturnPart(turn.tool, sendable(turn.text), turn.id)
    text = sendable(turn.content)  # as long as before: a shared part ends where it did
    if breakpoints and turn.role == "user" and 0 < turn.shared < len(text):
        return UserPromptPart([text[: turn.shared], CachePoint(), text[turn.shared :]])
    return SystemPromptPart(text) if turn.role == "system" else UserPromptPart(text)


def without_retries(model: Model[Any]) -> ModelSettings:
    """Switches the SDK's own retries off, because ours are on; returns what to say with each request for that."""
    client = getattr(model, "client", None)
    if isinstance(getattr(client, "max_retries", None), int):
        client.max_retries = 0  # type: ignore[union-attr]
        return ModelSettings()  # saying it with each request would copy the client each time
    return ModelSettings() if "max_retries" in model.unsupported_settings else ModelSettings(max_retries=0)


def to_settings(sampling: Sampling, always: ModelSettings, *, goes_on: bool = False) -> ModelSettings:
    """Sampling settings that every provider may be told, on top of ``always``.

    ``goes_on``: the prompt is a conversation that only grows, worth a breakpoint after its instructions and at its end.
    """
    settings = always.copy()
    if goes_on:
        settings["cache"] = True
    if sampling.temperature is not None:
        settings["temperature"] = sampling.temperature
    if sampling.max_tokens is not None:
        settings["max_tokens"] = sampling.max_tokens
    if sampling.seed is not None:
        settings["seed"] = sampling.seed
    return settings


def to_parameters(schema: Mapping[str, Any] | None, *, tools: Tools = ()) -> ModelRequestParameters:
    """Free text, or structured output by an object schema; with or without tools."""
    ours = [
        ToolDefinition(name=tool.name, parameters_json_schema=dict(tool.parameters), description=tool.description)
        for tool in tools
    ]
    if schema is None:
        return ModelRequestParameters(function_tools=ours)
    output = OutputObjectDefinition(json_schema=dict(schema), name="reply")
    return ModelRequestParameters(
        function_tools=ours, output_mode="native", output_object=output, allow_text_output=False
    )


def to_text(response: ModelResponse, *, tools: Tools = ()) -> str:
    """The text of a response, without its reasoning; where tools were offered, calls of them in their text form."""
    prose = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    if not tools:
        return prose
    calls = [(part.tool_name, part.args) for part in response.parts if isinstance(part, ToolCallPart)]
    return toolcalls.read_reply(prose, calls, tools, cut_off=response.finish_reason == "length")


def to_reply(
    response: ModelResponse,
    text: str,
    endpoint: Endpoint,
    *,
    cost: Callable[..., float | None],
    estimated: bool = False,
) -> Reply:
    """The reply with this ``text``; raises UnusableReply when it is none."""
    usage = response.usage
    reply = Reply(
        text=text,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        usd=cost(
            usage.input_tokens,
            usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        ),
        finish="length" if response.finish_reason == "length" else "stop",
        cache_read_tokens=usage.cache_read_tokens,
        estimated=estimated,
    )
    if response.finish_reason == "content_filter":
        said = one_line(str((response.provider_details or {}).get("refusal") or text), endpoint.secrets)
        raise UnusableReply(
            f"{endpoint.model} refused to answer{f': {said}' if said else ''}", reason="refused", billed=reply
        )
    if response.finish_reason == "error":
        raise nonsense(endpoint.model, text or "it reports an error of its own", endpoint.secrets)
    if not text.strip():
        why = " because reasoning used up its output tokens: allow it more" if reply.finish == "length" else ""
        raise UnusableReply(f"{endpoint.model} gave an empty reply{why}", reason="empty", billed=reply)
    return reply


def to_failure(problem: Exception, endpoint: Endpoint) -> CallFailed:
    """The failure behind one of PROBLEMS."""
    if isinstance(problem, errors.ModelConnectionError | httpx2.TransportError | aiohttp.ClientError | OSError):
        if _timed_out(problem):
            return too_slow(endpoint.model, endpoint.timeout)
        return broken(endpoint.model, _root_message(problem), endpoint.secrets)
    status, body, headers, wait = _status(problem)
    if status is not None:
        return failure_for_status(
            status,
            body,
            headers,
            model=endpoint.model,
            key_name=endpoint.key_name,
            wait=wait,
            secrets=endpoint.secrets,
            near=endpoint.near() if status == 404 else "",
        )
    detail = problem.message if isinstance(problem, errors.AgentRunError | errors.UserError) else repr(problem)
    if isinstance(problem, errors.UserError):
        return CallFailed(f"{endpoint.model} can't take this call ({one_line(detail)})", reason="rejected")
    return nonsense(endpoint.model, detail, endpoint.secrets)


def _status(problem: Exception) -> tuple[int | None, Any, Mapping[str, str] | None, float | None]:
    """(status, body, headers, seconds to wait) of an error answer; status None when it was not one."""
    if isinstance(problem, errors.ModelHTTPError):
        return problem.status_code, problem.body, problem.headers, problem.retry_after
    if isinstance(problem, errors.ModelAPIError):
        for kind, status in _STATUS_OF:
            if isinstance(problem, kind):
                return status, problem.body or problem.message, None, problem.retry_after
        for cause in _causes(problem):
            redirect = getattr(cause, "status_code", None)
            if isinstance(redirect, int) and 300 <= redirect < 400:
                return redirect, None, None, None
    return None, None, None, None


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while problem is not None and id(problem) not in seen:
        seen.add(id(problem))
        yield problem
        problem = problem.__cause__ or problem.__context__


def _timed_out(problem: Exception) -> bool:
    """The transport calls every lost connection a time-out; what aiohttp raised first tells them apart."""
    chain = list(_causes(problem))
    if any(isinstance(cause, aiohttp.ClientError | ConnectionError) for cause in chain):
        return any(isinstance(cause, TimeoutError) for cause in chain)
    return any(isinstance(cause, TimeoutError | httpx2.TimeoutException | errors.ModelTimeoutError) for cause in chain)


def _root_message(problem: Exception) -> str:
    """What the innermost cause says."""
    for cause in reversed(list(_causes(problem))):
        if str(cause):
            return str(cause)
    return type(problem).__name__
