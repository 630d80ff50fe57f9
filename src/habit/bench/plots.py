"""Plots of what the bench measured, as SVG files that are the same for the same figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from habit.errors import UsageError

Line = Sequence[tuple[float, float]]


def plot_lines(
    path: Path,
    lines: Mapping[str, Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
) -> None:
    """Draw ``lines`` by name into ``path``; ``marks`` are vertical lines with a name. Needs the extra ``bench``."""
    try:
        import matplotlib
    except ImportError:
        raise UsageError("Plots need matplotlib: pip install 'habit[bench]'.") from None
    matplotlib.use("svg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "habit", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure, axes = pyplot.subplots(figsize=(7, 4))
        for name, line in lines.items():
            axes.plot([x for x, _ in line], [y for _, y in line], label=name, linewidth=1.8)
        for name, x in (marks or {}).items():
            axes.axvline(x, color="grey", linestyle=":", linewidth=1)
            axes.annotate(name, (x, 0), xycoords=("data", "axes fraction"), xytext=(4, 6), textcoords="offset points")
        if log:
            axes.set_xscale("log")
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        figure.tight_layout()
        figure.savefig(path, format="svg", metadata={"Date": None})
        pyplot.close(figure)
