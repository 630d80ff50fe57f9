"""What a report says of outcomes whose figures are known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from habit.bench.chances import mcnemar, wilson
from habit.bench.outcome import Outcome
from habit.bench.report.columns import size_text
from habit.bench.report.page import report_of
from habit.bench.report.parts import Page
from habit.bench.report.pricing import Prices
from habit.bench.report.rendering import html_of, markdown_of, write_report
from habit.calls.prices import PriceList
from habit.errors import UsageError
from support.outcomes import an_outcome

SIZES = (10_000, 100_000, 1_000_000)


def grid(**details: Any) -> list[Outcome]:
    """The agent's tokens grow with the input, those of rlm stay; direct can't take a megabyte."""
    made = []
    for size in SIZES:
        for seed in range(4):
            common = {"size": size, "seed": seed, "question_key": f"{size} {seed}", "kind": "needle", "family": "code"}
            for strategy, root, right in (
                ("agent", size // 10, seed != 0),
                ("direct", 0, size < 1_000_000),
                ("rlm", 3_000, True),
            ):
                fits = strategy != "direct" or size < 1_000_000
                made.append(
                    an_outcome(
                        **{
                            **common,
                            "key": f"{details} {size} {seed} {strategy}",
                            "strategy": strategy,
                            "root_tokens": root,
                            "leaf_tokens": size // 4 if strategy == "direct" and fits else 0,
                            "root_calls": int(strategy != "direct"),
                            "leaf_calls": int(strategy == "direct" and fits),
                            "peak_prompt_tokens": (root or size // 4) if fits else 0,
                            "right": right,
                            "score": float(right),
                            "status": "answered" if fits else "failed",
                            "error": None if fits else "The input does not fit one prompt | ask `rlm`\n<b>",
                            **details,
                        }
                    )
                )
    return made


def stream() -> list[Outcome]:
    """Two streams of six questions of one family; with a library only the first costs root tokens."""
    return [
        an_outcome(
            key=f"{strategy} {seed} {number}",
            part="stream",
            family="sum",
            strategy=strategy,
            seed=seed,
            number=number,
            root_tokens=0 if strategy == "auto" and number else 1_000,
            answered_by="sum@1" if strategy == "auto" and number else "rlm",
        )
        for strategy in ("auto", "rlm")
        for seed in (0, 1)
        for number in range(6)
    ]


def rows(page: Page, title: str, number: int = 0) -> list[list[str]]:
    section = next(one for one in page.sections if one.title.startswith(title))
    return [list(row) for row in section.tables[number].rows]


def test_each_size_and_strategy_has_a_row() -> None:
    found = rows(report_of(grid()), "By size")
    assert [row[:2] for row in found] == [
        [size, way] for size in ("10 kB", "100 kB", "1 MB") for way in ("direct", "agent", "rlm")
    ]
    assert found[1][2:7] == ["4", "75 %", "30–95", "0.75", "1,000"]
    assert found[6][2:6] == ["4", "0 %", "0–49", "0.00"]


def test_each_family_has_a_row_for_each_size() -> None:
    other = [replace(one, key=f"other {one.key}", family="threat", right=False, score=0.0) for one in grid()]
    found = {tuple(row[:3]): row[3:7] for row in rows(report_of([*grid(), *other]), "By family and size")}
    assert len(found) == 2 * len(SIZES) * 3
    assert found["code", "100 kB", "agent"] == ["4", "75 %", "30–95", "0.75"]
    assert found["threat", "100 kB", "agent"] == ["4", "0 %", "0–49", "0.00"]
    assert not any("By family and size" in one.title for one in report_of(grid()).sections)


def test_growth_is_told_as_multiples_of_the_smallest() -> None:
    found = rows(report_of(grid()), "By size", 1)
    assert ["agent", "root tokens", "1.00", "10.00", "100.00"] in found
    assert ["rlm", "root tokens", "1.00", "1.00", "1.00"] in found
    assert ["direct", "peak prompt", "1.00", "10.00", "–"] in found


def test_strategies_are_compared_on_the_questions_that_both_were_asked() -> None:
    found = {row[0]: row[1:] for row in rows(report_of(grid()), "The same questions")}
    assert found["agent · rlm"][:5] == ["12", "9", "0", "3", "0"]
    assert found["agent · rlm"][5] == "0.250"
    assert found["direct · agent"][:5] == ["12", "6", "2", "3", "1"]


def test_learning_is_counted_with_the_first_use_and_nowhere_else() -> None:
    learning = an_outcome(key="l", part="learning", root_tokens=5_000, right=False, strategy="rlm")
    page = report_of([*grid(), learning])
    assert rows(page, "By size") == rows(report_of(grid()), "By size")
    assert "1 asked to" in page.text[0]


def priced_stream(**details: Any) -> list[Outcome]:
    """The stream, a tenth of whose tokens are replies."""
    return [
        replace(
            one,
            **{
                "root_output_tokens": one.root_tokens // 10,
                "leaf_output_tokens": 0,
                "extra_output_tokens": 0,
                "usd": 0.5 if one.root_tokens else 0.0,
                **details,
            },
        )
        for one in stream()
    ]


def plots_of(page: Page) -> dict[str, Any]:
    return {plot.name: plot for section in page.sections for plot in section.plots if any(plot.lines.values())}


def test_what_a_stream_cost_adds_up() -> None:
    page = report_of(priced_stream())
    assert rows(page, "Questions that recur", 2) == [
        ["rlm", "0.5000", "2.5000", "–", "–"],
        ["auto", "0.5000", "0.5000", "–", "–"],
    ]
    lines = plots_of(page)["1-stream-usd"].lines
    assert lines["rlm"] == [(float(n), n / 2) for n in range(1, 7)]
    assert lines["auto"] == [(float(n), 0.5) for n in range(1, 7)]
    assert "--prices" not in markdown_of(page)


@pytest.mark.parametrize(("usd", "why"), [(0.0, "Nothing was paid for m"), (None, "Some of the prices of m are not")])
def test_where_no_price_is_known_none_is_made_up(usd: float | None, why: str) -> None:
    page = report_of(priced_stream(usd=usd))
    assert "1-stream-usd" not in plots_of(page)
    assert "1-stream-tokens" in plots_of(page)
    assert not any("US$ spent" in table.title for section in page.sections for table in section.tables)
    text = markdown_of(page)
    assert why in text
    assert "--prices MODEL" in text


def test_tokens_are_counted_at_the_prices_of_a_model_and_that_is_told() -> None:
    listed = PriceList("openai", "gpt-5-mini")
    each = listed.cost(900, 100)
    assert each
    page = report_of(priced_stream(usd=0.0), prices=Prices("openai:gpt-5-mini"))
    section = next(one for one in page.sections if one.title.startswith("Questions that recur"))
    assert section.title.endswith("US$ as for openai:gpt-5-mini")
    assert "US$ are not what was paid" in " ".join(page.text)
    plot = plots_of(page)["1-stream-usd"]
    assert "US$ as for openai:gpt-5-mini" in plot.title
    assert [usd for _, usd in plot.lines["rlm"]] == pytest.approx([each * n for n in range(1, 7)])
    assert [usd for _, usd in plot.lines["auto"]] == pytest.approx([each] * 6)


def test_outcomes_that_do_not_tell_replies_apart_get_no_price() -> None:
    page = report_of(priced_stream(leaf_output_tokens=None), prices=Prices("openai:gpt-5-mini"))
    assert "1-stream-usd" not in plots_of(page)
    assert "unknown" in {cell for row in rows(page, "Questions that recur") for cell in row}
    assert "do not tell prompts from replies" in markdown_of(page)
    assert "--prices MODEL" not in markdown_of(page)


@pytest.mark.parametrize("model", ["openai:no-such-model", "local:qwen"])
def test_a_model_without_a_price_is_no_price(model: str) -> None:
    with pytest.raises(UsageError, match="such as openai:gpt-5-mini"):
        Prices(model)


def test_streams_are_told_by_their_numbers() -> None:
    page = report_of(stream())
    assert [row[:4] for row in rows(page, "Questions that recur")] == [
        ["rlm", "12", "100 %", "76–100"],
        ["auto", "12", "100 %", "76–100"],
    ]
    assert [row[5] for row in rows(page, "Questions that recur")] == ["0 %", "83 %"]
    assert rows(page, "Questions that recur", 1) == [
        ["rlm", "1,000", "5,000", "–", "–"],
        ["auto", *("1,000",) * 2, "–", "–"],
    ]
    assert rows(page, "Questions that recur", 2) == [
        ["rlm", "1,000", "1,000", "–", "–"],
        ["auto", "1,000", "0", "–", "–"],
    ]


def test_streams_of_other_lengths_are_told_apart() -> None:
    longer = [replace(one, key=f"longer {one.key}", stream=60, root_tokens=70) for one in stream()]
    page = report_of([*stream(), *longer])
    shorter, apart = [one for one in page.sections if one.title.startswith("Questions that recur")]
    assert apart.title.endswith(", streams of 60")
    assert [row[:3] for row in shorter.tables[1].rows] == [["rlm", "1,000", "5,000"], ["auto", "1,000", "1,000"]]
    assert [row[:3] for row in apart.tables[1].rows] == [["rlm", "70", "350"], ["auto", "70", "350"]]
    names = [plot.name for section in page.sections for plot in section.plots]
    assert len(set(names)) == len(names) == 4


def test_habits_that_answered_near_misses_are_counted() -> None:
    taken = ["sum@1", "largest@1", "rlm", "sum-of-all@2"]
    told = [
        an_outcome(key=habit, part="stream", strategy="auto", family="largest", near="sum", answered_by=habit)
        for habit in taken
    ]
    near = next(table for table in report_of(told).sections[0].tables if "near-misses" in table.title)
    assert near.rows == [["auto", "4", *near.rows[0][2:5], "2"]]
    assert not any("near-misses" in table.title for table in report_of(stream()).sections[0].tables)


def test_what_went_wrong_is_counted() -> None:
    wrong = [*grid(), an_outcome(key="f", right=False, score=0.0, fault="leaf")]
    page = report_of(wrong)
    assert ["m", "direct", "failed", "not asked", "4"] in rows(page, "Wrong answers")
    assert ["m", "rlm", "answered", "leaf", "1"] in rows(page, "Wrong answers")
    assert rows(page, "Wrong answers", 1)[0][2] == "4"


def test_the_oracle_is_named_in_every_title_and_on_every_plot() -> None:
    noisy = grid(oracle=True, model="oracle:scripted", noise=0.1)
    page = report_of([*grid(oracle=True, model="oracle:scripted"), *noisy, *grid(model="real:model")])
    titles = [one.title for section in page.sections for one in (*section.tables, *section.plots)]
    for section in page.sections:
        for one in (*section.tables, *section.plots):
            if "Wrong" not in section.title:
                assert ("a script, no model" in one.title) != ("real:model" in one.title), one.title
    assert len([title for title in titles if "noise 0.1" in title]) >= 4
    assert any("a script that knows the truth" in text for text in page.text)
    assert not any("a script that knows" in text for text in report_of(grid()).text)
    noise = rows(page, "Noise")
    assert [row[:2] for row in noise[:2]] == [["direct", "0"], ["direct", "0.1"]]


def test_accuracy_and_score_are_drawn_against_noise() -> None:
    told = [
        an_outcome(key=f"{noise} {seed}", oracle=True, noise=noise, seed=seed, right=right, score=1.0 if right else 0.5)
        for noise in (0.0, 0.1)
        for seed, right in enumerate((True, not noise))
    ]
    section = next(one for one in report_of(told).sections if one.title.startswith("Noise"))
    plots = {plot.name: plot.lines for plot in section.plots}
    assert plots == {"noise-right": {"rlm": [(0.0, 1.0), (0.1, 0.5)]}, "noise": {"rlm": [(0.0, 1.0), (0.1, 0.75)]}}


def test_several_benches_are_told_together_and_each_outcome_once() -> None:
    page = report_of([*grid(), *grid()], commands=["habit bench --out one"])
    assert rows(page, "By size") == rows(report_of(grid()), "By size")
    assert "habit bench --out one" in markdown_of(page)


def test_markdown_has_every_table_and_no_markup_of_others() -> None:
    page = report_of([*grid(), *stream()])
    text = markdown_of(page)
    assert text.count("\n| --- |") == sum(len(section.tables) for section in page.sections)
    assert "<b>" not in text
    assert "prompt \\| ask 'rlm'" in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


def test_the_page_holds_its_plots_and_loads_nothing() -> None:
    pytest.importorskip("matplotlib")
    page = html_of(report_of(grid()))
    assert page.count("data:image/svg+xml;base64,") == 3
    assert "&lt;b&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)=[\"']?https?:", page)
    assert "<script" not in page


def test_a_report_is_written_with_its_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = report_of([*grid(), *stream()])
    paths = write_report(page, tmp_path / "report")
    names = {path.name for path in paths}
    assert {"report.md", "report.html", "1-tokens.svg", "1-peak.svg", "1-stream-tokens.svg"} <= names
    text = (tmp_path / "report" / "report.md").read_text()
    assert all(f"({name})" in text for name in names if name.endswith(".svg"))
    svg = (tmp_path / "report" / "1-root-tokens.svg").read_text()
    assert ">agent<" in svg
    assert ">direct<" not in svg  # it has no root tokens
    again = {path.name: path.read_bytes() for path in write_report(page, tmp_path / "again")}
    assert again == {path.name: path.read_bytes() for path in paths}


def test_shares_and_their_intervals() -> None:
    low, high = wilson(81, 263)
    assert (round(low, 3), round(high, 3)) == (0.255, 0.366)  # Newcombe 1998, table II, method 3
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5) == mcnemar(5, 0) == 0.0625
    assert mcnemar(3, 3) == 1.0


def test_sizes_are_told_in_units() -> None:
    assert [size_text(size) for size in (999, 10_000, 1_906, 1_000_000)] == ["999 B", "10 kB", "1.91 kB", "1 MB"]
