"""The rule ledger: which rules of the process are proved by a test that passed.

A test names the rules it proves with `@pytest.mark.rule("B3")`; `tests/rules.toml` lists them all.
An unknown rule fails every run; a rule that nothing proves, or a planned one that something does, a
full run. Tests carry their rules in their reports, so workers in parallel are counted together.
"""

import tomllib
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and keep the ledger where all reports arrive."""
    config.addinivalue_line("markers", "rule(*ids): the rules of the process that the test proves")
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist only sends its reports
        config.pluginmanager.register(Ledger(config), "rule-ledger")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the test's reports carry the rules it is marked with."""
    for mark in item.iter_markers("rule"):
        item.user_properties += [("rule", rule) for rule in mark.args]


class Ledger:
    def __init__(self, config: pytest.Config) -> None:
        rules = tomllib.loads((config.rootpath / "tests" / "rules.toml").read_text("utf-8"))
        self.planned = {name: rule.get("planned", False) for name, rule in rules["rules"].items()}
        self.covered: set[str] = set()
        option, source = config.option, config.ArgsSource.ARGS
        narrowed = (option.keyword, option.markexpr, option.deselect, option.collectonly)
        # Whether all tests were asked for: no path, no name, no marker, nothing left out.
        self.is_full = config.args_source is not source and not any(narrowed)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.covered |= {str(rule) for name, rule in report.user_properties if name == "rule"}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and self.faults():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for fault in self.faults():
            terminalreporter.line(f"ERROR {fault}", red=True)

    def faults(self) -> list[str]:
        unknown = sorted(self.covered - self.planned.keys())
        faults = [f"{rule}: no such rule in tests/rules.toml" for rule in unknown]
        for rule, planned in self.planned.items() if self.is_full else ():
            if planned and rule in self.covered:
                faults.append(f"{rule}: covered already, remove its `planned = true`")
            elif not planned and rule not in self.covered:
                faults.append(f"{rule}: no passing test is marked with it")
        return faults
