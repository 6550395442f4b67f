"""The rules that findings cite; their text is `rules.md`, also a page of the template's site."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dslp.core.report import Finding

PAGE = "https://github.com/dslp/template/blob/HEAD/src/dslp/github/rules.md"
SECTION = re.compile(r"^## ([A-Z]\d+): (.+)\n\n((?:(?!<a id=).*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """A rule by its id, in one line, and in Markdown: what it asks, why, and what to do."""

    name: str
    title: str
    text: str

    @property
    def todo(self) -> str:
        """What to do about it, on one line."""
        return " ".join(self.text.partition("**What to do.**")[2].split("\n\n")[0].split())


@cache
def rules() -> dict[str, Rule]:
    """All rules that a check can cite, by their ids, in the order of the page."""
    page = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    page = re.sub(r"\[([A-Z]\d+)\]\(#\w+\)", r"\1", page)  # a link within the page
    return {name: Rule(name, title, text.strip()) for name, title, text in SECTION.findall(page)}


def broken(rule: str, problem: str, severe: bool = True) -> Finding:
    """The finding that a rule is broken, with what the rule says to do about it."""
    return Finding(rule, problem, rules()[rule].todo, severe=severe)


def address(rule: str = "") -> str:
    """The page of the rules on GitHub, at one of them if it is named."""
    return f"{PAGE}#{rule.lower()}" if rule else PAGE
