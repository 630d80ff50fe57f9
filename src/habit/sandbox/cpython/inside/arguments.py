"""What the functions of a session accept, checked in the same words wherever their code runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def query_of(function: str, query: Any) -> str:
    """A question; raises TypeError or ValueError that says what is wrong with it."""
    if not isinstance(query, str):
        raise TypeError(f"{function}(query, …): the query must be a str and not a {type(query).__name__}")
    if not query.strip():
        raise ValueError(f"{function}(query, …): the query is empty; say what to find out")
    return query


def check_map(contexts: Any, on_error: Any) -> None:
    """Raises TypeError or ValueError when these are no arguments of ``recursive_llm_map``."""
    if isinstance(contexts, (str, bytes, Mapping)) or not isinstance(contexts, Iterable):
        raise TypeError(
            "recursive_llm_map(query, contexts): contexts must be a list, one context for each call, and this is a "
            f"{type(contexts).__name__}; for a single context use recursive_llm(query, context)"
        )
    if on_error not in ("raise", "return"):
        raise ValueError(f'on_error must be "raise" or "return" and not {on_error!r}')


def prompt_of(function: str, prompt: Any) -> str:
    """A prompt; raises TypeError or ValueError that says what is wrong with it."""
    if not isinstance(prompt, str):
        raise TypeError(f"{function}(prompt): the prompt must be a str and not a {type(prompt).__name__}")
    if not prompt.strip():
        raise ValueError(f"{function}(prompt): the prompt is empty; say what to find out")
    return prompt


def prompts_of(function: str, prompts: Any) -> list[str]:
    """A list of prompts; raises TypeError or ValueError that says what is wrong with it."""
    if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(prompts, Iterable):
        raise TypeError(f"{function}(prompts): prompts must be a list of str and not a {type(prompts).__name__}")
    return [prompt_of(function, prompt) for prompt in prompts]
