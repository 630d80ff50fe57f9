"""A review as one HTML file: nothing is fetched, nothing runs, and everything shown is escaped."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from habit.contexts.display import clean
from habit.library.review.differences import MOST_CHARS, MOST_LINES, FileDiff
from habit.library.review.page import Page, Row, Section

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --dim: #5f6672; --line: #d9dde3; --paper: #fff; --soft: #f5f6f8;
  --good: #1a7f37; --bad: #b42318; --new: #dafbe1; --gone: #ffebe9; --changed: #fff8c5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --dim: #9aa3af; --line: #343a43; --paper: #16181c;
  --soft: #1f2329; --good: #57c272; --bad: #ff7b72; --new: #12361f; --gone: #47191c; --changed: #3d3413; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
h3 { font: 600 .85rem ui-monospace, monospace; margin: 1rem 0 .25rem; }
.sub { color: var(--dim); overflow-wrap: anywhere; margin: .25rem 0 1rem; }
ul { margin: 0; padding: 0; list-style: none; } li { padding: .15rem 0; overflow-wrap: anywhere; }
li::before { content: "·"; display: inline-block; width: 1.3rem; color: var(--dim); }
li.good::before { content: "✓"; color: var(--good); } li.bad::before { content: "✗"; color: var(--bad); }
li.bad { color: var(--bad); } li.gone { text-decoration: line-through; color: var(--dim); }
.verdicts { background: var(--soft); border: 1px solid var(--line); border-radius: 8px; padding: .75rem 1rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th { text-align: left; color: var(--dim); font-weight: 500; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; white-space: pre-wrap; }
tr.good td:last-child { color: var(--good); } tr.bad td { color: var(--bad); }
.new { background: var(--new); } .gone { background: var(--gone); } .changed { background: var(--changed); }
pre { font: 13px/1.45 ui-monospace, monospace; background: var(--soft); border: 1px solid var(--line);
  border-radius: 8px; overflow-x: auto; padding: .5rem 0; margin: 0; }
pre span { display: block; padding: 0 .75rem; min-height: 1.45em; white-space: pre-wrap;
  overflow-wrap: anywhere; } pre .at { color: var(--dim); }
code { font: .9em ui-monospace, monospace; background: var(--soft); padding: .1rem .35rem; border-radius: 4px; }
"""


def html_of(page: Page) -> str:
    """The page as HTML that stands alone."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_text(page.title)}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{_text(page.title)}</h1><p class="sub">{_text(page.subtitle)}</p>',
        f'<ul class="verdicts">{"".join(_item(row) for row in page.verdicts)}</ul>',
        *[_section(section) for section in page.sections],
        "<h2>The way on</h2>",
        f"<ul>{''.join(f'<li><code>{_text(command)}</code></li>' for command in page.way_on)}</ul>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _section(section: Section) -> str:
    body = ""
    if section.rows and section.heads:
        heads = "".join(f"<th>{_text(head)}</th>" for head in section.heads)
        rows = "".join(
            f"<tr{_class(row)}>{''.join(f'<td>{_text(cell)}</td>' for cell in row.cells)}</tr>" for row in section.rows
        )
        body = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    elif section.rows:
        body = f"<ul>{''.join(_item(row) for row in section.rows)}</ul>"
    files = "".join(_file(file) for file in section.files if not file.hidden)
    return f"<h2>{_text(section.title)}</h2>{body}{files}"


def _file(file: FileDiff) -> str:
    lines = "".join(_line(line) for line in file.lines[:MOST_LINES])
    left = len(file.lines) - MOST_LINES
    more = f'<p class="bad">{left:,} more lines are not shown.</p>' if left > 0 else ""
    return f"<h3>{_text(file.path)}</h3><pre>{lines}</pre>{more}"


def _line(line: str) -> str:
    kind = {"+": "new", "-": "gone", "@": "at", "\\": "at"}.get(line[:1], "")
    return f'<span class="{kind}">{_text(line)}</span>'


def _item(row: Row) -> str:
    return f"<li{_class(row)}>{_text(' '.join(row.cells))}</li>"


def _class(row: Row) -> str:
    return f' class="{row.mark}"' if row.mark else ""


def _text(text: str) -> str:
    """``text`` as it can be shown: what is not visible, or turns the reading around, as an escape."""
    return escape(clean(text, MOST_CHARS), quote=True)
