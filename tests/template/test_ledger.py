"""The ledger of rules fails a run that promises what it does not prove."""

import pytest

RULES = '[rules]\nA1 = { title = "Done" }\nA2 = { title = "Later", planned = true }\n'
TEST = "import pytest\n@pytest.mark.rule({rules})\ndef test_it():\n    {body}\n"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A repository with two rules, one planned, and no tests yet."""
    tests = pytester.mkdir("tests")
    (tests / "rules.toml").write_text(RULES)
    return pytester


def run(suite: pytest.Pytester, *arguments: str, rules: str, body: str) -> pytest.RunResult:
    """Run one test that is marked with these rules."""
    (suite.path / "tests" / "test_it.py").write_text(TEST.format(rules=rules, body=body))
    return suite.runpytest_inprocess("-p", "tests.ledger", "-p", "no:cacheprovider", *arguments)


@pytest.mark.parametrize(
    ("arguments", "rules", "body", "line"),
    [
        ([], '"A1"', "pass", "1 of 2 rules are covered, 1 are planned."),
        (["-n", "2"], '"A1", "A2"', "pass", "ERROR A2: covered already, *"),
        (["tests/test_it.py"], '"A1", "Z9"', "pass", "ERROR Z9: no such rule *"),
        ([], "", "pass", "ERROR A1: no passing test is marked with it"),
        ([], '"A1"', "pytest.skip()", "ERROR A1: no passing test is marked with it"),
        (["-k", "it"], "", "pass", ""),
    ],
)
def test_a_full_run_fails_on_what_is_not_proved(
    suite: pytest.Pytester, arguments: list[str], rules: str, body: str, line: str
) -> None:
    result = run(suite, *arguments, rules=rules, body=body)
    if line:
        result.stdout.fnmatch_lines([line])
    else:
        assert "rules are covered" not in result.stdout.str()
    failed = line.startswith("ERROR")
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if failed else pytest.ExitCode.OK)
