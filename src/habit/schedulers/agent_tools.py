"""The tools of the agent loop over ``context``: run inside the session, in the Python that every sandbox knows.

Never imported: its text is fed to a new session before the first tool is called, after a line ``PAGE_CHARS = …``. What
the tools print is bounded by that; what they can't do they raise, as one sentence.
"""

# ruff: noqa: F821, B905 - the names of the session are there, and its Python is a small one
# mypy: disable-error-code="name-defined, var-annotated"
from __future__ import annotations

import asyncio
import bisect
from typing import Any

_LINE_CHARS = 300
"""Characters of a line that a search shows, around what was found."""
_MOST_VALUES = 40
_made: dict[Any, Any] = {}


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _documents() -> Any:
    """(name, text) of each document of the context; a list is one text with a numbered entry for each item."""
    if "documents" not in _made:
        if isinstance(context, dict):
            documents = [(str(key), _as_text(value)) for key, value in context.items()]
        elif isinstance(context, (list, tuple)):
            documents = [("", "\n".join([f"[{n}] {_as_text(item)}" for n, item in enumerate(context)]))]
        else:
            documents = [("", _as_text(context))]
        _made["documents"] = documents or [("", "")]
    return _made["documents"]


def _pages() -> Any:
    """(document, start, end) of each page, and for each document its first page; pages end with a line, if they can."""
    if "pages" not in _made:
        pages, first = [], []
        for number, document in enumerate(_documents()):
            text = document[1]
            first.append(len(pages))
            start, size = 0, len(text)
            while True:
                end = min(start + PAGE_CHARS, size)
                if end < size:
                    cut = text.rfind("\n", start + PAGE_CHARS // 2, end)
                    end = cut + 1 if cut >= 0 else end
                pages.append((number, start, end))
                start = end
                if start >= size:
                    break
        _made["pages"] = (pages, first)
        _made["starts"] = [(number, start) for number, start, end in pages]
    return _made["pages"]


def _page_at(number: Any, position: Any) -> Any:
    """The page, from 1, on which a document has a position."""
    _pages()
    return bisect.bisect_right(_made["starts"], (number, position))


def _page(page: Any) -> Any:
    pages = _pages()[0]
    if page < 1 or page > len(pages):
        raise ValueError(f"There is no page {page}: the pages are 1 to {len(pages):,}.")
    return pages[page - 1]


def _slice(first: Any, last: Any) -> Any:
    """The text of some pages, with the name of each document before its part."""
    documents = _documents()
    _page(first)
    _page(last)
    parts, shown = [], -1
    for number, start, end in _pages()[0][first - 1 : last]:
        name, text = documents[number]
        if name and number != shown:
            parts.append(("\n" if parts else "") + f"=== {name} ===\n")
        shown = number
        parts.append(text[start:end])
    return "".join(parts)


def _cut(text: Any, limit: Any) -> Any:
    return text if len(text) <= limit else f"{text[:limit]}[… {len(text) - limit:,} characters more]"


def peek() -> None:
    """What the context is, how many pages it has, and how it begins and ends."""
    documents = _documents()
    pages, first = _pages()
    size = sum([len(text) for name, text in documents])
    kind = "a text"
    if isinstance(context, dict):
        kind = f"{len(documents):,} texts by name"
    elif not isinstance(context, str):
        kind = f"a {type(context).__name__}"
        if isinstance(context, (list, tuple)):
            kind = f"a list of {len(context):,} items, each shown as [number] item"
    print(f"The context is {kind}: {size:,} characters on {len(pages):,} pages of at most {PAGE_CHARS:,} characters.")
    if len(documents) > 1:
        room = PAGE_CHARS // 2
        for number, document in enumerate(documents):
            line = f"page {first[number] + 1:,}: {document[0]} ({len(document[1]):,} characters)"
            room -= len(line) + 1
            if room < 0:
                print(f"… and {len(documents) - number:,} more")
                break
            print(line)
    head, tail = documents[0][1], documents[-1][1]
    part = PAGE_CHARS // 6
    if len(documents) == 1 and len(head) <= 2 * part:
        print(head)
    else:
        print(f"It begins:\n{head[:part]}\n…\nIt ends:\n{tail[-part:]}")


def read(page: Any, last_page: Any = None) -> None:
    """One page, or as many whole pages from there to ``last_page`` as there is room for."""
    last = max(page, page if last_page is None else last_page)
    _page(page)
    last = min(last, len(_pages()[0]))
    to, room = page, PAGE_CHARS
    while to < last:
        _, start, end = _page(to)
        room -= end - start
        _, start, end = _page(to + 1)
        if end - start > room:
            break
        to += 1
    pages = f"page {page}" if to == page else f"pages {page}-{to}"
    print(f"{pages} of {len(_pages()[0]):,}:\n{_slice(page, to)}")
    if to < last:
        print(f"[there was no room for more: go on with page {to + 1}]")


def _compiled(pattern: Any, ignore_case: Any) -> Any:
    """The regular expression, and a note where it is none and was taken as the text it is."""
    flags = re.MULTILINE | re.IGNORECASE if ignore_case else re.MULTILINE
    if pattern == "":
        raise ValueError("The pattern is empty: say what to look for.")
    try:
        return re.compile(pattern, flags), ""
    except re.error as problem:
        note = f"[the pattern is no regular expression ({problem}), so it was looked for as the text it is]\n"
        return re.compile(re.escape(pattern), flags), note


def _lines(expression: Any) -> Any:
    """(document, start, end, place) of each line with a match, from the first match in it."""
    found = []
    for number, document in enumerate(_documents()):
        text, last = document[1], -1
        for match in expression.finditer(text):
            place = match.start()
            if place <= last:
                continue
            last = text.find("\n", place)
            last = len(text) if last < 0 else last
            found.append((number, text.rfind("\n", 0, place) + 1, last, place))
    return found


def _nothing(pattern: Any, ignore_case: Any, note: Any) -> Any:
    other = ""
    if not ignore_case:
        lines = len(_lines(_compiled(pattern, True)[0]))
        other = f"; with ignore_case, {lines:,} lines match" if lines else ", in any case"
    return f"{note}No line matches{other}."


def search(pattern: Any, ignore_case: Any = False, limit: Any = 50, skip: Any = 0) -> None:
    """The lines that match a regular expression, with their pages."""
    expression, note = _compiled(pattern, ignore_case)
    found = _lines(expression)
    if not found:
        print(_nothing(pattern, ignore_case, note))
        return
    shown, room = [], PAGE_CHARS
    skip = max(0, skip)
    for number, start, end, place in found[skip : skip + max(1, limit)]:
        text = _documents()[number][1]
        begin = start if end - start <= _LINE_CHARS else max(start, place - _LINE_CHARS // 3)
        stop = min(end, begin + _LINE_CHARS)
        line = ("…" if begin > start else "") + text[begin:stop].removesuffix("\r") + ("…" if stop < end else "")
        line = f"page {_page_at(number, place)}: {line}"
        room -= len(line) + 1
        if room < 0 and shown:
            break
        shown.append(line)
    print(f"{note}{len(found):,} {'line matches' if len(found) == 1 else 'lines match'}:")
    for line in shown:
        print(line)
    left = len(found) - skip - len(shown)
    if left > 0:
        print(f"[{left:,} more lines: go on with skip={skip + len(shown)}]")


def count(pattern: Any, ignore_case: Any = False) -> None:
    """How often a regular expression matches, and on how many lines; with a group, how often it has each value."""
    expression, note = _compiled(pattern, ignore_case)
    matches, values, grouped = 0, {}, False
    for _, text in _documents():
        for match in expression.finditer(text):
            matches += 1
            groups = match.groups()
            if groups:
                grouped = True
                value = " | ".join(["" if group is None else group for group in groups])
                values[value] = values.get(value, 0) + 1
    if not matches:
        print(_nothing(pattern, ignore_case, note))
        return
    print(f"{note}{matches:,} matches on {len(_lines(expression)):,} lines.")
    if grouped:
        room = PAGE_CHARS
        ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
        print(f"The group has {len(ranked):,} different values:")
        for position, item in enumerate(ranked):
            line = f"{item[1]:,} × {_cut(item[0], _LINE_CHARS)}"
            room -= len(line) + 1
            if room < 0 or position >= _MOST_VALUES:
                print(f"[{len(ranked) - position:,} more values]")
                break
            print(line)


def asked(query: Any, slices: Any) -> Any:
    """What ``ask_together`` is to ask."""
    return (query, slices)


async def ask_together(each: Any) -> None:
    """Ask each (query, slices) at the same time, for ``ask_about`` to tell; it says of itself what can't be asked."""
    keys, pending = [], []
    for query, slices in each:
        try:
            texts = [_slice(first, last) for first, last in slices]
        except ValueError:
            continue
        key = ("replies", query, str(slices))
        if key not in keys:
            keys.append(key)
            pending.append(recursive_llm_map(query, texts, on_error="return"))
    for key, replies in zip(keys, await asyncio.gather(*pending)):
        _made[key] = replies


def ask_about(query: Any, slices: Any) -> None:
    """What a fresh model replies to ``query`` about each slice, a (first page, last page), all at the same time."""
    replies = _made.pop(("replies", query, str(slices)), None)
    if replies is None:
        replies = recursive_llm_map(query, [_slice(first, last) for first, last in slices], on_error="return")
    share = max(200, PAGE_CHARS // len(replies))
    for place, reply in zip(slices, replies):
        first, last = place
        where = f"page {first}" if first == last else f"pages {first}-{last}"
        failed = "failed: " if isinstance(reply, CallFailed) else ""
        print(f"{where}: {_cut(failed + str(reply), share)}")
