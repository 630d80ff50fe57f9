"""Tables in text."""

import pytest

from habit.contexts.tables import find_table
from habit.contexts.texts import Text


def told(text: str) -> str:
    return "\n".join(line for section in Text(text).kind() for line in (section.title, *section.lines))


@pytest.mark.parametrize("delimiter", ["\t", ",", ";", "|", "||", "\x1f", "^", "~"])
def test_delimiters(delimiter: str) -> None:
    table = find_table([delimiter.join(row) for row in (["id", "name", "n"], ["1", "Ada", "5"], ["2", "Bob", "6"])])
    assert table is not None
    assert (table.delimiter, table.width, table.header) == (delimiter, 3, ["id", "name", "n"])


def test_cells_that_carry_their_names() -> None:
    text = "".join(f"Date: Jan {n % 28 + 1}, 2024 || User: {n * 7} || Instance: what is {n}?\n" for n in range(300))
    shown = told(text)
    assert "A table with names in the cells: 300 rows, 3 columns separated by a double bar." in shown
    assert "  User: int, 0 to 2093" in shown


def test_values_from_all_over_the_text_count() -> None:
    text = "id,kind\n" + "".join(f"{n},{'early' if n < 50_000 else 'late'}\n" for n in range(100_000))
    shown = told(text)
    assert "  id: int, 0 to 99999" in shown
    assert '"late"' in shown


def test_a_table_whose_first_line_is_huge() -> None:
    text = ",".join(f"col{n}" for n in range(50_000)) + "\n" + (",".join(["7"] * 50_000) + "\n") * 3
    shown = told(text)
    assert "3 rows, 50,000 columns separated by comma" in shown
    assert "  col0: int, always 7" in shown


def test_names_of_columns_cannot_pose_as_fences() -> None:
    shown = told("```,b\n" + "1,2\n" * 9)
    assert '  "```": int' in shown


def test_broken_quotes_do_not_swallow_the_table() -> None:
    assert find_table(['a,b"', '1,"x', "2,y", "3,z"]) is not None


def test_comments_before_a_table() -> None:
    shown = told("# Codes\n#\n# by someone, some day\n" + "".join(f"A{n}\tLand {n}\n" for n in range(30)))
    assert "A table with 3 lines of comments, then no header line: 30 rows, 2 columns separated by tab." in shown
    assert "First rows:\n| A0\tLand 0" in shown


@pytest.mark.parametrize(
    "line",
    [
        "2024-01-02 10:00:{0:02},{0:03} - root - INFO - did thing {0} now",
        "2024-01-02T10:00:{0:02}+00:00 | INFO | did thing {0} in time",
        "2024-01-02T10:00:{0:02}+00:00 a:b INFO did thing {0} in time",
    ],
)
def test_logs_are_no_tables(line: str) -> None:
    assert told("\n".join(line.format(n) for n in range(50))).startswith("A log")


def test_colons_make_a_table_only_of_many_columns() -> None:
    users = "".join(f"user{n}:x:{n}:{n}:Some One:/home/{n}:/bin/sh\n" for n in range(20))
    assert "7 columns separated by colon" in told(users)
    assert "table" not in told("a:b\n" * 20)
