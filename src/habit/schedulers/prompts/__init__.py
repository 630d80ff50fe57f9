"""The prompts, in files of their own: one folder per profile and one per dialect, ``$name`` placeholders.

A template is looked for in the folder of the dialect, then in that of the profile, then in ``frontier``; where code is
handed over by a tool call, ``NAME_tool.md`` goes before ``NAME.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from string import Template
from typing import Literal, cast

ProfileName = Literal["frontier", "small"]
Dialect = Literal["habit", "rlm", "dspy"]
Execution = Literal["fence", "tool"]


@dataclass(frozen=True)
class Profile:
    """How a family of models is spoken to, and how much it is shown."""

    name: ProfileName
    output_chars: int
    """Characters of a cell's output shown to the root; head and tail, the rest is counted."""
    preview_chars: int
    """Characters of context metadata shown to the root."""
    slice_chars: int
    """Slice size suggested for leaf calls."""
    page_chars: int
    """Characters of a page of the context, as the agent loop reads it."""
    looks_first: bool = False
    """Whether the root is told which words of the question can't be searched for; see schedulers/meaning.py."""
    execution: Execution = "fence"
    """How the root hands over code where nothing else is asked for; see docs/decisions/execution.md."""
    dialect: Dialect = "habit"
    """Whose system prompt the root gets; leaf prompts are the profile's own."""
    root_temperature: float | None = None
    repeat_temperature: float | None = None
    """Used for the call after the same code came again, so that the model leaves the rut."""
    root_max_tokens: int | None = None
    leaf_temperature: float | None = None
    leaf_max_tokens: int | None = None

    @property
    def grammar(self) -> str | None:
        """The GBNF grammar that holds root replies to one code block, where a profile has one."""
        if self.dialect != "habit" or self.execution != "fence":
            return None
        return _read(self.name, "fence.gbnf")

    def grammar_beginning(self, code: str) -> str | None:
        """``grammar`` for a block that begins with ``code``, whose last line the model goes on with."""
        if self.grammar is None or not code:
            return self.grammar
        opening = "```python\n"
        held = json.dumps(f"{opening}{code}", ensure_ascii=False)
        return self.grammar.replace(json.dumps(opening), f'{held} [^\\n]* "\\n"', 1)

    def render(self, template: str, **values: object) -> str:
        """The text of one template with its placeholders filled; values are never expanded again."""
        return Template(self._template(template)).substitute({key: str(value) for key, value in values.items()}).strip()

    def shared_start(self, template: str, changing: str, **values: object) -> str:
        """What ``render`` begins with whatever the placeholder ``changing`` stands for."""
        head = self._template(template).partition(f"${{{changing}}}")[0]
        return Template(head).substitute({key: str(value) for key, value in values.items()}).lstrip()

    def _template(self, name: str) -> str:
        folders = dict.fromkeys((self.dialect, self.name, "frontier"))  # in this order, each once
        for folder in folders:
            for file in (f"{name}_tool.md", f"{name}.md") if self.execution == "tool" else (f"{name}.md",):
                if (text := _read(folder, file)) is not None:
                    return text
        raise LookupError(f"no prompt is called {name}")


FRONTIER = Profile("frontier", output_chars=8_000, preview_chars=6_000, slice_chars=20_000, page_chars=12_000)
SMALL = Profile(
    "small",
    output_chars=1_500,
    preview_chars=1_200,
    slice_chars=6_000,
    page_chars=1_500,
    looks_first=True,
    root_temperature=0.0,
    repeat_temperature=0.6,
    root_max_tokens=512,
    leaf_temperature=0.0,
    leaf_max_tokens=256,
)


def profile_for(
    name: str, model: str, *, dialect: str = "habit", execution: str = "auto", strategy: str = "rlm"
) -> Profile:
    """The profile called ``name``; ``auto`` takes ``small`` for the local model and ``frontier`` for all others.

    ``execution`` replaces the profile's own way of handing over code, unless it is ``auto``.
    """
    if name == "auto":
        name = "small" if model.partition(":")[0] == "local" else "frontier"
    profile = replace(SMALL if name == "small" else FRONTIER, dialect=cast(Dialect, dialect))
    profile = replace(profile, looks_first=profile.looks_first and dialect == "habit")
    if execution == "auto" and strategy == "agent" and profile.name == "frontier":
        execution = "tool"  # the loop as users know it
    return profile if execution == "auto" else replace(profile, execution=cast(Execution, execution))


@cache
def _read(folder: str, name: str) -> str | None:
    resource = files(__package__).joinpath(folder, name)
    return resource.read_text("utf-8") if resource.is_file() else None
