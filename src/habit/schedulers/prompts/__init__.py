"""The prompts, in files of their own: one folder per profile, ``$name`` placeholders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Literal

ProfileName = Literal["frontier", "small"]


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
    root_temperature: float | None = None
    repeat_temperature: float | None = None
    """Used for the call after the same code came again, so that the model leaves the rut."""
    root_max_tokens: int | None = None
    leaf_temperature: float | None = None
    leaf_max_tokens: int | None = None

    @property
    def grammar(self) -> str | None:
        """The GBNF grammar that holds root replies to one code block, where a profile has one."""
        return _read(self.name, "fence.gbnf", required=False)

    def render(self, template: str, **values: object) -> str:
        """The text of one template with its placeholders filled; values are never expanded again."""
        text = _read(self.name, f"{template}.md")
        assert text is not None
        return Template(text).substitute({key: str(value) for key, value in values.items()}).strip()


FRONTIER = Profile("frontier", output_chars=8_000, preview_chars=6_000, slice_chars=20_000)
SMALL = Profile(
    "small",
    output_chars=1_500,
    preview_chars=1_200,
    slice_chars=6_000,
    root_temperature=0.0,
    repeat_temperature=0.6,
    root_max_tokens=512,
    leaf_temperature=0.0,
    leaf_max_tokens=256,
)


def profile_for(name: str, model: str) -> Profile:
    """The profile called ``name``; ``auto`` takes ``small`` for the local model and ``frontier`` for all others."""
    if name == "auto":
        name = "small" if model.partition(":")[0] == "local" else "frontier"
    return SMALL if name == "small" else FRONTIER


@cache
def _read(profile: str, name: str, *, required: bool = True) -> str | None:
    resource = files(__package__).joinpath(profile, name)
    if not required and not resource.is_file():
        return None
    return resource.read_text("utf-8")
