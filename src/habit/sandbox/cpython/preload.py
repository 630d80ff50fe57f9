"""Imports, before any lockdown, everything that a session can import: afterwards no file can be opened any more."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from habit.sandbox.cpython.timezones import read_timezones

STANDARD = (
    "__future__", "_strptime", "abc", "array", "ast", "asyncio", "asyncio.taskgroups", "asyncio.timeouts", "base64",
    "binascii", "bisect", "builtins", "bz2", "calendar", "cmath", "codecs", "collections", "collections.abc",
    "colorsys", "concurrent.futures", "concurrent.futures.thread", "contextlib", "contextvars", "copy", "copyreg",
    "csv", "ctypes", "dataclasses", "datetime", "decimal", "difflib", "dis", "email", "email.header", "email.message",
    "email.mime.text", "email.parser", "email.utils", "encodings.idna", "enum", "errno", "fnmatch", "fractions",
    "functools", "gc", "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "html.entities", "html.parser",
    "inspect", "io", "ipaddress", "itertools", "json", "keyword", "linecache", "locale", "logging", "lzma", "math",
    "numbers", "opcode", "operator", "os", "pathlib", "pickle", "pkgutil", "platform", "posixpath", "pprint",
    "pyexpat", "queue", "quopri", "random", "re", "reprlib", "resource", "sched", "secrets", "select", "selectors",
    "shlex", "shutil", "signal", "socket", "sqlite3", "statistics", "string", "stringprep", "struct", "subprocess",
    "sys", "tempfile", "textwrap", "threading", "time", "timeit", "token", "tokenize", "tomllib", "traceback",
    "types", "typing", "unicodedata", "unittest", "urllib", "urllib.error", "urllib.parse", "uuid", "warnings",
    "weakref", "xml.etree.ElementTree", "zipfile", "zlib", "zoneinfo",
)  # fmt: skip
"""Modules of the standard library that model-written code imports, or that those import late."""

_NOT_FOR_LINUX = {"mbcs", "oem", "cp65001"}

OPTIONAL = (
    "numpy", "numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random", "numpy.rec",
    "numpy.strings", "numpy.char", "pandas", "pandas.core.methods.select", "pandas.core.methods.to_dict",
    "pandas.core.reshape.reshape", "pandas.io.formats.csvs", "pandas.io.formats.html", "pandas.io.formats.string",
    "pandas.io.formats.xml", "pydantic", "pydantic.main", "pydantic.dataclasses", "pydantic.fields",
    "pydantic.functional_serializers", "pydantic.functional_validators", "pydantic.json_schema", "pydantic.networks",
    "pydantic.root_model", "pydantic.type_adapter", "pydantic.types", "pydantic._internal._dataclasses",
    "pydantic._internal._validators", "pydantic.plugin._loader", "typing_extensions", "dateutil", "dateutil.parser",
    "dateutil.relativedelta", "dateutil.tz",
)  # fmt: skip
"""Loaded when the package is installed; pandas imports the long names only when they are first needed."""


@dataclass(frozen=True)
class Preloaded:
    """What sessions inherit besides the modules themselves."""

    failures: dict[str, str]
    """The modules that could not be imported, with the reason."""
    timezones: dict[str, bytes]


def preload() -> Preloaded:
    """Import all of it."""
    failures: dict[str, str] = {}
    for name in STANDARD:
        _load(name, failures)
    _load_codecs(failures)
    # time_machine would import pytest for its plugin, wherever that happens to be installed.
    with _hidden("pytest"):
        _load("time_machine", failures)
    # pandas would load pyarrow: half as much memory again, and threads that no session may start.
    with _hidden("pyarrow"):
        for name in OPTIONAL:
            if importlib.util.find_spec(name.partition(".")[0]) is not None:
                _load(name, failures)
    if threading.active_count() > 1:
        failures["threads"] = f"importing started {threading.active_count() - 1} threads, which forks do not have"
    return Preloaded(failures, read_timezones())


def _load(name: str, failures: dict[str, str]) -> None:
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a broken installation of one module is reported and harms only it
        failures[name] = f"{type(error).__name__}: {error}"[:200]


def _load_codecs(failures: dict[str, str]) -> None:
    encodings = importlib.import_module("encodings")
    for module in pkgutil.iter_modules(encodings.__path__):
        if module.name not in _NOT_FOR_LINUX:
            _load(f"encodings.{module.name}", failures)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let a module seem not to be installed."""
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]
