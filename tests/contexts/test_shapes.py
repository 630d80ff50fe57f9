"""Key paths of JSON values."""

from typing import Any

from habit.contexts.shapes import survey


def lines(value: Any) -> list[str]:
    return [line.strip() for line in survey(value).lines]


def test_paths_lead_through_lists_and_dicts() -> None:
    value = {"orders": [{"id": n, "items": [{"sku": f"A-{n}"}] * (n % 3)} for n in range(30)], "v": 2}
    assert lines(value) == [
        "orders[]: 30",
        "orders[].id: int, 0 to 29",
        "orders[].items[]: 0 to 2 in each, 30 in all",
        'orders[].items[].sku: str, such as "A-1", "A-2", "A-4"',
        "v: int, such as 2",
    ]
    assert "sampled" not in survey(value).about


def test_large_branches_do_not_hide_the_others() -> None:
    value = {"big": [[{"x": [1] * 500}] * 200] * 200, "small": {"deep": {"key": "found"}}}
    shape = survey(value)
    assert '  small.deep.key: str, such as "found"' in shape.lines
    assert shape.about.endswith("sampled")


def test_all_parts_of_a_list_are_looked_at() -> None:
    assert lines([{"n": n} for n in range(100_000)]) == ["[].n: int, 0 to 99999"]
    # What recurs at equal distances is not taken for all there is.
    assert lines([{"even": n % 2 == 0} for n in range(100_000)])[0].startswith("[].even: bool, 2 values: ")


def test_odd_keys_are_quoted() -> None:
    assert lines({"a b": 1, "c\n```": 2, "": 3}) == [
        '"a b": int, such as 1',
        '"c\\n```": int, such as 2',
        '"": int, such as 3',
    ]


def test_dicts_of_many_like_entries_are_one_place() -> None:
    assert lines({f"u{n}": {"age": n} for n in range(50)}) == ["{}.age: int, 0 to 49"]
    assert lines([{f"k{n}_{m}": n for m in range(20)} for n in range(20)])[0].startswith("[]{}: 20, int, 0 to 19")


def test_presence_is_told() -> None:
    found = lines([{"a": n} if n % 4 else {"a": n, "rare": "x"} for n in range(100)])
    assert found[1] == '[].rare: str, always "x", in 25%'


def test_rows_are_told_cell_by_cell_with_the_names_of_the_first() -> None:
    rows: list[list[Any]] = [["name", "age"], *([f"N{n}", n] for n in range(60))]
    assert lines({"Sheet": rows}) == [
        "Sheet[]: 61",
        'Sheet[][0] "name": str, such as "N0", "N1", "N2"',
        'Sheet[][1] "age": int, 0 to 59',
    ]
    assert lines({"m": [[1, 2], [3, 4], [5, 6]]})[1] == "m[][0]: int, 1 to 5"


def test_mixed_and_empty_places_are_told() -> None:
    assert lines([1, "a", [2], {"b": 3}])[0].startswith("[]: dict, list, int (50%) or str (50%)")
    assert lines({"e": [], "f": {}}) == ["e: empty list", "f: empty dict"]
