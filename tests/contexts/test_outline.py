"""Headings, separators, blocks and tags."""

import pytest

from habit.contexts.outline import blocks, headings, markup, rules


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# A\n\nx\n\n## B\n", ["# A", "## B"]),
        ("== A ==\nx\n=== B ===\n", ["== A ==", "=== B ==="]),
        ("--- a.txt ---\nx\n--- b.txt ---\ny\n", ["--- a.txt ---", "--- b.txt ---"]),
        ("\\section{A}\nx\n\\subsection*{B}\n", ["\\section{A}", "\\subsection*{B}"]),
        ("CHAPTER I\nx\nCHAPTER II. The end\ny\n", ["CHAPTER I", "CHAPTER II. The end"]),
        ("First\n=====\nx\n\nSecond\n------\n", ["First", "Second"]),
        ("1. Intro\nx\n1.1 Terms Used\ny\n2. End\n", ["1. Intro", "1.1 Terms Used", "2. End"]),
        ("1. Buy milk now.\n2. Buy bread.\n3. Sleep.\n", []),
        ("#hashtag\n#another\n", []),
        ("Part of it\nPart of that\n", []),
    ],
)
def test_styles_of_headings(text: str, found: list[str]) -> None:
    assert headings(text, text.split("\n")) == found


def test_separators_are_counted_in_the_whole_text() -> None:
    text = "a\n-----\n" * 50
    [section] = rules(text, text.split("\n")[:20])
    assert section.title == 'Separator lines: "-----" 50×.'
    assert rules("a\nb\n", ["a", "b"]) == []


def test_blocks() -> None:
    [section] = blocks(["a", "b", "", "c", "d", "", "", "e", "", "f", "g", "h"])
    assert section.title == "Blank lines divide it into blocks, typically of 2 lines, at most 3 (sampled)."
    assert blocks(["a"] * 50) == []


def test_xml_is_told_by_paths() -> None:
    text = "<feed>" + '<item id="1"><t>Hello</t><e/></item>' * 5 + "</feed>"
    [section] = markup(text, text)
    assert section.lines == [
        "  feed: 1×",
        "  feed/item: 5×, attributes id",
        '  feed/item/t: 5×, such as "Hello"',
        "  feed/item/e: 5×",
    ]
    first, second = markup(text, text[:90])
    assert "first 90 characters" in first.title
    assert "occurs 5 times in all" in second.title


def test_html_is_told_by_tags() -> None:
    text = "<!doctype html><html><body>" + "<p>a<br>" * 4 + "<P>b</P></body></html>"
    [section] = markup(text, text)
    assert section.lines[0] == '  p: 5×, such as "a"'
    assert "  br: 4×" in section.lines


def test_what_only_begins_like_markup_is_none() -> None:
    assert markup("<ada> hi\n<bob> ho\n<ada> hm\n", "<ada> hi\n<bob> ho\n<ada> hm\n") == []
    assert markup("a < b", "a < b") == []


def test_comments_are_no_headings() -> None:
    settings = "# The name\nname = 1\n\n# The place\nplace = 2\n\n# The rest\n# of it\nrest = 3\n"
    assert headings(settings, settings.split("\n")) == []
    pages = "".join(f"# Page {n}\n\nwords\n\n" for n in range(9))
    assert len(headings(pages, pages.split("\n"))) == 9
    sections = "; x\n[first]\na=1\n[second.part]\nb=2\n[[third]]\n[1, 2]\n"
    assert headings(sections, sections.split("\n")) == ["[first]", "[second.part]", "[[third]]"]
