"""What recurs in lines."""

import pytest

from habit.contexts.patterns import Lines, dates


def patterns(lines: list[str]) -> list[str]:
    return [line.strip() for section in Lines(lines).patterns() for line in section.lines]


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("2024-01-02T10:00:00.123Z a", "<time> a"),
        ("2024-01-02 10:00:00,1 +0200 a", "<time> a"),
        ("[10/Oct/2024:13:55:36 -0700] a", "[<time>] a"),
        ("Oct  9 06:00:01 a", "<time> a"),
        ("Jan 5, 2024 a", "<time> a"),
        ("from 10.1.2.3:80 a", "from <ip> a"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id <id>"),
        ("at 0x7fff12ab of deadbeef12", "at <id> of <id>"),
        ("see https://a.b/c?d=1 now", "see <url> now"),
        ("took 12.5 ms, 1,000 rows", "took # ms, # rows"),
        ("Sub 3 and Mayor 4", "Sub # and Mayor #"),
    ],
)
def test_what_varies_is_masked(line: str, masked: str) -> None:
    assert Lines([line]).masked == [masked]


def test_lines_that_differ_in_a_word_are_one_pattern() -> None:
    names = ["ada", "bob", "cy", "dee"]
    lines = [f"user {names[n % 4]} logged in from {'here' if n % 2 else 'there'}" for n in range(40)]
    assert patterns(lines) == ["100%  user * logged in from *"]


def test_prose_has_no_patterns() -> None:
    words = [chr(97 + n) * (n % 5 + 2) for n in range(16)]
    assert patterns([" ".join(words[n:] + words[:n]) for n in range(len(words))]) == []


def test_an_example_comes_with_patterns_that_the_first_lines_do_not_show() -> None:
    lines = [f"ok {n}" for n in range(90)] + [f"failed at step {n}" for n in range(10)]
    assert patterns(lines) == ["90%  ok #", '10%  failed at step #, such as "failed at step 0"']


def test_speakers_and_fields() -> None:
    lines = [f"{['Ada', 'Dr. Bob'][n % 2]}: words of {'many' * (n % 5)} kinds" for n in range(40)]
    [section] = Lines(lines).labels()
    assert section.title.endswith("Ada: 50%, Dr. Bob: 50%")
    [chat] = Lines([f"[10:{n}] <{'ada' if n % 2 else 'bob'}> hi" for n in range(10, 50)]).labels()
    assert chat.title.endswith("bob: 50%, ada: 50%")
    [fields] = Lines([f"time={n} level=info msg=x" for n in range(10)]).fields()
    assert "time 100%, level 100%, msg 100%" in fields.title


def test_dates_span_from_first_to_last() -> None:
    [section] = dates(["on 2024-03-01 x", "2023-01-05T10:00 y", "2025-12-31", "2024-13-01 is none"])
    assert section.title == "Dates in it (sampled): 2023-01-05T10:00 to 2025-12-31."
    assert dates(["2024-01-01"] * 9) == []
