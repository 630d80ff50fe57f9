"""``pytest --habits``: every rule, case and relation of a library is a test with a readable failure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.made_habits import count_label, write_library

pytest_plugins = ["pytester"]
# The entry point may be installed beside this source, or an older one may.
PLUGIN = ("-p", "no:habit", "-p", "habit.pytest_plugin", "-p", "no:cacheprovider")


def test_green_habits_pass_beside_other_tests(pytester: pytest.Pytester) -> None:
    write_library(pytester.path / "habits", count_label())
    pytester.makepyfile(test_other="def test_other(): pass")
    result = pytester.runpytest_inprocess(*PLUGIN, "--habits", "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines_random(
        ["*test_other*", "*::rules PASSED*", "*::case?first? PASSED*", "*::relation?additivity? PASSED*"]
    )


def test_failures_say_what_is_wrong_and_no_more(pytester: pytest.Pytester) -> None:
    red = count_label()
    write_library(pytester.path / "lib", replace(red, source=red.source.replace("== label", "!= label")))
    result = pytester.runpytest_inprocess(*PLUGIN, "--habits=lib")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["it answers 2 instead of 3"])
    assert "Traceback" not in result.stdout.str()
    assert "pytest_plugin.py" not in result.stdout.str()


def test_a_broken_rule_and_an_unreadable_habit_fail(pytester: pytest.Pytester) -> None:
    bad = count_label(name="bad-rule", relations=())
    write_library(pytester.path / "habits", replace(bad, source="import os\n" + bad.source), count_label())
    (pytester.path / "habits" / "count-label" / "scheduler.py").unlink()
    result = pytester.runpytest_inprocess(*PLUGIN, "--habits")
    result.assert_outcomes(failed=2, skipped=1)
    result.stdout.fnmatch_lines_random(["scheduler.py:1: it imports os: *", "*count-label is no habit*"])


def test_without_the_flag_nothing_is_collected(pytester: pytest.Pytester) -> None:
    write_library(pytester.path / "habits", count_label())
    pytester.makepyfile(test_other="def test_other(): pass")
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=1)


def test_a_library_that_is_not_there_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(*PLUGIN, "--habits=nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no library in nowhere*"])


def test_the_plugin_costs_other_projects_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_it(): assert not [name for name in sys.modules if name.startswith('habit.l')]"
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)
