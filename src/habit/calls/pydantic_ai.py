"""Models by name: clouds through pydantic-ai's model layer; Ollama, vLLM and any server at a base URL directly.

Importing that layer takes seconds, so it is imported late and in a thread.
"""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from habit.calls.call import Call, Message, Reply
from habit.calls.catalogue import PROVIDERS, ProviderEntry, check_model, check_ready, split_model
from habit.calls.clients import Clients, heard_limits
from habit.calls.concurrency import most_at_once
from habit.calls.failures import blames_schema, blames_tools, no_tools, one_line, secrets_in_environment, too_slow
from habit.calls.prices import PriceList, listed_models
from habit.calls.provider import Provider
from habit.calls.structured import as_object_schema
from habit.calls.tokens import estimate_prompt, estimate_text
from habit.errors import CallFailed, UsageError

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from pydantic_ai.providers import Provider as PydanticAIBackend
    from pydantic_ai.settings import ModelSettings

    from habit.calls.translate import Endpoint

DEFAULT_TIMEOUT = 600.0
"""Seconds that one attempt may take in all."""
CLOUD_WINDOW = 128_000
"""Tokens assumed for a model of a cloud provider that the price list does not describe."""
SERVER_WINDOW = 32_768
"""Tokens assumed for a model of a server of one's own."""
NO_KEY = "no-key"
"""Sent where a protocol wants a key and there is none to send."""

_OWN_SERVERS = (None, "ollama", "vllm")
_CACHES_WHERE_TOLD = ("anthropic", "bedrock", "openrouter")
"""Providers with models that cache a prompt up to marked places only; the others see for themselves what repeats."""


async def open_provider(
    model: str,
    *,
    base_url: str | None = None,
    concurrency: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - of every later request, not of this function
    window: int | None = None,
    send_key: bool = True,
) -> Provider:
    """The provider for a full name such as ``openai:gpt-5-mini``; sends nothing.

    With ``base_url`` a name needs no provider and is taken for a model of an OpenAI-compatible server there. Its key
    comes from HABIT_API_KEY, else from the provider's own variable (OPENAI_API_KEY without a provider), else a
    placeholder is sent; with ``send_key=False`` always the placeholder. ``timeout`` is in seconds, for one attempt;
    ``concurrency`` is a ceiling.
    Raises UsageError.
    """
    work = partial(
        build_provider,
        model,
        base_url=base_url,
        concurrency=concurrency,
        timeout=timeout,
        window=window,
        send_key=send_key,
    )
    return await anyio.to_thread.run_sync(work)


def build_provider(
    model: str,
    *,
    base_url: str | None = None,
    concurrency: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    window: int | None = None,
    send_key: bool = True,
) -> Provider:
    """``open_provider`` for threads: takes seconds the first time."""
    provider, name = split_model(model, base_url)
    entry = PROVIDERS[provider] if provider else ProviderEntry(("OPENAI_API_KEY",))
    url = base_url or os.environ.get(entry.url_variable or "") or entry.default_url
    if url is not None:
        _check_url(url)
    if provider is not None:
        check_ready(model, provider, url)
        if url is None:
            check_model(provider, name)
    variables = ("HABIT_API_KEY", *entry.keys) if base_url is not None else entry.keys
    key = next((value for variable in variables if (value := os.environ.get(variable))), None) if send_key else None
    key_name = " or ".join(variables) or "your environment"
    secrets = [*secrets_in_environment(), *filter(None, [key])]
    if provider in _OWN_SERVERS:
        from habit.calls.chat_server import ChatServer

        assert url is not None  # a name without a provider needs one, and the others have a default
        prices = PriceList(None, name, url=url)
        return ChatServer(
            model,
            name,
            url,
            api_key=key or NO_KEY,
            key_name=key_name,
            prices=prices,
            window=window or prices.window or SERVER_WINDOW,
            concurrency=most_at_once(concurrency),
            timeout=timeout,
            secrets=secrets,
        )
    assert provider is not None
    prices = PriceList(provider, name, url=url)
    clients = Clients(timeout, url=url)
    try:
        built = _build(provider, name, url, key, clients)
    except UsageError:
        raise
    except Exception as problem:  # noqa: BLE001 - each SDK has its own way to say that a setting is missing
        said = one_line(str(problem).partition(" To try Pydantic AI")[0], secrets_in_environment())
        raise UsageError(f"{model} can't be used: {said}") from None

    from habit.calls.translate import Endpoint, without_retries

    endpoint = Endpoint(
        model,
        key_name=key_name,
        secrets=secrets,
        timeout=timeout,
        near=partial(_near, provider, name),
    )
    return PydanticAIProvider(
        endpoint,
        built,
        clients,
        prices,
        without_retries(built),
        window=window or prices.window or CLOUD_WINDOW,
        concurrency=most_at_once(concurrency),
        breakpoints=provider in _CACHES_WHERE_TOLD,
    )


class PydanticAIProvider:
    """One model of any provider that pydantic-ai knows."""

    def __init__(
        self,
        endpoint: Endpoint,
        built: Model,
        clients: Clients,
        prices: PriceList,
        settings: ModelSettings,
        *,
        window: int,
        concurrency: int,
        breakpoints: bool,
    ) -> None:
        self.model = endpoint.model
        self.window = window
        self.concurrency = concurrency
        self._endpoint = endpoint
        self._built = built
        self._clients = clients
        self._prices = prices
        self._settings = settings
        self._breakpoints = breakpoints
        self._structured = bool(built.profile.get("supports_json_schema_output", False))
        self._tools = bool(built.profile.get("supports_tools", True))

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """A cautious estimate: these providers tell the size of a prompt only after it was sent."""
        return await estimate_prompt(messages)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """From the price list."""
        return self._prices.cost(input_tokens, output_tokens)

    async def request(self, call: Call) -> Reply:
        """Send once. A server that rejects the schema is asked again without it, now and from then on."""
        if call.tools and not self._tools:
            raise no_tools(self.model)
        schema = as_object_schema(call.schema) if call.schema is not None and self._structured else None
        try:
            return await self._send(call, schema)
        except CallFailed as failure:
            if call.tools and blames_tools(failure):
                raise no_tools(self.model, str(failure)) from None
            if schema is None or not blames_schema(failure):
                raise
        self._structured = False
        return await self._send(call, None)

    async def aclose(self) -> None:
        """Give back connections."""
        await self._clients.aclose()

    async def _send(self, call: Call, schema: dict[str, Any] | None) -> Reply:
        from pydantic_ai.direct import model_request

        from habit.calls import translate

        response = None
        with heard_limits() as limits, anyio.move_on_after(self._endpoint.timeout):
            try:
                response = await model_request(
                    self._built,
                    translate.to_messages(call, breakpoints=self._breakpoints),
                    model_settings=translate.to_settings(
                        call.sampling, self._settings, goes_on=self._breakpoints and call.role == "root"
                    ),
                    model_request_parameters=translate.to_parameters(schema, tools=call.tools),
                    instrument=False,
                )
            except translate.PROBLEMS as problem:
                # Not chained: the problem may quote headers or bodies that hold a key.
                raise translate.to_failure(problem, self._endpoint) from None
        if response is None:
            raise too_slow(self.model, self._endpoint.timeout)
        text = translate.to_text(response, tools=call.tools)
        estimated = not response.usage.input_tokens and not response.usage.output_tokens
        if estimated:
            response.usage.input_tokens = await estimate_prompt(call.messages)
            thoughts = "".join(str(getattr(part, "content", "")) for part in response.parts)
            response.usage.output_tokens = max(estimate_text(text), estimate_text(thoughts))
        reply = translate.to_reply(response, text, self._endpoint, cost=self._prices.cost, estimated=estimated)
        return replace(reply, limits=tuple(limits))


def _build(provider: str, name: str, url: str | None, key: str | None, clients: Clients) -> Model:
    """The model object, on our own HTTP client."""
    from pydantic_ai.models import infer_model
    from pydantic_ai.providers import infer_provider_class

    def backend(kind: str) -> PydanticAIBackend[Any]:
        factory = infer_provider_class(kind)
        accepted = inspect.signature(factory).parameters
        arguments: dict[str, Any] = {}
        if "http_client" in accepted:
            older = str(accepted["http_client"].annotation).startswith("httpx.")
            arguments["http_client"] = clients.httpx() if older else clients.httpx2()
        if url is not None:
            if "base_url" not in accepted:
                raise UsageError(f"{kind} has an address of its own: leave out --base-url, or the {kind}: in the name.")
            arguments["base_url"] = url
            arguments["api_key"] = key or NO_KEY
        return factory(**arguments)

    # At an address of one's own the older chat protocol is the one that everybody speaks.
    kind = "openai-chat" if provider == "openai" and url is not None else provider
    return infer_model(f"{kind}:{name}", provider_factory=backend)


def _near(provider: str, name: str) -> str:
    matches = difflib.get_close_matches(name.lower(), listed_models(provider), n=3)
    return f"; did you mean {' or '.join(f'{provider}:{match}' for match in matches)}?" if matches else ""


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        if parts.username or parts.password or parts.query or parts.fragment:  # the journal holds the address
            raise UsageError("The base URL must not hold a password or a query: put the key into HABIT_API_KEY.")
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"The base URL {one_line(url)!r} is not an address: write it as http://HOST:PORT/v1.")
