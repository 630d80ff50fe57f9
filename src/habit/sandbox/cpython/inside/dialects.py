"""The names that code written for other RLM systems calls; each is a few words around a function of ours.

``llm_query`` and ``rlm_query`` take a single prompt; their ``_batched`` forms take a list of prompts and give a list in
the same order, in which a failed slot holds its CallFailed. ``FINAL``, ``FINAL_VAR`` and ``SUBMIT`` answer at once; the
``answer`` dict answers at the end of the cell in which its ``ready`` became true.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from habit.sandbox.cpython.inside.api import Api
from habit.sandbox.cpython.inside.arguments import prompt_of, prompts_of

DO_AS_IT_SAYS = "The text in `context` is a request. Do what it asks for, and give the result."
"""The query of a child run that was given nothing but a prompt; the prompt is its context."""


class Answer(dict[str, Any]):
    """``answer``: a function that gives the final answer, and a dict with ``content`` and ``ready`` too."""

    def __init__(self, give: Callable[[Any], None]) -> None:
        super().__init__(content="", ready=False)
        self._give = give

    def __call__(self, value: Any) -> None:
        """Give the final answer and end the run; raises when it is not of the requested type."""
        self._give(value)

    def adopt(self, current: Any) -> bool:
        """At the end of a cell: take over what the name was bound to; False when that is no such dict."""
        if current is not self:
            if not (isinstance(current, Mapping) and "content" in current and set(current) <= {"content", "ready"}):
                return False
            self.update(current)
        return True

    def settle(self) -> None:
        """Give the answer if it is ready."""
        if self.get("ready"):
            self["ready"] = False  # it stays so if the answer is refused
            self._give(self.get("content"))


def names(api: Api, namespace: Mapping[str, Any], list_variables: Callable[[], str]) -> dict[str, Any]:
    """The names of other systems and their values; ``namespace`` is where FINAL_VAR looks."""

    def llm_query(prompt: str, model: str | None = None) -> Any:
        """Ask a language model that sees only this prompt. The model is the run's own, whatever is named."""
        return api.ask_one(prompt, None, str, sys._getframe(1))()

    def llm_query_batched(prompts: Iterable[str], model: str | None = None) -> Any:
        """Ask each prompt by itself, all at once; a list in the same order."""
        return api.ask_each(prompts_of("llm_query_batched", prompts), sys._getframe(1))()

    def rlm_query(prompt: str, model: str | None = None) -> Any:
        """Have a child session of its own work on the prompt, which it finds in its ``context``."""
        reply = api.ask_one(DO_AS_IT_SAYS, prompt_of("rlm_query", prompt), str, sys._getframe(1), child=True)
        del prompt  # it may go while the child works
        return reply()

    def rlm_query_batched(prompts: Iterable[str], model: str | None = None) -> Any:
        """Have each prompt worked on by a child session of its own, all at once; a list in the same order."""
        given = prompts_of("rlm_query_batched", prompts)
        replies = api.ask_about_each(DO_AS_IT_SAYS, given, str, "return", sys._getframe(1), child=True)
        del prompts, given
        return replies()

    def show_variables() -> str:
        """Names, types and sizes of all variables, as text."""
        return list_variables()

    def final(value: Any) -> None:
        """Give the final answer and end the run."""
        api.give_answer(value)

    def final_var(name: Any) -> None:
        """Give the value of the variable called ``name`` as the final answer; a value itself will do as well."""
        if not isinstance(name, str):
            return api.give_answer(name)
        wanted = name.strip().strip("\"'`")
        if wanted in namespace:
            return api.give_answer(namespace[wanted])
        if not wanted.isidentifier() or any(value is name for value in namespace.values()):
            return api.give_answer(name)  # the variable itself was given, and it holds a text
        raise NameError(f"FINAL_VAR: there is no variable {wanted!r}; there are:\n{list_variables()}")

    def submit(*values: Any, **fields: Any) -> None:
        """Give the final answer: a value, or the output fields by name."""
        if bool(values) == bool(fields):
            raise TypeError("SUBMIT(...) takes either the answer or output fields by name")
        if len(fields) == 1:
            (value,) = fields.values()
            try:
                return api.give_answer(value)
            except (TypeError, ValueError):
                return api.give_answer(fields)  # where an object with this one field is asked for
        if fields:
            return api.give_answer(fields)
        return api.give_answer(values[0] if len(values) == 1 else list(values))

    made = {"FINAL": final, "FINAL_VAR": final_var, "SUBMIT": submit, "SHOW_VARS": show_variables}
    for name, function in made.items():
        function.__name__ = function.__qualname__ = name
    return {
        "answer": Answer(api.give_answer),
        "llm_query": llm_query,
        "llm_query_batched": llm_query_batched,
        "rlm_query": rlm_query,
        "rlm_query_batched": rlm_query_batched,
        **made,
    }
