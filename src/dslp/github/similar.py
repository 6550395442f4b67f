"""Earlier issues that are similar to one: TF-IDF and cosine over titles and bodies (E5)."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from dslp.github.entities import Issue

MOST = 5  # issues in the result
LEAST = 0.1  # similarity; issues that have only the project's usual words in common have less
LONGEST = 10_000  # characters of a body that are read
# Text of the form, not of a person: its headings and comments; and addresses.
NOISE = re.compile(r"^ {0,3}#{1,6} .*$|_No response_|<!--.*?-->|https?://\S+", re.MULTILINE)


def similar_issues(issue: Issue, others: Iterable[Issue]) -> list[tuple[float, Issue]]:
    """The other issues that are similar to this one, the most similar first, each with 0 to 1."""
    unique = list({one.number: one for one in others if one.number != issue.number}.values())
    own, *vectors = _vectors([issue, *unique])
    pairs = list(zip([_cosine(own, vector) for vector in vectors], unique, strict=True))
    pairs.sort(key=lambda pair: (-pair[0], -pair[1].number))
    return [pair for pair in pairs if pair[0] >= LEAST][:MOST]


def _vectors(issues: Sequence[Issue]) -> list[dict[str, float]]:
    """TF-IDF weights of the words of each issue; a word of the title counts three times."""
    counts = [
        Counter(_words(f"{issue.title} " * 3 + NOISE.sub(" ", issue.body[:LONGEST])))
        for issue in issues
    ]
    documents = Counter(word for count in counts for word in count)
    return [
        {
            word: (1 + math.log(times)) * math.log((1 + len(issues)) / documents[word])
            for word, times in count.items()
        }
        for count in counts
    ]


def _words(text: str) -> list[str]:
    """Words of three letters or more, cut so that predict, predicts and prediction are equal."""
    return [word[:6] for word in re.findall(r"[^\W\d_]{3,}", text.casefold())]


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    product = sum(weight * other.get(word, 0.0) for word, weight in one.items())
    return product / (math.hypot(*one.values()) * math.hypot(*other.values()) or 1.0)
