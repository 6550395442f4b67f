"""Assumptions of an experiment about its data, checked before it runs (E4).

`assumptions.yml` beside `params.yml` is a suite like any other. A run continues when they fail,
since an experiment may want to know what follows then, but the fact is shown wherever it is.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dslp.experiments.model import Model

if TYPE_CHECKING:
    from dslp.core.report import Report

FILE = "assumptions.yml"


@dataclass(frozen=True)
class AssumptionCheck:
    """The result of the check; `report` is None for a model without assumptions."""

    report: "Report | None" = None

    @property
    def tag(self) -> str:
        """The result in a few words, for the run: `none`, `hold (4)` or `fail: 1 of 4`."""
        if self.report is None:
            return "none"
        failed = sum(finding.severe for finding in self.report.findings)
        if failed:
            return f"fail: {failed} of {self.report.checks}"
        warnings = len(self.report.findings)
        return f"hold ({self.report.checks}" + (f", {warnings} in doubt)" if warnings else ")")

    def __str__(self) -> str:
        """The result for a person: each assumption that fails, and the values that break it."""
        if self.report is None:
            return "the model has no assumptions"
        findings = "".join(f"\n\n{finding}" for finding in self.report.findings)
        if self.report.ok:
            return f"assumptions {self.tag}{findings}"
        return f"ASSUMPTIONS {self.tag.upper()}, so the results may not hold either{findings}"


def check_assumptions(model: Model) -> AssumptionCheck:
    """Check the model's assumptions on its dataset, if it has any.

    Raises:
        DslpError: the file is not a suite, or the data cannot be read.
    """
    file = model.folder / FILE
    if not file.is_file():
        return AssumptionCheck()
    from dslp.data.suite import validate

    engine = model.project.choose_engine()
    return AssumptionCheck(validate(model.dataset, engine, suite=file))
