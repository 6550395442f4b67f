"""What is there at first: a clock, numbers for everything, and the labels of a new repository."""

import datetime as dt
import itertools

DEFAULT_LABELS = {
    "bug": ("d73a4a", "Something isn't working"),
    "documentation": ("0075ca", "Improvements or additions to documentation"),
    "duplicate": ("cfd3d7", "This issue or pull request already exists"),
    "enhancement": ("a2eeef", "New feature or request"),
    "good first issue": ("7057ff", "Good for newcomers"),
    "help wanted": ("008672", "Extra attention is needed"),
    "invalid": ("e4e669", "This doesn't seem right"),
    "question": ("d876e3", "Further information is requested"),
    "wontfix": ("ffffff", "This will not be worked on"),
}


class Clock:
    """Time that passes one second a look, and numbers that are never given twice."""

    def __init__(self) -> None:
        self.time = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
        self.ids = itertools.count(4_000_001)  # unlike any number of an issue

    def now(self) -> str:
        """The next moment, as GitHub writes it."""
        self.time += dt.timedelta(seconds=1)
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
