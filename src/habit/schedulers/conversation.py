"""The root conversation: what the model is told after each of its replies, and how a long one is folded.

Messages are only ever appended, so that providers can reuse what they have read; until the conversation nears the
model's window. Then its oldest exchanges are folded at once into one line for each cell and the list of variables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from habit.calls.call import Message
from habit.sandbox.session import CellResult
from habit.schedulers.prompts import Profile
from habit.schedulers.scheduler import Task

_MOST_SCHEMA = 6_000
"""Characters of a schema that a prompt may spend on it."""

MOST_REPEATS = 5
"""After so many repeats in a row of the same code, to the same effect, a model is not asked for more of it."""
_MOST_LINES = 80
"""Lines of a fold; older ones are only counted."""
_LINE_CHARS = 100
"""Characters of code, and of output, that a line of a fold shows of a cell."""


class Conversation:
    """What the root model has been told and has said, for one session."""

    words = ""
    """What the names of its prompts begin with."""
    endings: Mapping[str, str] = {
        "timeout": "The cell was stopped; variables set before are still there.",
        "died": "The session was lost and a fresh one was started: `context` is there, all other variables are gone.",
    }
    """What is said of a cell that ended so."""
    same_again = "This is the same code as before, and it did the same. Write different code."
    last_steps = "{} of code can be run: call answer(...) with the best answer you have."
    step = ("block", "blocks")

    def __init__(self, profile: Profile, task: Task, description: str) -> None:
        self.profile = profile
        self.task = task
        self.repeats = 0
        """How often in a row the same code came again, and did the same."""
        self._last: tuple[Sequence[str], Sequence[tuple[str, ...]]] = ((), ())
        """The code of the last reply, and what it did."""
        self._code: Sequence[str] = ()
        self.folded = 0
        """Cells that were folded away."""
        self._cells = 0
        self._cells_before = 0
        """Cells of the questions before this one."""
        self._variables = ""
        self._exchanges: list[tuple[list[str], int]] = []
        """A line for each cell of each exchange, and how many cells there were by its end; an exchange is a reply and
        what it was answered with."""
        self._lines: list[str] = []
        """Lines of the reply that was not yet answered with anything."""
        self._summary: list[str] = []
        """Lines of the exchanges that were folded."""
        start = self.rendered(
            "start",
            query=task.query,
            description=_whole_lines(description, profile.preview_chars),
            returns_line=self._returns_line,
        )
        if task.hint:
            start = f"{start}\n\n{task.hint}"
        self.messages: list[Message] = [Message("system", self.system), Message("user", start)]
        self._start = start

    @property
    def system(self) -> str:
        """How the root is to work."""
        return self.rendered(
            "system",
            returns_line=self._returns_line,
            slice_chars=f"{self.profile.slice_chars:,}",
            hand_over=self.rendered("hand_over"),
        )

    def rendered(self, template: str, **values: object) -> str:
        """A prompt of this kind of conversation."""
        return self.profile.render(f"{self.words}{template}", **values)

    @property
    def folded_of_this_question(self) -> int:
        """Cells about the question at hand that were folded away."""
        return max(0, self.folded - self._cells_before)

    @property
    def is_stuck(self) -> bool:
        """Whether the model sent the same code so often, to the same effect, that more of it is of no use."""
        return self.repeats >= MOST_REPEATS

    def _forget_code(self) -> None:
        self.repeats, self._last = 0, ((), ())

    def ask_another(self, task: Task) -> None:
        """Go on with another question about the same input."""
        self.task = task
        self._cells_before = self._cells
        self._forget_code()
        text = self.rendered(
            "follow_up",
            given=self._lines[-1] if self._lines else "",
            variables=self._variables or "none",
            query=task.query,
            returns_line=self._returns_line,
        )
        if task.hint:
            text = f"{text}\n\n{task.hint}"
        self._lines.append(f"another question: {_cut(task.query)}")
        if self.messages[-1].role == "user":  # the question before was stopped; providers want roles to alternate
            self.messages[-1] = Message("user", f"{self.messages[-1].content}\n\n{text}")
            if self._exchanges:
                self._exchanges[-1][0].extend(self._lines)
            self._lines = []
        else:
            self._tell(text)

    def fold(self, keep: int) -> bool:
        """Fold all but the last ``keep`` exchanges into a summary at the start; False when there is none to fold."""
        count = len(self.older(keep)) // 2
        if not count:
            return False
        for lines, cells in self._exchanges[:count]:
            self._summary += lines
            self.folded = cells
        del self._exchanges[:count]
        kept = self.messages[2 + 2 * count :]
        lines = self._summary[-_MOST_LINES:]
        if len(self._summary) > len(lines):
            lines.insert(0, f"({len(self._summary) - len(lines)} earlier lines left out)")
        summary = self.folded_text(lines)
        self.messages = [self.messages[0], Message("user", f"{self._start}\n\n{summary}"), *kept]
        return True

    def older(self, keep: int) -> list[Message]:
        """The messages of all but the last ``keep`` exchanges."""
        return self.messages[2 : 2 + 2 * max(0, len(self._exchanges) - keep)]

    def folded_text(self, lines: Sequence[str]) -> str:
        """What is shown in place of exchanges that were folded."""
        return self.rendered("folded", summary="\n".join(lines), variables=self._variables or "none")

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
        """Note a reply with code."""
        self._code = tuple(codes)
        self.messages.append(Message("assistant", text))

    def add_answer(self, results: Sequence[CellResult], answer: object) -> None:
        """Note that the cells of the last reply gave the answer; only another question makes it a message."""
        self._note(results)
        self._lines.append(f"The answer was given: {_cut(str(answer), 500)}")

    def add_output(self, results: Sequence[CellResult], *, cells_left: int) -> str:
        """Tell what the cells of one reply did; returns the text of it."""
        self._note(results)
        output = self.outputs(results)
        last = results[-1]
        notes = [self.endings.get(last.status, "")]
        before, self._last = self._last, (self._code, [_effect(one) for one in results])
        self.repeats = self.repeats + 1 if before == self._last else 0
        if self.repeats and last.status != "answered":
            notes.append(self.same_again)
        if cells_left <= 3:
            notes.append(self.last_steps.format(f"{cells_left} more {self.step[cells_left != 1]}"))
        text = self.rendered(
            "feedback",
            output=output or "(nothing was printed)",
            variables=last.variables or "none",
            query=self.task.query,
            note="\n".join(filter(None, notes)),
        )
        self._tell(text)
        return text

    def add_no_code(self, text: str, *, cut_off: bool) -> str:
        """Tell that a reply held no code; a turn is never burned in silence."""
        feedback = self.rendered("no_code", query=self.task.query)
        if cut_off:
            feedback = f"Your reply was cut off at the output limit. Be brief.\n{feedback}"
        self._forget_code()
        self.messages.append(Message("assistant", text or "(empty reply)"))
        self._lines.append("a reply without code")
        self._tell(feedback)
        return feedback

    def salvage(self, reason: str, *, shortened: bool = False) -> tuple[Message, ...]:
        """The prompt that asks for the best answer from what is known; ``shortened`` keeps the last exchange only."""
        question = self.rendered(
            "salvage", reason=reason, query=self.task.query, returns_line=self.task.returns.instruction
        )
        history = [*self.messages[:2], *self.messages[-2:]] if shortened and len(self.messages) > 4 else self.messages
        if history[-1].role == "user":  # providers want the roles to alternate
            return (*history[:-1], Message("user", f"{history[-1].content}\n\n{question}"))
        return (*history, Message("user", question))

    @property
    def shown_chars(self) -> int:
        """Characters of one cell's output that the root is shown."""
        return self.profile.output_chars

    def _tell(self, text: str) -> None:
        self.messages.append(Message("user", text))
        self._exchanges.append((self._lines, self._cells))
        self._lines = []

    def _note(self, results: Sequence[CellResult]) -> None:
        """A line for each cell, for the day it is folded."""
        for code, result in zip(self._code, results, strict=False):
            self._cells += 1
            self._lines.append(_line(self._cells, code, result))
        self._variables = (results[-1].variables if results else "") or self._variables

    def outputs(self, results: Sequence[CellResult]) -> str:
        """What the cells of one reply printed and raised."""
        return "\n".join(filter(None, (self.shown(result) for result in results)))

    def shown(self, result: CellResult) -> str:
        """A cell's output and error, cut in the middle to what the profile shows, with the size of what is left out."""
        limit = self.shown_chars
        text, dropped = result.stdout.rstrip("\n"), result.stdout_dropped
        if len(text) + dropped > limit:
            head, tail = limit * 2 // 3, limit // 3
            left_out = len(text) + dropped - head - tail
            text = f"{text[:head]}\n[… {left_out:,} characters left out …]\n{text[-tail:]}"
        return "\n".join(filter(None, (text, result.error.strip())))


def _line(number: int, code: str, result: CellResult) -> str:
    """One cell in one line: what it began with, how it ended and the beginning of what it printed."""
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("import ", "from "))] or lines or [""]
    more = f" (… {len(lines)} lines)" if len(lines) > 1 else ""
    printed = result.stdout.strip() or result.error.strip().rpartition("\n")[2]
    size = len(result.stdout) + result.stdout_dropped
    what = f"{result.status}, {size:,} characters printed: {_cut(printed)}" if printed else result.status
    return f"cell {number}: {_cut(telling[0])}{more} → {what}"


def _effect(result: CellResult) -> tuple[str, ...]:
    """What a cell did, without the number of the cell that tracebacks name."""
    return result.status, result.stdout, result.error.strip().rpartition("\n")[2], result.variables


def _cut(text: str, limit: int = _LINE_CHARS) -> str:
    """The beginning of ``text`` on one line."""
    flat = " ".join(text[: 4 * limit].split())
    return flat if len(flat) <= limit and len(text) <= 4 * limit else f"{flat[:limit]}…"


def _whole_lines(text: str, limit: int) -> str:
    """The first lines of ``text``, at most ``limit`` characters of them; part of the first when it alone is longer."""
    if len(text) <= limit:
        return text
    return text[: text.rfind("\n", 0, limit) + 1].rstrip() or text[:limit]
