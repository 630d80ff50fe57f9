"""A report as Markdown, as one self-contained page of HTML, and as files with its plots."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from habit.bench.plots import plot_lines
from habit.bench.report.parts import Page, Plot, Table
from habit.errors import UsageError

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } img { max-width: 100%; }
pre { background: #f5f5f5; padding: .6rem; overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } th, td { border-color: #333; }
pre { background: #222; } img { background: #fff; } }
""".strip()


def markdown_of(page: Page, *, plots: bool = False) -> str:
    """The page as Markdown; with ``plots`` it points at their files beside it."""
    return "\n".join(_markdown(page, plots=plots))


def _markdown(page: Page, *, plots: bool) -> Iterator[str]:
    yield f"# {page.title}\n"
    for text in page.text:
        yield f"{_flat(text)}\n"
    if page.commands:
        yield "\n".join(["```sh", *map(_flat, page.commands), "```\n"])
    for section in page.sections:
        yield f"## {_flat(section.title)}\n"
        for text in section.text:
            yield f"{_flat(text)}\n"
        for table in section.tables:
            yield f"**{_flat(table.title)}**\n"
            yield f"{_rows_of(table)}\n"
        for plot in section.plots if plots else ():
            if _is_drawn(plot):
                yield f"![{_flat(plot.title)}]({plot.name}.svg)\n"


def _rows_of(table: Table) -> str:
    lines = [table.headers, ["---"] * len(table.headers), *table.rows]
    return "\n".join(f"| {' | '.join(_flat(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _flat(text: str) -> str:
    """``text`` on one line, with nothing in it that is markup: errors have words of models in them."""
    return " ".join(text.split()).replace("<", "&lt;").replace("`", "'")


def html_of(page: Page) -> str:
    """The page with its plots in it; it loads nothing and runs nothing."""
    with tempfile.TemporaryDirectory() as folder:
        return "\n".join(_html(page, Path(folder)))


def _html(page: Page, folder: Path) -> Iterator[str]:
    digest = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield f"<title>{html.escape(page.title)}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{html.escape(page.title)}</h1>"
    yield from (f"<p>{html.escape(text)}</p>" for text in page.text)
    if page.commands:
        yield f"<pre>{html.escape(chr(10).join(page.commands))}</pre>"
    for section in page.sections:
        yield f"<h2>{html.escape(section.title)}</h2>"
        yield from (f"<p>{html.escape(text)}</p>" for text in section.text)
        for table in section.tables:
            yield f"<h3>{html.escape(table.title)}</h3>{_html_table(table)}"
        for plot in section.plots:
            if _is_drawn(plot):
                data = base64.b64encode(_draw(plot, folder).read_bytes()).decode()
                yield f'<p><img alt="{html.escape(plot.title)}" src="data:image/svg+xml;base64,{data}"></p>'
    yield "</body></html>"


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.headers)
    body = "".join(f"<tr>{''.join(_html_cell(cell) for cell in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_cell(cell: str) -> str:
    kind = ' class="n"' if cell[:1].isdecimal() else ""
    return f"<td{kind}>{html.escape(cell)}</td>"


def write_report(page: Page, folder: Path) -> Sequence[Path]:
    """Write ``report.md``, its plots, and ``report.html``; gives their paths. Raises UsageError."""
    plots = [plot for section in page.sections for plot in section.plots if _is_drawn(plot)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [_draw(plot, folder) for plot in plots]
        for name, text in (("report.md", markdown_of(page, plots=True)), ("report.html", html_of(page))):
            (folder / name).write_text(text, "utf-8")
            paths.append(folder / name)
    except OSError as problem:
        raise UsageError(f"The report can't be written to {folder} ({problem.strerror}).") from None
    return paths


def _is_drawn(plot: Plot) -> bool:
    return any(plot.lines.values())


def _draw(plot: Plot, folder: Path) -> Path:
    path = folder / f"{plot.name}.svg"
    plot_lines(path, plot.lines, title=plot.title, x_label=plot.x_label, y_label=plot.y_label, log=plot.log)
    return path
