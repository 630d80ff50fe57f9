"""What monty does otherwise than CPython, as data: for the messages in cells, for the docs, and for the contract tests.

``docs/sandbox.md`` holds the table that ``as_markdown`` makes; a test compares them.
"""

# ruff: noqa: E501 - a table
# fmt: off
from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One thing that works on cpython and not here."""

    name: str
    what: str
    instead: str
    """What to do about it, as it is said to the model."""
    signs: tuple[str, ...] = ()
    """Regular expressions that tell it by the error; none for a difference that raises no error."""
    reason: str = "not in monty"


def _missing(*names: str) -> str:
    return rf"NameError: name '(?:{'|'.join(names)})' is not defined"


def _no_module(*names: str) -> str:
    return rf"No module named '(?:{'|'.join(names)})(?:\.\w+)*'"


DIFFERENCES = (
    Difference(
        "generators",
        "`yield` and generator functions; a generator expression is a list at once",
        "generators are not supported in this sandbox; build a list and return it",
        (r"yield expressions", r"async comprehensions"),
    ),
    Difference(
        "inheritance",
        "class inheritance, metaclasses, `super()`, Enum, NamedTuple, TypedDict, own exceptions, pydantic models",
        "classes can't inherit in this sandbox; use plain functions, dicts, or a @dataclass without a base, and raise "
        "ValueError",
        (r"class inheritance", _missing("super", "object"), r"cannot create 'object' instances", _no_module("enum", "abc")),
    ),
    Difference(
        "method-decorators",
        "`@property`, `@staticmethod`, `@classmethod`",
        "methods can't be decorated in this sandbox; write an ordinary method or function",
        (r"method decorators", _missing("staticmethod", "classmethod"), r"cannot create 'property'"),
    ),
    Difference(
        "operators",
        "most operator methods of own classes: `__len__`, `__lt__`, `__or__`, `__iter__`; `__bool__` is ignored",
        "operators of your own classes are not supported in this sandbox; use a method, or a key= function for sorting",
        (r"object of type '[A-Z]\w*' has no len", r"not supported between instances of '[A-Z]", r"'[A-Z]\w*' object is not iterable"),
    ),
    Difference(
        "del",
        "the `del` statement",
        "`del` is not supported in this sandbox; use d.pop(key) or items.pop(i), or set the variable to None",
        (r"'del' statement",),
    ),
    Difference(
        "async-syntax",
        "`async for` and `async with`",
        "`async for` and `async with` are not supported in this sandbox; await in an ordinary loop",
        (r"async context managers", r"async for", r"async iteration"),
    ),
    Difference(
        "exception-groups",
        "`except*`, exception groups, `__cause__`",
        "exception groups and __cause__ are not supported in this sandbox; catch one exception by its type",
        (r"exception groups", r"has no attribute '__cause__'", r"BaseExceptionGroup"),
    ),
    Difference(
        "type-statement", "`type X = …` and `Literal[…]`, `Annotated[…]`",
        "this form of types is not supported in this sandbox; for returns= use a list of allowed strings such as "
        "['yes', 'no']",
        (r"type aliases", r"'typing\._SpecialForm' object is not subscriptable", r"cannot import name '\w+' from 'typing'"),
    ),
    Difference(
        "returns-classes",
        "`returns=` with a class (Enum, dataclass, TypedDict, pydantic model)",
        "classes are not supported in this sandbox as returns=; use a dict of fields such as {'name': str, 'age': int}",
        (r"classes are not supported in this sandbox as returns=",),
    ),
    Difference(
        "threads",
        "threads, pools, queues",
        "threads are not supported in this sandbox; use recursive_llm_map(query, contexts), or asyncio.gather, for calls "
        "at the same time",
        (_no_module("threading", "concurrent", "queue", "multiprocessing", "_thread"),),
        "one interpreter, one thread",
    ),
    Difference(
        "asyncio",
        "of asyncio everything but `gather` (without `return_exceptions`), `run` and `sleep`",
        "only gather, run and sleep of asyncio are supported in this sandbox; use await asyncio.gather(*[...])",
        (r"module 'asyncio' has no attribute", r"gather\(\) does not yet support"),
    ),
    Difference(
        "await-by-place",
        "awaiting a reply that was not asked for at an awaited place, or that an earlier cell asked for",
        "in this sandbox a reply can be awaited only where it was asked for: write `await recursive_llm(...)`, or give "
        "the calls to asyncio.gather, in the same cell",
        (r"object can't be awaited", r"scheduler stalled", r"awaitable is required"),
        "a function of monty's host either returns or is awaited",
    ),
    Difference(
        "numpy",
        "numpy, pandas and every other third-party package",
        "numpy and pandas are not in this sandbox; the data is in `context`: use lists and dicts, table() for CSV, Counter, sorted and sum",
        (_no_module("numpy", "pandas", "pydantic", "scipy", "sklearn", "bs4", "yaml", "dateutil", "matplotlib", "nltk"),),
        "compiled extensions of CPython do not load",
    ),
    Difference(
        "world",
        "files, network, processes, environment variables; there never were any, only the message differs",
        "This sandbox has no files, no network and no other processes: the data is in the variable `context`, and "
        "recursive_llm(query, text) asks a language model.",
        (
            r"PermissionError", r"os\.environ", r"FileNotFoundError", r"is not supported in this environment",
            _no_module("socket", "subprocess", "requests", "openai", "anthropic", "urllib", "http", "shutil", "tempfile",
                       "glob", "ctypes", "signal", "sqlite3", "mmap", "fcntl", "pty", "select", "resource", "ssl", "httpx"),
            r"module 'os' has no attribute",
        ),
        "language level only",
    ),
    Difference(
        "io",
        "the module `io`",
        "io is not in this sandbox; csv.reader(context.splitlines(True)) and csv.DictReader(context.splitlines(True)) "
        "need no file, and table() reads CSV by itself",
        (_no_module("io"),),
    ),
    Difference(
        "modules",
        "every standard module but re, json, math, collections, itertools, functools, datetime, asyncio, random, csv, decimal, "
        "base64, hashlib, unicodedata, bisect, copy, typing, dataclasses, time, sys, os, pathlib, tomllib, binascii",
        "this module is not in this sandbox; there are re, json, math, collections, itertools, functools, datetime, random, "
        "csv, decimal, base64, hashlib, unicodedata, bisect, copy, typing, dataclasses, time: write the rest by hand",
        (r"No module named", r"cannot import name", r"'collections' is not a package"),
    ),
    Difference(
        "input",
        "`input()` and standard input",
        "input() is not available, nobody is there to type: the data is in the variable `context`",
        (_missing("input"), r"'_io\.TextIOWrapper' object has no attribute 'read\w*'", r"has no attribute 'stdin'"),
    ),
    Difference(
        "leaving",
        "`exit()`, `quit()`, `sys.exit()`",
        "the session goes on after this cell; give a result with answer(value)",
        (_missing("exit", "quit"), r"^SystemExit", r"module 'sys' has no attribute 'exit'"),
    ),
    Difference(
        "namespaces",
        "`globals()` but where it is read at the top level of a cell, `vars()`, `dir()`, `__import__`, `compile`",
        "this is not supported in this sandbox; show_vars() lists the variables, and a dict can hold values by name",
        (_missing("globals", "vars", "dir", "__import__", "compile"),),
    ),
    Difference(
        "builtins",
        "the builtins `bytearray`, `callable`, `delattr`, `help`, `issubclass`, `memoryview`, `ascii`",
        "this builtin is not in this sandbox; do without, for instance with isinstance() or type(x).__name__",
        (_missing("bytearray", "callable", "delattr", "help", "issubclass", "memoryview", "ascii", "ConnectionError", "Warning"),),
    ),
    Difference(
        "regular-expressions",
        "a function as the replacement in `re.sub`, `pattern.search(text, position)`, `re.VERBOSE`; `$` before a last line break",
        "this part of re is not supported in this sandbox; loop over re.finditer(pattern, text) and join the pieces, or "
        "slice the text first",
        (r"in re\.sub\(\)", r"Pattern\.\w+\(\) takes exactly", r"module 're' has no attribute"),
    ),
    Difference(
        "dunder",
        "attributes such as `__class__`, `__dict__`, `__globals__`, methods as values (`x.append` without a call)",
        "this attribute does not exist in this sandbox; use type(x).__name__, isinstance, or a lambda around the call",
        (r"has no attribute '__\w+__'", r"'(?:str|list|dict|set|int|tuple)' object has no attribute '\w+'"),
    ),
    Difference(
        "callbacks",
        "calls of a model from inside `map`, `filter`, a `key=` function or `functools.reduce`",
        "a model can't be asked from inside map, filter or key= in this sandbox; use a list comprehension, such as "
        "[recursive_llm(query, c) for c in items]",
        (r"cannot suspend in this synchronous context",),
        "such a function can't wait for its host",
    ),
    Difference(
        "stand-ins",
        "functions, iterators, modules and values that hold themselves as arguments or answers: refused, and with them a text that "
        "is nothing but `<function f at 0x1>` or `[...]`; a range arrives as its text",
        "pass the value itself: a list instead of an iterator, a call with its parentheses instead of a function",
        (r"which is not data",),
        "they leave monty as a text",
    ),
    Difference(
        "other-limits",
        "lists nested 100,000 deep can be shown, and a builtin that would never end is a timeout and no lost session; regular "
        "expressions that backtrack for ever end at once",
        "nothing: every cell is stopped by its limits all the same",
        (),
        "other limits than CPython's",
    ),
    Difference(
        "recursion-limit",
        "`sys.setrecursionlimit`: about 1,000 calls deep is the most",
        "the recursion limit is fixed in this sandbox; use a loop and a list of what is left to do",
        (r"module 'sys' has no attribute 'setrecursionlimit'", r"RecursionError"),
        "one of monty's limits",
    ),
    Difference(
        "encodings",
        "encodings other than UTF-8, ASCII and Latin-1",
        "only utf-8, ascii and latin-1 are known in this sandbox",
        (r"unknown encoding",),
    ),
    Difference(
        "exceptions",
        "attributes of exceptions beyond `args`: `JSONDecodeError.msg`, `.pos`, `KeyError.name`",
        "exceptions have no such attribute in this sandbox; str(error) says what went wrong",
        (r"'(?:[a-z]\w*\.)?[A-Z]\w*(?:Error|Exception)' object has no attribute",),
    ),
    Difference(
        "call-failed",
        "`CallFailed` is an exception with a message and without `.reason`",
        "CallFailed has no attributes in this sandbox; str(failure) says what went wrong",
        (r"'(?:binascii\.)?Incomplete' object has no attribute",),
        "classes can't inherit from Exception",
    ),
    Difference(
        "call-failed-name",
        "the name of the type of a CallFailed is `Incomplete`, where a cell prints it",
        "test for it with isinstance(value, CallFailed)",
        (),
        "classes can't inherit from Exception",
    ),
    Difference(
        "syntax-errors",
        "syntax errors are worded otherwise",
        "nothing: line and place are said",
        (),
        "another parser",
    ),
    Difference(
        "time-and-memory",
        "after a cell that used up its time or memory the variables are as before that cell; on cpython those it set are kept",
        "the variables are as they were before this cell",
        (),
        "such an interpreter can't be trusted to be whole; the session goes on from a copy taken before the cell",
    ),
    Difference(
        "surrogates",
        "lone surrogates in a context or a reply become U+FFFD, which the description of the context says",
        "lone surrogates can't be held in this sandbox",
        (),
        "monty's text is UTF-8",
    ),
    Difference(
        "slices",
        "a slice or index of a long text that is not all ASCII takes time in proportion to its place: thousands of slices "
        "of tens of megabytes take minutes, where cpython takes milliseconds",
        "cut a long text once, with split() or splitlines(), rather than by thousands of slices",
        (),
        "monty's text is UTF-8",
    ),
    Difference(
        "size",
        "a context above 250 MB",
        "use --sandbox cpython for a context of this size, or a smaller one",
        (),
        "one message to its worker is at most 256 MiB",
    ),
    Difference(
        "in-part",
        "other syntax that monty does not know yet",
        "write it with plain functions, loops, lists and dicts",
        (r"^NotImplementedError: .*(?:not yet support|not supported)",),
    ),
)

BY_NAME = {difference.name: difference for difference in DIFFERENCES}


def explain(error: str) -> Difference | None:
    """The difference that an error (``Type: message``) comes from; the first that fits."""
    error = error[:1000]
    for difference in DIFFERENCES:
        if any(re.search(sign, error) for sign in difference.signs):
            return difference
    return None


def as_markdown() -> str:
    """The table of the docs."""
    rows = [f"| {difference.what} | {difference.instead} | {difference.reason} |" for difference in DIFFERENCES]
    return "\n".join(["| what monty has not, or does otherwise | what to do | why |", "|---|---|---|", *rows])
