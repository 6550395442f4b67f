"""The verdicts of the policy tests as a table at the end of a run: branch, flaw, state, words."""

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests recorded as `verdict`, within 80 columns."""
    rows = [
        str(value).split("|", 3)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == "verdict" and report.when == "call"
    ]
    if not rows:
        return
    terminalreporter.section("verdicts on pull requests")
    for branch, flaw, state, words in sorted(rows):
        terminalreporter.line(f"{branch:<12}{flaw:<18}{state:<9}{words[:40]}")
