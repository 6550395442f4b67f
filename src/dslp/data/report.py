"""What was found wrong with a dataset, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dslp.report import visible

LONGEST = 2_000  # characters of a line: of values that nobody has vouched for


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        subject: the column or columns, or `table`.
        expectation: what was expected, by Great Expectations' name, or `schema`.
        why: the sentence that the suite gives for it.
        observed: what was found instead, in words.
        count: number of rows, where the expectation is about rows.
        examples: some of those rows: the value, and the key of its row.
        severe: whether the dataset fails by it (a warning is shown, and does not fail).
    """

    subject: str
    expectation: str
    why: str = ""
    observed: str = ""
    count: int | None = None
    examples: Sequence[str] = ()
    severe: bool = True

    def __str__(self) -> str:
        rows = "" if self.count is None else f"{self.count:,} row" + "s" * (self.count != 1)
        lines = [f"{self.subject}: {self.expectation}" + ("" if self.severe else " (warning)")]
        lines += [self.why] if self.why else []
        lines += [f"found: {', '.join(filter(None, (rows, self.observed))) or 'no value'}"]
        lines += [f"such as: {'; '.join(self.examples)}"] if self.examples else []
        return "\n  ".join(visible(line, LONGEST) for line in lines)


@dataclass(frozen=True)
class Report:
    """What was checked about one dataset, what does not hold, and what a sample cannot say."""

    dataset: str
    checks: int
    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing severe was found."""
        return not any(finding.severe for finding in self.findings)

    def __str__(self) -> str:
        verdict = "holds" if self.ok else "does not hold"
        head = f"{self.dataset} {verdict}: {self.checks} checks, {len(self.findings)} findings"
        left = [f"not judged on a sample: {'; '.join(self.skipped)}"] if self.skipped else []
        left = [visible(line, LONGEST) for line in left]
        return "\n\n".join([head, *map(str, self.findings), *left])
