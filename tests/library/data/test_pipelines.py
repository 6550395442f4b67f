"""What is wrong with a pipeline or a dataset's folder is said in a line, and nothing is lost."""

import shutil

import pytest

from tests.library.toy import Toy


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("def build():\n    return [1]", "pipeline.py: build returned list, not a data frame"),
        ("def build():\n    return None", "build returned NoneType, not a data frame"),
        ("def other():\n    pass", "has no function build(raw)"),
        ("build = 3", "has no function build(raw)"),
        ("def build(:", "SyntaxError"),
        ("import not_installed_here", "No module named 'not_installed_here'"),
        ("def build():\n    return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def build():\n    raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("def build():\n    return pd.DataFrame({'a': ['x', 1]})", "cannot be written"),
        ("def build():\n    return pd.DataFrame({'a': [1j]})", "cannot be written"),
        ("def build():\n    return pd.DataFrame([[1, 2]], columns=['a', 'a'])", "['a', 'a']"),
    ],
)
def test_what_is_wrong_with_a_pipeline_is_said_in_a_line_and_nothing_is_lost(
    built: Toy, code: str, problem: str
) -> None:
    before = built.processed.read_bytes()
    built.pipeline(code)
    outcome = built.run("data", "build")
    assert outcome.code == 2
    assert problem in outcome.error
    assert built.processed.read_bytes() == before
    assert [path.name for path in built.processed.parent.iterdir()] == ["visits.parquet"]


def test_an_exception_of_the_pipeline_says_file_and_line(toy: Toy) -> None:
    toy.pipeline("def build():\n    return helper()\n\n\ndef helper():\n    raise KeyError('age')")
    file = (toy.dataset / "pipeline.py").relative_to(toy.root)
    assert toy.run("data", "build").error.endswith(f"visits: build: KeyError: 'age' ({file}:9)")


def test_an_input_that_is_not_built_says_how_to_build_it(toy: Toy) -> None:
    toy.pipeline("def build(visits):\n    return visits", "summary")
    outcome = toy.run("data", "build", "summary")
    assert outcome.code == 2
    assert "uv run dslp data build visits" in outcome.error


def test_an_input_that_nothing_is_called_is_named(toy: Toy) -> None:
    toy.pipeline("def build(customers):\n    return customers")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "build takes 'customers', which is neither raw nor a dataset" in outcome.error
    assert "there are: visits" in outcome.error


def test_a_parameter_with_a_default_is_a_setting_and_no_input(toy: Toy) -> None:
    toy.pipeline("def build(rows=3):\n    return pd.DataFrame({'id': range(rows)})")
    assert "3" in toy.done("data", "build").out


def test_lists_and_mappings_have_a_digest_too(toy: Toy) -> None:
    toy.pipeline("def build():\n    return pd.DataFrame({'a': [[1], [2, 3]], 'b': [{'x': 1}, {}]})")
    assert "visits" in toy.done("data", "build").out


def test_datasets_that_are_built_from_each_other_are_named(toy: Toy) -> None:
    toy.pipeline("def build(other):\n    return other")
    toy.pipeline("def build(visits):\n    return visits", "other")
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "datasets are built from each other: " in outcome.error
    assert "other" in outcome.error


def test_a_raw_file_that_is_broken_says_how_to_fetch_it_again(built: Toy) -> None:
    raw = built.root / "data" / "raw" / "visits.parquet"
    raw.write_bytes(raw.read_bytes()[:500])
    outcome = built.run("data", "build")
    assert outcome.code == 2
    assert "uv run dslp data build visits --refresh" in outcome.error
    built.done("data", "build", "--refresh")


@pytest.mark.rule("D2")
@pytest.mark.parametrize("file", ["pipeline.py", "schema.yml", "suite.yml", "datasheet.md"])
@pytest.mark.parametrize("command", ["build", "validate"])
def test_a_dataset_without_one_of_its_files_is_refused(toy: Toy, file: str, command: str) -> None:
    (toy.dataset / file).unlink()
    outcome = toy.run("data", command)
    assert outcome.code == 2
    assert f"{toy.dataset} has no {file} (D2)" in outcome.error


def test_a_project_without_datasets_says_what_one_is(toy: Toy) -> None:
    shutil.rmtree(toy.dataset)
    outcome = toy.run("data", "build")
    assert outcome.code == 2
    assert "pipeline.py, schema.yml, suite.yml, datasheet.md" in outcome.error
