"""The headings of an issue's text, by which its fields are read."""

from dslp.github.forms import headings
from hypothesis import example, given
from hypothesis import strategies as st

PARTS = [
    "### Ask",
    "###",
    "#### x",
    "###x",
    "- ",
    "> ",
    "    ",
    "\t",
    "  ",
    "\n",
    "\r\n",
    "a",
    "#",
    "***",
    "1. ",
]
PARTS += ["```", "~~~", "<p>", "---", "===", "[a]: b", "\\", "`", "|"]


@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
@example("- a\n  ### b")
@example("- a\n### b")
@example("> a\n### b\n---\n### c ###")
def test_headings_are_those_that_a_parser_of_markdown_sees(text: str) -> None:
    slow = f"{text}\n\n<p>\n" if "```" not in text and "~~~" not in text else text
    assert headings(text) == headings(slow)
