"""The ledger of rules fails a run that promises what it does not prove."""

import pytest

RULES = '[rules]\nA1 = { title = "Done" }\nA2 = { title = "Later", planned = true }\n'
TEST = "import pytest\n@pytest.mark.rule({rules})\ndef test_it():\n    {body}\n"


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A repository with two rules, one planned, and no tests yet."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    tests = pytester.mkdir("tests")
    (tests / "rules.toml").write_text(RULES)
    return pytester


def run(
    suite: pytest.Pytester, *arguments: str, rules: str = '"A1"', body: str = "pass"
) -> pytest.RunResult:
    """Run one test that is marked with these rules."""
    (suite.path / "tests" / "test_it.py").write_text(TEST.format(rules=rules, body=body))
    return suite.runpytest_inprocess("-p", "tests.ledger", "-p", "no:cacheprovider", *arguments)


def test_a_passing_test_covers_its_rule(suite: pytest.Pytester) -> None:
    result = run(suite)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["1 of 2 rules are covered, 1 are planned."])


def test_workers_in_parallel_are_counted_together(suite: pytest.Pytester) -> None:
    (suite.path / "tests" / "test_other.py").write_text("def test_nothing():\n    pass\n")
    result = run(suite, "-n", "2")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["1 of 2 rules are covered, 1 are planned."])
    result = run(suite, "-n", "2", rules='"A1", "A2"')
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR A2: covered already, remove its `planned = true`"])


def test_an_unknown_rule_fails_even_a_partial_run(suite: pytest.Pytester) -> None:
    result = run(suite, "tests/test_it.py", rules='"A1", "Z9"')
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR Z9: no such rule in tests/rules.toml (named by *test_it)"])


def test_a_rule_that_nothing_proves_fails(suite: pytest.Pytester) -> None:
    result = run(suite, rules="")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR A1: no passing test is marked with it"])


@pytest.mark.parametrize(
    "body",
    ["pytest.skip()", "assert False", "pytest.xfail()"],
    ids=["skipped", "failed", "xfailed"],
)
def test_only_a_test_that_passed_counts(suite: pytest.Pytester, body: str) -> None:
    result = run(suite, body=body)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR A1: no passing test is marked with it"])


def test_a_test_that_breaks_on_its_way_out_does_not_count(suite: pytest.Pytester) -> None:
    (suite.path / "tests" / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(autouse=True)\ndef broken():\n    yield\n    assert False\n"
    )
    run(suite).stdout.fnmatch_lines(["ERROR A1: no passing test is marked with it"])


@pytest.mark.parametrize(
    "choice", [["-k", "it"], ["-m", "rule"], ["tests/test_it.py"], ["--deselect", "tests/other.py"]]
)
def test_a_partial_run_is_not_judged(suite: pytest.Pytester, choice: list[str]) -> None:
    result = run(suite, *choice, rules="")
    assert "rules are covered" not in result.stdout.str()
    assert "ERROR" not in result.stdout.str()
