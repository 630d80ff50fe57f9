"""The root conversation: append-only messages, and what the model is told after each of its replies."""

from __future__ import annotations

import json
from collections.abc import Sequence

from habit.calls.call import Message
from habit.sandbox.session import CellResult
from habit.schedulers.prompts import Profile
from habit.schedulers.scheduler import Task

_MOST_SCHEMA = 6_000
"""Characters of a schema that a prompt may spend on it."""

_ENDINGS = {
    "timeout": "The cell was stopped; variables set before are still there.",
    "died": "The session was lost and a fresh one was started: `context` is there, all other variables are gone.",
}


class Conversation:
    """What the root model has been told and has said, for one session. Messages are only ever appended."""

    def __init__(self, profile: Profile, task: Task, description: str) -> None:
        self.profile = profile
        self.task = task
        self.last_code: tuple[str, ...] = ()
        self.repeated = False
        self.messages: list[Message] = [
            Message(
                "system",
                profile.render("system", returns_line=self._returns_line, slice_chars=f"{profile.slice_chars:,}"),
            ),
            Message(
                "user",
                profile.render(
                    "start",
                    query=task.query,
                    description=_whole_lines(description, profile.preview_chars),
                    returns_line=self._returns_line,
                ),
            ),
        ]

    @property
    def _returns_line(self) -> str:
        returns = self.task.returns
        if returns.schema is None:
            return ""
        schema = json.dumps(returns.schema, ensure_ascii=False)
        structured = any(word in schema for word in ('"properties"', '"$ref"', '"anyOf"', '"prefixItems"'))
        shape = f", as this JSON schema says: {schema}" if structured and len(schema) <= _MOST_SCHEMA else ""
        return f"The answer must be of type {returns.name}{shape}."

    def add_reply(self, text: str, codes: Sequence[str]) -> None:
        """Note a reply with code, and whether it is the same code as before."""
        self.repeated = tuple(codes) == self.last_code
        self.last_code = tuple(codes)
        self.messages.append(Message("assistant", text))

    def add_output(self, results: Sequence[CellResult], *, cells_left: int) -> str:
        """Tell what the cells of one reply did; returns the text of it."""
        output = "\n".join(filter(None, (self._shown(result) for result in results)))
        last = results[-1]
        notes = [_ENDINGS.get(last.status, "")]
        if self.repeated and last.status != "answered":
            notes.append("This is the same code as before, and it did the same. Write different code.")
        if cells_left <= 3:
            notes.append(
                f"{cells_left} more {'block' if cells_left == 1 else 'blocks'} of code can be run: "
                "call answer(...) with the best answer you have."
            )
        text = self.profile.render(
            "feedback",
            output=output or "(nothing was printed)",
            variables=last.variables or "none",
            query=self.task.query,
            note="\n".join(filter(None, notes)),
        )
        self.messages.append(Message("user", text))
        return text

    def add_no_code(self, text: str, *, cut_off: bool) -> str:
        """Tell that a reply held no code; a turn is never burned in silence."""
        feedback = self.profile.render("no_code", query=self.task.query)
        if cut_off:
            feedback = f"Your reply was cut off at the output limit. Be brief.\n{feedback}"
        self.repeated = False
        self.messages += [Message("assistant", text or "(empty reply)"), Message("user", feedback)]
        return feedback

    def salvage(self, reason: str, *, shortened: bool = False) -> tuple[Message, ...]:
        """The prompt that asks for the best answer from what is known; ``shortened`` keeps the last exchange only."""
        question = self.profile.render(
            "salvage", reason=reason, query=self.task.query, returns_line=self.task.returns.instruction
        )
        history = [*self.messages[:2], *self.messages[-2:]] if shortened and len(self.messages) > 4 else self.messages
        if history[-1].role == "user":  # providers want the roles to alternate
            return (*history[:-1], Message("user", f"{history[-1].content}\n\n{question}"))
        return (*history, Message("user", question))

    def _shown(self, result: CellResult) -> str:
        """A cell's output and error, cut in the middle to what the profile shows, with the size of what is left out."""
        limit = self.profile.output_chars
        text, dropped = result.stdout.rstrip("\n"), result.stdout_dropped
        if len(text) + dropped > limit:
            head, tail = limit * 2 // 3, limit // 3
            left_out = len(text) + dropped - head - tail
            text = f"{text[:head]}\n[… {left_out:,} characters left out …]\n{text[-tail:]}"
        return "\n".join(filter(None, (text, result.error.strip())))


def _whole_lines(text: str, limit: int) -> str:
    """The first lines of ``text``, at most ``limit`` characters of them; part of the first when it alone is longer."""
    if len(text) <= limit:
        return text
    return text[: text.rfind("\n", 0, limit) + 1].rstrip() or text[:limit]
