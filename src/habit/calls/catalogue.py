"""Names of providers and models: what each needs before it can be used, and near matches for what does not exist."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from habit.calls.prices import listed_models
from habit.errors import UsageError


@dataclass(frozen=True)
class ProviderEntry:
    """What a provider needs."""

    keys: tuple[str, ...] = ()
    """Environment variables, any of which may hold its key; empty when it needs none or finds credentials itself."""
    url_variable: str | None = None
    """The environment variable that may name its address."""
    default_url: str | None = None
    """Where it is when nobody says."""
    package: str | None = None
    """The Python package it needs beyond those that are always there."""
    extra: str | None = None
    """The extra of Habit that brings this package."""
    open_names: bool = True
    """False when its models are all in the price list, so that a name outside it is a typing error."""

    @property
    def key_name(self) -> str:
        """The variable to name in messages."""
        return " or ".join(self.keys) or "the environment"


PROVIDERS: dict[str, ProviderEntry] = {
    "alibaba": ProviderEntry(("ALIBABA_API_KEY", "DASHSCOPE_API_KEY")),
    "anthropic": ProviderEntry(("ANTHROPIC_API_KEY",), package="anthropic", extra="anthropic", open_names=False),
    "azure": ProviderEntry(("AZURE_OPENAI_API_KEY",)),
    "azure-responses": ProviderEntry(("AZURE_OPENAI_API_KEY",)),
    "bedrock": ProviderEntry(package="boto3", extra="bedrock"),
    "cerebras": ProviderEntry(("CEREBRAS_API_KEY",)),
    "cohere": ProviderEntry(("CO_API_KEY",), package="cohere"),
    "deepseek": ProviderEntry(("DEEPSEEK_API_KEY",)),
    "fireworks": ProviderEntry(("FIREWORKS_API_KEY",)),
    "github": ProviderEntry(("GITHUB_API_KEY",)),
    "google": ProviderEntry(
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"), package="google.genai", extra="google", open_names=False
    ),
    "google-cloud": ProviderEntry(package="google.genai", extra="google"),
    "groq": ProviderEntry(("GROQ_API_KEY",), package="groq", extra="groq"),
    "heroku": ProviderEntry(("HEROKU_INFERENCE_KEY",)),
    "huggingface": ProviderEntry(("HF_TOKEN",), package="huggingface_hub"),
    "meta": ProviderEntry(("META_API_KEY",)),
    "mistral": ProviderEntry(("MISTRAL_API_KEY",), package="mistralai", extra="mistral"),
    "moonshotai": ProviderEntry(("MOONSHOTAI_API_KEY",)),
    "nebius": ProviderEntry(("NEBIUS_API_KEY",)),
    "ollama": ProviderEntry(url_variable="OLLAMA_BASE_URL", default_url="http://localhost:11434/v1"),
    "openai": ProviderEntry(("OPENAI_API_KEY",), "OPENAI_BASE_URL", open_names=False),
    "openai-chat": ProviderEntry(("OPENAI_API_KEY",), "OPENAI_BASE_URL", open_names=False),
    "openai-responses": ProviderEntry(("OPENAI_API_KEY",), "OPENAI_BASE_URL", open_names=False),
    "openrouter": ProviderEntry(("OPENROUTER_API_KEY",)),
    "ovhcloud": ProviderEntry(("OVHCLOUD_API_KEY",)),
    "sambanova": ProviderEntry(("SAMBANOVA_API_KEY",)),
    "together": ProviderEntry(("TOGETHER_API_KEY",)),
    "vercel": ProviderEntry(("VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN")),
    "vllm": ProviderEntry(url_variable="VLLM_BASE_URL", default_url="http://localhost:8000/v1"),
    "xai": ProviderEntry(("XAI_API_KEY",), package="xai_sdk"),
    "zai": ProviderEntry(("ZAI_API_KEY",)),
}
"""Providers that ``pydantic-ai`` reaches by name and that hold conversations."""

_SUGGESTED = ("openai", "anthropic", "google", "mistral", "groq", "deepseek", "xai")


def split_model(name: str, base_url: str | None) -> tuple[str | None, str]:
    """(provider, model) of a full name. The provider is None for a bare name at a base URL. Raises UsageError.

    At a base URL anything before a colon that is no provider belongs to the model's name, as in ``qwen3:8b``.
    """
    if not name.strip() or not name.isprintable():
        raise UsageError("The model's name is empty or unprintable: name one, such as openai:gpt-5-mini.")
    prefix, colon, model = name.partition(":")
    if colon and prefix in PROVIDERS:
        if not model:
            raise UsageError(f"{name} names no model: write {prefix}:MODEL{_examples(prefix)}.")
        return prefix, model
    if base_url is not None:
        return None, name
    if colon:
        near = difflib.get_close_matches(prefix.lower(), PROVIDERS, n=3, cutoff=0.6)
        raise UsageError(
            f"There is no provider {prefix!r}{_did_you_mean(f'{match}:{model}' for match in near)}; "
            "for any OpenAI-compatible server give its address with --base-url."
        )
    raise UsageError(
        f"There is no model {name!r}: write PROVIDER:MODEL{_did_you_mean(near_models(name))}; for any OpenAI-"
        "compatible server give its address with --base-url."
    )


def check_ready(name: str, provider: str, base_url: str | None) -> None:
    """Raises UsageError when ``provider`` lacks its package or its key; needs no network and no heavy import."""
    entry = PROVIDERS[provider]
    if entry.package is not None and not _installed(entry.package):
        remedy = f"pip install 'habit[{entry.extra}]'" if entry.extra else f"pip install {entry.package}"
        raise UsageError(f"{name} needs a package that is not installed: run {remedy}.")
    elsewhere = base_url is not None or (entry.url_variable is not None and os.environ.get(entry.url_variable))
    keys = entry.keys if not elsewhere else ()
    if keys and not any(os.environ.get(key) for key in keys):
        raise UsageError(f"{name} needs a key: set the environment variable {entry.key_name}.")


def check_model(provider: str, model: str) -> None:
    """Raises UsageError when ``model`` is, as far as one can tell without asking, a typing error.

    Models newer than the price list must work. So for a provider whose models are all listed, a name outside the list
    passes when it looks like the next of a family: it has a version number, starts with a word the provider's names
    start with, and has no word that is nearly, but not quite, one of theirs.
    """
    if PROVIDERS[provider].open_names or model.startswith("ft:"):
        return
    from habit.calls.prices import PriceList

    if PriceList(provider, model).known:
        return
    listed = listed_models(provider)
    if not listed:
        return
    known_words = {word for name in listed for word in _words(name)}
    starts = {_words(name)[0] for name in listed if _words(name)}
    words = _words(model)
    misspelt = [
        word for word in words if word not in known_words and difflib.get_close_matches(word, known_words, 1, 0.7)
    ]
    if words and words[0] in starts and any(char.isdigit() for char in model) and not misspelt:
        return
    near = difflib.get_close_matches(model.lower(), listed, n=3, cutoff=0.5)
    raise UsageError(f"{provider} has no model {model!r}{_did_you_mean(f'{provider}:{match}' for match in near)}.")


def near_models(name: str) -> list[str]:
    """Full names close to ``name``, which may lack its provider or be misspelt."""
    bare = name.rpartition(":")[2].lower()
    full = {model: f"{provider}:{model}" for provider in reversed(_SUGGESTED) for model in listed_models(provider)}
    exact = [full[bare]] if bare in full else []
    return exact or [full[match] for match in difflib.get_close_matches(bare, full, n=3, cutoff=0.6)]


def _words(model: str) -> list[str]:
    return re.findall(r"[a-z]+", model.lower())


def _examples(provider: str) -> str:
    models = listed_models(provider)
    return f", such as {provider}:{models[-1]}" if models else ""


def _did_you_mean(names: Iterable[str]) -> str:
    found = list(names)
    return f"; did you mean {' or '.join(found)}" if found else ""


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False
