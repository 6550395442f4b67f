"""Which earlier issues resemble one: TF-IDF and the cosine, over titles and bodies (E5)."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from dslp.github.entities import Issue

MOST = 5  # that are shown
LEAST = 0.1  # similarity; two issues of a project that share their words only have less
LONGEST = 10_000  # characters of a body that are read
# What a form, not a person, has written: its headings and comments, and addresses.
NOISE = re.compile(r"^ {0,3}#{1,6} .*$|_No response_|<!--.*?-->|https?://\S+", re.MULTILINE)


def similar_issues(issue: Issue, others: Iterable[Issue]) -> list[tuple[float, Issue]]:
    """The other issues that resemble this one, the most similar first, each with 0 to 1."""
    found = {other.number: other for other in others if other.number != issue.number}
    vectors = _vectors([issue, *found.values()])
    likeness = [
        (_cosine(vectors[0], vector), other)
        for vector, other in zip(vectors[1:], found.values(), strict=True)
    ]
    likeness.sort(key=lambda pair: (-pair[0], -pair[1].number))
    return [pair for pair in likeness if pair[0] >= LEAST][:MOST]


def _vectors(issues: Sequence[Issue]) -> list[dict[str, float]]:
    """Weights of the words of each issue: frequent here, rare elsewhere; a title counts thrice."""
    counts = [
        Counter(_words(" ".join([*[issue.title] * 3, NOISE.sub(" ", issue.body[:LONGEST])])))
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
    """Words of three letters or more, cut so that predict, predicts and prediction are one."""
    return [word[:6] for word in re.findall(r"[^\W\d_]{3,}", text.casefold())]


def _cosine(one: dict[str, float], other: dict[str, float]) -> float:
    product = sum(weight * other.get(word, 0.0) for word, weight in one.items())
    return product / (math.hypot(*one.values()) * math.hypot(*other.values()) or 1.0)
