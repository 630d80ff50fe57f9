"""Runs the cells of one session in one namespace, like a notebook does."""

from __future__ import annotations
import __future__

import ast
import asyncio
import builtins
import collections
import datetime
import inspect
import itertools
import json
import math
import re
import sys
import threading
import types
import warnings
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from habit.sandbox.cpython.inside import dialects, tracebacks, variables
from habit.sandbox.cpython.inside.api import Api
from habit.sandbox.cpython.inside.interrupts import CELL_PREFIX, Answered, CellInterrupted, Interrupts, guard_handlers
from habit.sandbox.cpython.inside.link import CellEnded, Link
from habit.sandbox.cpython.inside.output import CellOutput, Stream
from habit.sandbox.cpython.inside.threads import CellOfThread

_READY_MADE = {
    **{module.__name__: module for module in (re, json, math, collections, itertools, datetime, asyncio)},
    "Counter": collections.Counter,
    "defaultdict": collections.defaultdict,
}
"""Imported for the cells; unlike reserved names they may be used for something else."""
_LAST = " last"
"""Where the value of a last expression is kept; no code can spell this name."""
_FUTURES = {name: getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}


@dataclass
class Outcome:
    """How a cell ended."""

    status: Literal["ok", "error", "answered", "interrupted"]
    error: str = ""
    memory_error: bool = False


class Cells:
    """The namespace of a session and what it takes to run code in it."""

    def __init__(self, link: Link, interrupts: Interrupts, threads: CellOfThread) -> None:
        self._link = link
        self._interrupts = interrupts
        self._threads = threads
        self._output_chars = 0
        self._memory = 0
        self._outputs: dict[int, CellOutput] = {}
        self._module = types.ModuleType("__main__")
        self._namespace = self._module.__dict__
        self._api = api = Api(link, interrupts, threads)
        self._reserved: dict[str, Any] = {
            **api.names(self._show_vars),
            **dialects.names(api, self._namespace, self._listing),
        }
        self._namespace.update(_READY_MADE, **self._reserved, __builtins__=builtins)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._future_flags = 0
        self._stream = Stream(lambda: self._outputs.get(self._threads.get()))

    def install(self) -> None:
        """Take over the standard streams, and what else there is one of in a process."""
        sys.modules["__main__"] = self._module
        for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
            setattr(sys, name, self._stream)
        threading.excepthook = self._report_thread
        # A cell is for one use: notes on style and on next year's Python only distract the model that wrote it.
        for category in (SyntaxWarning, DeprecationWarning, PendingDeprecationWarning, ResourceWarning, FutureWarning):
            warnings.simplefilter("ignore", category)

    def begin(self, context: Any, query: str, *, by_name: bool, output_chars: int, memory: int) -> None:
        """What the session is about, and its limits."""
        self._output_chars, self._memory = output_chars, memory
        self._api.begin(context, by_name=by_name)
        self._reserved["context"] = self._namespace["context"] = context
        self.set_query(query)

    def set_query(self, query: str) -> None:
        """Another question is asked of the same session."""
        self._reserved["query"] = self._namespace["query"] = query

    def run(self, number: int, code: str) -> tuple[Outcome, str, int, str]:
        """Run a cell; its outcome, its output with what was left out, and the line of variables."""
        output = self._outputs[number] = CellOutput(self._output_chars, self._interrupts)
        self._threads.running = number
        outcome: Outcome | None = None
        try:
            sys.stdout = sys.stderr = self._stream
            self._interrupts.arm()
            outcome = self._run_armed(number, code)
            self._interrupts.disarm()
        except (Answered, CellInterrupted) as ending:  # it came while the outcome was being described
            self._interrupts.disarm()
            outcome = outcome or self._ending(ending)
        self._restore(output)
        text, dropped = output.finish()
        self._outputs.clear()
        if outcome.status in ("answered", "interrupted"):
            self._abandon_loop()
        return outcome, text, dropped, self._variables()

    def _report_thread(self, failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None and not isinstance(failure.exc_value, (SystemExit, CellEnded)):
            self._stream.write(f"In a thread: {tracebacks.describe_error(failure.exc_value, self._memory)}\n")

    def _run_armed(self, number: int, code: str) -> Outcome:
        try:
            self._execute(f"{CELL_PREFIX}{number}>", code)
            return Outcome("ok")
        except (Answered, CellInterrupted) as ending:
            return self._ending(ending)
        except SystemExit:
            return Outcome(
                "error", "exit() ended this cell early; the session goes on. Give a result with answer(value)."
            )
        except MemoryError as error:
            self._link.reserve.spend()
            try:
                text = tracebacks.describe_error(error, self._memory)
            except MemoryError:
                text = "MemoryError"
            error.__traceback__ = None  # it holds the frames and with them what filled the memory
            return Outcome("error", text, memory_error=True)
        except BaseException as error:  # noqa: BLE001 - whatever a cell raises is its result
            return Outcome("error", tracebacks.describe_error(error, self._memory))

    def _ending(self, ending: BaseException) -> Outcome:
        if isinstance(ending, Answered):
            return Outcome("answered")
        return Outcome("interrupted", tracebacks.line_of(ending))

    def _execute(self, filename: str, code: str) -> None:
        code = code.removeprefix("\ufeff")
        tracebacks.remember_source(filename, code)
        tree = self._parse(filename, code)
        self._api.deferred.clear()
        self._api.awaited.add(filename, tree)
        guard_handlers(tree)
        _keep_last_value(tree)
        self._namespace.pop(_LAST, None)
        try:
            self._evaluate(filename, tree)
        finally:
            value = self._namespace.pop(_LAST, None)
        if value is not None:
            builtins._ = value  # type: ignore[attr-defined]
            self._stream.write(_shown(value, self._output_chars) + "\n")
        for pending in self._api.deferred:  # a later cell may await them
            pending.wait()
        answer = self._reserved["answer"]
        if answer.adopt(self._namespace.get("answer")):
            self._namespace["answer"] = answer
            answer.settle()

    def _parse(self, filename: str, code: str) -> ast.Module:
        try:
            tree = ast.parse(code, filename)
        except UnicodeEncodeError:
            raise ValueError(
                "the code holds a lone surrogate character; write it as an escape such as '\\ud83d'"
            ) from None
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for alias in node.names:
                    self._future_flags |= _FUTURES.get(alias.name, 0)
        return tree

    def _evaluate(self, filename: str, tree: ast.Module) -> None:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self._future_flags
        code = compile(tree, filename, "exec", flags=flags, dont_inherit=True)
        value = eval(code, self._namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            self._run_in_loop(value)

    def _run_in_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """One event loop for all cells, so that what one cell starts another can await."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(coroutine)

    def _abandon_loop(self) -> None:
        """After a cell that was cut off: what it left in the event loop must not wake up in the next one."""
        if self._loop is None:
            return
        for task in asyncio.all_tasks(self._loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._loop.close()
        self._loop = None

    def _restore(self, output: CellOutput) -> None:
        for name, value in self._reserved.items():
            if self._namespace.get(name) is not value:
                self._namespace[name] = value
                output.write(f"note: `{name}` is reserved and was restored; keep your own value under another name\n")
        for name, module in _READY_MADE.items():
            self._namespace.setdefault(name, module)

    def _hidden(self) -> set[str]:
        made = {name for name, value in _READY_MADE.items() if self._namespace.get(name) is value}
        return made | set(self._reserved)

    def _variables(self) -> str:
        return variables.one_line(self._namespace, self._hidden())

    def _listing(self) -> str:
        return variables.listing(self._namespace, self._hidden())

    def _show_vars(self) -> None:
        """Print the names, types and sizes of all variables."""
        self._stream.write(self._listing() + "\n")


def _keep_last_value(tree: ast.Module) -> None:
    """Turn a last expression into an assignment, in place: one piece of code, so that all of it runs in one loop."""
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        target = ast.copy_location(ast.Name(_LAST, ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)


def _shown(value: Any, limit: int) -> str:
    """A value as a REPL shows it, without building a text much longer than can be kept."""
    if isinstance(value, str) and len(value) > 2 * limit:
        return f"{value[:limit]!r} … {value[-limit:]!r}"
    return repr(value)
