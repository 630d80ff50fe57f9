"""Series of values in a few words."""

import pytest

from habit.contexts.columns import cell_kind, summarise_cells, summarise_values


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("12", "int"),
        (" -7 ", "int"),
        ("1.5e3", "float"),
        (".5", "float"),
        ("2024-02-29", "date"),
        ("1/2/2024 10:00", "date"),
        ("Yes", "bool"),
        ("", ""),
        (" \t", ""),
        ("a1", "str"),
        ("1" * 400, "str"),
        ("١٢", "str"),
    ],
)
def test_what_a_cell_stands_for(cell: str, kind: str) -> None:
    assert cell_kind(cell) == kind


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([str(n) for n in range(100)], "int, 0 to 99"),
        (["1", "2.5", "3"], "float, 1 to 3"),
        (["7"] * 9, "int, always 7"),
        (["7"], "int, such as 7"),
        (["1", "2", "1", "1"] * 5, "int, 2 values: 1 75%, 2 25%"),
        (["2024-01-02", "2023-12-31"], "date, 2023-12-31 to 2024-01-02"),
        (["1/2/2024", "31/1/2024"], "date, such as 1/2/2024, 31/1/2024"),
        (["yes", "no", "no", "no"] * 3, 'bool, 2 values: "no" 75%, "yes" 25%'),
        (["red", "red", "blue"] * 9, 'str, 2 values: "red" 67%, "blue" 33%'),
        (["", " "], "empty"),
        (["1", "", "2", "3"], "int, 1 to 3, 25% empty"),
        (["1.5", "NA", "2.5", "n/a"], 'float, 1.5 to 2.5, 50% written "NA", "n/a"'),
        (["1", "x", "2", "3"], 'int (75%) or str (25%), such as "1", "x", "2"'),
        (["1e999", "1"], "float, such as 1"),  # what is beyond a float's range cannot be compared
    ],
)
def test_columns_of_cells(cells: list[str], said: str) -> None:
    assert summarise_cells(cells) == said


def test_long_texts_are_told_by_their_lengths() -> None:
    said = summarise_cells(["a" * 50, "b" * 90, "c" * 10])
    assert said.startswith("str of 10 to 90 characters, such as")
    assert len(said) < 200
    assert "different among" in summarise_cells([f"word {n % 40}" for n in range(200)])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2, 3], "int, 1 to 3"),
        ([1, 2.5], "float, 1 to 2.5"),
        ([None, None], "None"),
        ([True, False, None, None], "bool, 2 values: True 50%, False 50%, 50% None"),
        ([1, "a"], 'int (50%) or str (50%), such as 1, "a"'),
        (["2024-01-02", "2024-03-01"], "str, date, 2024-01-02 to 2024-03-01"),
        ([float("nan"), float("inf")], "float, such as nan"),
        ([float("nan"), 1.5, 0.5], "float, 0.5 to 1.5"),
        ([10**5000], "int, such as <an int of 16610 bits>"),
    ],
)
def test_scalars_of_json(values: list[object], said: str) -> None:
    assert summarise_values(values) == said
