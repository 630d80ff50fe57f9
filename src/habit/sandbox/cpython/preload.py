"""Imports, before any lockdown, everything that a session can import: afterwards no file can be opened any more."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import pkgutil
import sys
import threading

STANDARD = (
    "__future__", "_strptime", "abc", "array", "ast", "asyncio", "asyncio.taskgroups", "asyncio.timeouts", "base64",
    "binascii", "bisect", "builtins", "bz2", "calendar", "cmath", "cmd", "code", "codecs", "codeop", "collections",
    "collections.abc", "colorsys", "concurrent.futures", "concurrent.futures.thread", "configparser", "contextlib",
    "contextvars", "copy", "copyreg", "cProfile", "csv", "ctypes", "dataclasses", "datetime", "decimal", "difflib",
    "dis", "email", "email.header", "email.message", "email.mime.multipart", "email.mime.text", "email.parser",
    "email.policy", "email.utils", "encodings.idna", "enum", "errno", "fnmatch", "fractions", "functools", "gc",
    "getpass", "gettext", "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html", "html.entities",
    "html.parser", "importlib.metadata", "importlib.resources", "inspect", "io", "ipaddress", "itertools", "json",
    "json.tool", "keyword", "linecache", "locale", "logging", "logging.handlers", "lzma", "mailbox", "math",
    "mimetypes", "multiprocessing", "multiprocessing.dummy", "multiprocessing.pool", "numbers", "opcode",
    "operator", "os", "pathlib", "pickle", "pickletools", "pkgutil", "platform", "plistlib", "posixpath", "pprint",
    "profile", "pstats", "pydoc", "pyexpat", "queue", "quopri", "random", "re", "reprlib", "resource",
    "rlcompleter", "sched", "secrets", "select", "selectors", "shelve", "shlex", "shutil", "signal", "site",
    "socket", "sqlite3", "statistics", "string", "stringprep", "struct", "subprocess", "symtable", "sys",
    "sysconfig", "tempfile", "termios", "textwrap", "threading", "time", "timeit", "token", "tokenize", "tomllib",
    "trace", "traceback", "tracemalloc", "types", "typing", "unicodedata", "unittest", "unittest.mock", "urllib",
    "urllib.error", "urllib.parse", "urllib.request", "urllib.robotparser", "uuid", "warnings", "weakref",
    "wsgiref", "xml", "xml.dom.minidom", "xml.etree.ElementTree", "xml.sax", "zipfile", "zlib", "zoneinfo",
)  # fmt: skip
"""Modules of the standard library that model-written code imports, or that those import late."""

_NOT_FOR_LINUX = {"mbcs", "oem", "cp65001"}

OPTIONAL = (
    "numpy", "numpy.fft", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random", "numpy.rec",
    "numpy.strings", "numpy.char", "pandas", "pandas.core.methods.select", "pandas.core.methods.to_dict",
    "pandas.core.reshape.reshape", "pandas.io.formats.csvs", "pandas.io.formats.html", "pandas.io.formats.string",
    "pandas.io.formats.xml", "pydantic", "pydantic.main", "typing_extensions", "dateutil", "dateutil.parser",
    "dateutil.relativedelta", "dateutil.tz",
)  # fmt: skip
"""Loaded when the package is installed; pandas imports the long names only when they are first needed."""


def preload() -> dict[str, str]:
    """Import all of it; the modules that failed, with the reason."""
    failures: dict[str, str] = {}
    for name in STANDARD:
        _load(name, failures)
    _load_codecs(failures)
    _load_time_machine(failures)
    for name in OPTIONAL:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            _load(name, failures)
    if threading.active_count() > 1:
        failures["threads"] = f"importing started {threading.active_count() - 1} threads, which forks do not have"
    gc.collect()
    return failures


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


def _load_time_machine(failures: dict[str, str]) -> None:
    """Without pytest, which it would import for its plugin wherever that happens to be installed."""
    hidden = "pytest" not in sys.modules
    if hidden:
        sys.modules["pytest"] = None  # type: ignore[assignment]
    try:
        _load("time_machine", failures)
    finally:
        if hidden:
            del sys.modules["pytest"]
