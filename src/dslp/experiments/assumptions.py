"""What an experiment takes for granted of its data, checked before it runs (E4).

`assumptions.yml` beside `params.yml` is a suite like any other. A run goes on when they fail, since
knowing what fails is why people try, but it carries the fact wherever it is shown.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslp.experiments.model import Model

if TYPE_CHECKING:
    from dslp.core.report import Report

FILE = "assumptions.yml"


@dataclass(frozen=True)
class Outcome:
    """What became of the assumptions; without a file there is no report."""

    report: "Report | None" = None

    @property
    def tag(self) -> str:
        """The fact in a few words, for the run: `none`, `hold (4)` or `fail: 1 of 4`."""
        if self.report is None:
            return "none"
        failed = sum(finding.severe for finding in self.report.findings)
        if failed:
            return f"fail: {failed} of {self.report.checks}"
        doubts = len(self.report.findings)
        return f"hold ({self.report.checks}" + (f", {doubts} in doubt)" if doubts else ")")

    @property
    def ok(self) -> bool:
        """Whether none of them fails."""
        return self.report is None or self.report.ok

    def __str__(self) -> str:
        """The fact for a person: what was assumed, and what was found instead."""
        if self.report is None:
            return "no assumptions are stated"
        found = "".join(f"\n\n{finding}" for finding in self.report.findings)
        if self.ok:
            return f"assumptions {self.tag}{found}"
        return f"ASSUMPTIONS {self.tag.upper()}, so what follows may not hold either{found}"


def check_assumptions(model: Model) -> Outcome:
    """Run the model's assumptions on its dataset, if it states any.

    Raises:
        DslpError: the file is not a suite, or the data cannot be read.
    """
    file = model.folder / FILE
    if not file.is_file():
        return Outcome()
    from dslp.data.suite import validate

    return Outcome(validate(model.dataset, suite=file))
