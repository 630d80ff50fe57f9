"""Names: providers, models, near matches, and what is needed to use them."""

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habit.calls import catalogue
from habit.calls.catalogue import PROVIDERS, check_model, check_ready, near_models, split_model
from habit.calls.prices import PriceList, listed_models
from habit.errors import UsageError


@pytest.mark.parametrize(
    ("name", "base_url", "expected"),
    [
        ("openai:gpt-5-mini", None, ("openai", "gpt-5-mini")),
        ("ollama:qwen3:8b", None, ("ollama", "qwen3:8b")),
        ("qwen3:8b", "http://x/v1", (None, "qwen3:8b")),
        ("meta-llama/Llama-3", "http://x/v1", (None, "meta-llama/Llama-3")),
        ("openai:my-model", "http://x/v1", ("openai", "my-model")),
    ],
)
def test_names_are_split_at_their_provider(name, base_url, expected):
    assert split_model(name, base_url) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("opnai:gpt-5-mini", "openai:gpt-5-mini"),
        ("antropic:claude-haiku-4-5", "anthropic:claude-haiku-4-5"),
        ("gpt-5-mini", "openai:gpt-5-mini"),
        ("claude-haiku-4.5", "anthropic:claude-haiku-4-5"),
        ("qwzx", "--base-url"),
        ("qwzx:8b", "--base-url"),
    ],
)
def test_unknown_names_come_with_near_matches(name, hint):
    with pytest.raises(UsageError) as error:
        split_model(name, None)
    assert hint in str(error.value)


@given(st.text(max_size=30))
def test_any_name_is_split_or_refused(name):
    try:
        provider, model = split_model(name, "http://x/v1")
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most names raise nothing
    else:
        assert name == (model if provider is None else f"{provider}:{model}")


@pytest.mark.parametrize(
    "model",
    ["gpt-5-mini", "gpt-4o-mini-2024-07-18", "gpt-99-mini", "gpt-9", "o7-mini", "ft:gpt-4o-mini:me::x", "gpt-9-zephyr"],
)
def test_models_newer_than_the_list_pass(model):
    check_model("openai", model)


@pytest.mark.parametrize(
    ("provider", "model", "hint"),
    [
        ("openai", "gpt-5-mnii", "openai:gpt-5-mini"),
        ("openai", "gtp-5-mini", "openai:gpt-5-mini"),
        ("openai", "nonsense", ""),
        ("openai", "gpt-nonsense", ""),
        ("anthropic", "claude-hiaku-4-5", "anthropic:claude-haiku-4-5"),
        ("google", "gemni-2.5-flash", "google:gemini-2.5-flash"),
    ],
)
def test_typing_errors_do_not(provider, model, hint):
    with pytest.raises(UsageError, match=f"{provider} has no model") as error:
        check_model(provider, model)
    assert hint in str(error.value)


def test_every_listed_model_passes():
    for provider in ("openai", "anthropic", "google"):
        for model in listed_models(provider):
            check_model(provider, model)


def test_providers_with_models_of_their_own_are_not_checked():
    check_model("ollama", "anything")
    check_model("openrouter", "any/thing")


def test_near_models_prefers_the_exact_name():
    assert near_models("gpt-5-mini") == ["openai:gpt-5-mini"]


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match="set the environment variable OPENAI_API_KEY"):
        check_ready("openai:gpt-5", "openai", None)
    check_ready("openai:gpt-5", "openai", "http://x/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    check_ready("openai:gpt-5", "openai", None)


@pytest.mark.parametrize("provider", [name for name, entry in PROVIDERS.items() if entry.extra])
def test_a_missing_package_comes_with_its_remedy(provider, monkeypatch):
    monkeypatch.setattr(catalogue, "_installed", lambda package: False)
    with pytest.raises(UsageError, match=rf"pip install 'habit\[{PROVIDERS[provider].extra}\]'"):
        check_ready(f"{provider}:x", provider, None)


def test_every_provider_is_one_that_pydantic_ai_knows():
    from pydantic_ai.providers import infer_provider_class

    for name, entry in PROVIDERS.items():
        if entry.package is None or importlib.util.find_spec(entry.package.partition(".")[0]) is not None:
            assert infer_provider_class(name)
        else:
            with pytest.raises(ImportError):
                infer_provider_class(name)


def test_prices():
    prices = PriceList("openai", "gpt-5-mini")
    assert (prices.known, prices.window) == (True, 400_000)
    assert prices.cost(1_000_000, 0) == pytest.approx(0.25)
    cached = prices.cost(1_000_000, 0, cache_read_tokens=500_000)
    assert cached is not None
    assert cached < 0.2
    assert prices.cost(1, 0, cache_read_tokens=5) is None
    assert PriceList("anthropic", "claude-haiku-4-5").window == 200_000
    assert PriceList("bedrock", "nope").cost(1, 1) is None
    assert PriceList("ollama", "qwen3").cost(1, 1) is None


def test_prices_without_a_provider_go_by_the_address_alone():
    assert PriceList(None, "gpt-5-mini", url="http://127.0.0.1:8000/v1").cost(1, 1) is None
    assert PriceList(None, "gpt-5-mini").cost(1, 1) is None
    assert PriceList(None, "gpt-5-mini", url="https://api.openai.com/v1").cost(1_000_000, 0) == pytest.approx(0.25)
