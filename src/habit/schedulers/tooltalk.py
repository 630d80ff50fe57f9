"""The conversation of the agent loop: what each tool gave, and notes on the steps that were folded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from habit.calls.call import Message
from habit.calls.tools import write_results
from habit.sandbox.session import CellResult
from habit.schedulers.conversation import Conversation
from habit.schedulers.prompts import Profile
from habit.schedulers.toolbox import Step, tools_for

_LINES_BESIDE_NOTES = 12
"""Lines on folded steps that are shown beside the notes on them."""


class ToolTalk(Conversation):
    """What the model has been told, and what it did with its tools."""

    words = "agent_"
    endings: Mapping[str, str] = {
        "timeout": "Ask for less at once, or with a simpler pattern.",
        "died": "Ask for less at once.",
    }
    same_again = "This is the same call as before, with the same result. Do something else."
    last_steps = "{} can be taken: call answer with the best answer you have."
    step = ("step", "steps")

    notes = ""
    """On the steps that were folded, as the model wrote them down."""
    tools: Sequence[str] = ()
    """The tools that the last reply called."""

    @property
    def native(self) -> bool:
        """Whether the model is given tools; else its calls are read from its text."""
        return self.profile.execution == "tool"

    @property
    def system(self) -> str:
        """How the model is to work, and how it calls a tool."""
        listed = "\n".join(
            f"- {tool.name}: {tool.description} Arguments: {json.dumps(tool.parameters['properties'])}"
            for tool in tools_for(self.task.returns)
        )
        hand_over = self.rendered("hand_over", tools=listed)
        return self.rendered("system", returns_line=self._returns_line, hand_over=hand_over)

    @property
    def shown_chars(self) -> int:
        """Tools keep to the size of a page; only replies of models are cut."""
        return self.profile.page_chars * 3 // 2

    def speak(self, profile: Profile) -> None:
        """Go on in another way."""
        self.profile = profile
        self.messages[0] = Message("system", self.system)

    def add_steps(self, text: str, steps: Sequence[Step]) -> None:
        """Note a reply that calls tools."""
        self.tools = [step.tool for step in steps]
        self.add_reply(text, [step.code for step in steps])

    def outputs(self, results: Sequence[CellResult]) -> str:
        """What each call gave, told apart."""
        pairs = zip(self.tools, results, strict=False)
        return write_results([(tool, self.shown(result) or "(nothing)") for tool, result in pairs])

    def shown(self, result: CellResult) -> str:
        """What a call gave; of an error the sentence, without where in the tool it was raised."""
        sentence = result.error.strip().rpartition("\n")[2].removeprefix("ValueError: ")
        return super().shown(replace(result, error=sentence))

    def notes_prompt(self, keep: int, message_chars: int) -> tuple[Message, ...]:
        """Asks for notes on all but the last ``keep`` exchanges, with so many characters of each message."""
        who = {"assistant": "You", "user": "Result"}
        parts = [f"{who[message.role]}: {_ends(message.content, message_chars)}" for message in self.older(keep)]
        before = [f"Your notes on the steps before these:\n{self.notes}"] if self.notes else []
        prompt = self.rendered("notes", query=self.task.query, steps="\n\n".join([*before, *parts]))
        return (Message("system", self.rendered("notes_system")), Message("user", prompt))

    def folded_text(self, lines: Sequence[str]) -> str:
        """The notes, and a line for each of the last steps."""
        if self.notes:
            lines = lines[-_LINES_BESIDE_NOTES:]
        return self.rendered("folded", notes=self.notes, summary="\n".join(lines))


def _ends(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit * 2 // 3]}\n[… {len(text) - limit:,} characters left out …]\n{text[-(limit // 3) :]}"
