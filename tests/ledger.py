"""The rule ledger: which rules of the process are proved by a test that passed.

A test names the rules it proves with `@pytest.mark.rule("B3")`; `tests/rules.toml` lists them all.
Tests carry their rules in their reports, so the count is the same with one process or many. An
unknown rule fails every run; a rule that nothing proves, or a planned one that something does, a
full run.
"""

import tomllib
from pathlib import Path
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
    """What a run of tests says about the rules."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.listed = read_rules(config.rootpath / "tests" / "rules.toml")
        self.named: dict[str, set[str]] = {}  # rule → the tests that claim it
        self.passed: set[str] = set()
        self.broken: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that passed, and one that failed at any moment."""
        for name, rule in report.user_properties:
            if name == "rule":
                self.named.setdefault(str(rule), set()).add(report.nodeid)
        if report.failed:
            self.broken.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run on what the ledger finds."""
        if self.faults() and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """Say how many rules are covered, and what is wrong."""
        if exitstatus in (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR):
            return
        faults = self.faults()
        if not self.is_full() and not faults:
            return
        terminalreporter.section("rules")
        planned = sum(self.listed.values())
        terminalreporter.line(
            f"{len(self.covered())} of {len(self.listed)} rules are covered, {planned} are planned."
        )
        for fault in faults:
            terminalreporter.line(f"ERROR {fault}", red=True)

    def covered(self) -> set[str]:
        """The listed rules that a test proves: it passed, and nothing broke around it."""
        good = self.passed - self.broken
        return {rule for rule, tests in self.named.items() if tests & good} & self.listed.keys()

    def faults(self) -> list[str]:
        """What is wrong with the rules, one sentence each."""
        faults = [
            f"{rule}: no such rule in tests/rules.toml (named by {min(tests)})"
            for rule, tests in sorted(self.named.items())
            if rule not in self.listed
        ]
        if self.is_full():
            covered = self.covered()
            for rule, planned in self.listed.items():
                if planned and rule in covered:
                    faults.append(f"{rule}: covered already, remove its `planned = true`")
                elif not planned and rule not in covered:
                    faults.append(f"{rule}: no passing test is marked with it")
        return faults

    def is_full(self) -> bool:
        """Whether all tests were asked for: no path, no name, no marker, nothing left out."""
        option = self.config.option
        narrowed = (
            *(option.keyword, option.markexpr, option.deselect, option.ignore, option.ignore_glob),
            *(option.maxfail, option.collectonly),
            *(getattr(option, name, None) for name in ("lf", "stepwise")),
        )
        return (
            self.config.args_source is not pytest.Config.ArgsSource.ARGS
            and self.config.invocation_params.dir == self.config.rootpath
            and not any(narrowed)
        )


def read_rules(path: Path) -> dict[str, bool]:
    """All rules in the order of the file, with whether each is only planned."""
    with path.open("rb") as file:
        rules = tomllib.load(file)["rules"]
    return {rule: bool(entry.get("planned", False)) for rule, entry in rules.items()}
