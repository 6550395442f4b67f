"""Many rows are scored by the schema of requests, and what a model costs is measured."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.library.models.conftest import refused
from tests.library.toy import Toy


@pytest.fixture(scope="module")
def champion(champion_once: Toy, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A toy project with a champion."""
    return champion_once.copy(tmp_path_factory.mktemp("scored") / "toy")


@pytest.fixture
def rows(champion: Toy) -> pd.DataFrame:
    """The rows of its dataset."""
    return champion.rows()


def scored(toy: Toy, source: object, output: Path, *options: str) -> pd.DataFrame:
    """What scoring wrote."""
    toy.done("model", "score", "--input", str(source), "--output", str(output), *options)
    return pd.read_parquet(output)


@pytest.mark.rule("M2")
def test_each_row_is_kept_in_order_with_prediction_and_version(
    champion: Toy, rows: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    rows.to_parquet(tmp_path / "parts" / "part-0.parquet", index=False)
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for source in ("visits", *sorted(path for path in tmp_path.iterdir())):
        output = scored(champion, source, tmp_path / "out.parquet")
        assert list(output)[-2:] == ["predicted_visits", "model_version"]
        assert output["amount"].tolist() == pytest.approx(rows["amount"].tolist())
        line = np.polyfit(output["amount"], output["predicted_visits"], 1)  # the model is a line
        expected = np.polyval(line, output["amount"]).tolist()
        assert output["predicted_visits"].tolist() == pytest.approx(expected)
        assert set(output["model_version"]) == {"1.0.0"}
    assert not list(tmp_path.glob(".score-*"))


def test_rows_that_are_not_allowed_are_counted_shown_or_kept_apart(
    champion: Toy, rows: pd.DataFrame, tmp_path: Path
) -> None:
    wrong = pd.concat([rows] * 3, ignore_index=True)
    wrong.loc[3, "kind"] = "elsewhere"
    wrong.loc[5, "amount"] = np.nan
    wrong.to_parquet(tmp_path / "rows.parquet", index=False)
    arguments = ("model", "score", "--input", str(tmp_path / "rows.parquet"), "--output")
    output, rejects = tmp_path / "out.parquet", tmp_path / "rejects.parquet"
    error = f"2 of {len(wrong):,} rows cannot be scored"
    outcome = refused(champion, *arguments[1:], output, code=1, error=error)
    assert "kind: Input should be 'home' or 'office', not 'elsewhere'" in outcome.error
    assert not output.exists()
    outcome = champion.done(*arguments, str(output), "--rejects", str(rejects))
    assert "2 rows cannot be scored" in outcome.out
    assert len(pd.read_parquet(output)) == len(wrong) - 2
    kept = pd.read_parquet(rejects)
    assert kept["kind"].tolist() == ["elsewhere", wrong["kind"][5]]
    assert [problem.split(":")[0] for problem in kept["problem"]] == ["kind", "amount"]


RULE = """    visits: float

    @field_validator("visits")
    @classmethod
    def _check(cls, value: float) -> float:
        """


@pytest.mark.rule("M2")
def test_pydantic_has_the_last_word(champion: Toy, rows: pd.DataFrame, tmp_path: Path) -> None:
    schema = champion.model_folder / "schema.py"
    before, limit = schema.read_text(), rows["amount"].median()
    validator = f"""
    @field_validator("amount")
    @classmethod
    def _small(cls, value: float) -> float:
        if value > {limit}:
            raise ValueError("too much")
        return value


class Response"""
    champion.edit(schema, "\n\nclass Response", validator)
    champion.edit(schema, "import BaseModel", "import BaseModel, field_validator")
    rejects = tmp_path / "rejects.parquet"
    output = scored(champion, "visits", tmp_path / "out.parquet", "--rejects", str(rejects))
    schema.write_text(before)
    assert len(output) == (rows["amount"] <= limit).sum()
    assert "too much" in pd.read_parquet(rejects)["problem"][0]


def test_what_response_does_to_a_prediction_is_done_to_all(champion: Toy, tmp_path: Path) -> None:
    output, schema = tmp_path / "out.parquet", champion.model_folder / "schema.py"
    before, plain = scored(champion, "visits", output), schema.read_text()
    rule = plain.replace("import BaseModel", "import BaseModel, field_validator")
    schema.write_text(rule.replace("    visits: float", f"{RULE}return round(value)"))
    rounded = scored(champion, "visits", output)["predicted_visits"]
    assert rounded.tolist() == before["predicted_visits"].round().tolist()
    schema.write_text(rule.replace("    visits: float", f"{RULE}raise ValueError('too many')"))
    arguments = ("--input", "visits", "--output", tmp_path / "none.parquet")
    refused(champion, "score", *arguments, code=1, error="does not fit Response: visits")
    assert not (tmp_path / "none.parquet").exists()
    schema.write_text(plain)


def test_files_that_another_made_are_not_replaced(champion: Toy, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.md").write_text("mine")
    arguments = ("score", "--input", "visits", "--output")
    reason = refused(champion, *arguments, tmp_path / "work").error
    assert "is a folder with notes.md in it; give another path" in reason
    rejects = ("--rejects", tmp_path / "work/../out")
    assert "give two paths" in refused(champion, *arguments, tmp_path / "out", *rejects).error
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-0.parquet").touch()  # of an earlier job
    champion.done("model", *arguments, str(tmp_path / "out"))
    (copy,) = (champion.root / "data" / "interim" / "models" / "frequency").glob("1-*")
    (copy / "stray").touch()  # the copy is downloaded again
    champion.done("model", *arguments, str(tmp_path / "out"))
    assert not (copy / "stray").exists()


RAISING = """
def train(inputs, target, params):
    def answer(frame):
        if (frame["amount"] == 12345).any():
            raise ValueError("no such amount")
        return frame["amount"].to_numpy()

    return answer
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system")
def test_each_file_is_written_beside_its_target_or_none_is(champion: Toy, tmp_path: Path) -> None:
    (champion.model_folder / "train.py").write_text(RAISING)
    champion.train_and_register()
    source = tmp_path / "rows.parquet"
    rows = champion.rows().assign(amount=lambda rows: [*[12345.0] * 30, *rows["amount"][30:]])
    rows.to_parquet(source)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        output, rejects = tmp_path / "out.parquet", Path(folder) / "rejects.parquet"
        options = ("--version", "1.1.0", "--rejects", str(rejects))
        assert len(scored(champion, source, output, *options)) == len(rows) - 30
        problems = pd.read_parquet(rejects)["problem"]
        assert ["ValueError: no such amount" in problem for problem in problems] == [True] * 30
        assert [path.name for path in Path(folder).iterdir()] == ["rejects.parquet"]
    arguments = ("score", "--input", "visits", "--output", "/proc/out.parquet")
    refused(champion, *arguments, "--rejects", tmp_path / "none.parquet", error="written")
    assert not (tmp_path / "none.parquet").exists()
    pd.concat([rows[:30]] * 40).to_parquet(source)
    command = ["score", "--input", source, "--output", output, "--rejects", tmp_path / "rejects"]
    refused(
        champion, *command, *options[:2], error="none of the first 1,000 rows can be predicted: "
    )


def test_input_that_cannot_be_scored_is_refused(champion: Toy, tmp_path: Path) -> None:
    for source, text, problem in (
        ("text.parquet", "no Parquet", "text.parquet cannot be read"),
        ("other.csv", "a,b\n1,2\n", "no column amount, kind, which Request has"),
        (
            "typed.csv",
            "amount,kind\n1,home\n1e,home\n",
            "(row 2: column amount has 1e, which is no",
        ),
        ("again.csv", "amount,kind,predicted_visits\n1,home,2\n", "already has a column predicted"),
    ):
        (tmp_path / source).write_text(text)
        paths = ("--input", tmp_path / source, "--output", tmp_path / "out.parquet")
        assert problem in refused(champion, "score", *paths).error


def test_other_columns_are_kept_as_they_are_written(champion: Toy, tmp_path: Path) -> None:
    """In CSV, whose texts may look like numbers and dates."""
    (tmp_path / "rows.csv").write_text("zip,day,amount,kind\n01234,2024-01-01 12:00,1,home\n")
    output = scored(champion, tmp_path / "rows.csv", tmp_path / "out.parquet")
    assert output.iloc[0, :2].tolist() == ["01234", pd.Timestamp("2024-01-01 12:00")]


@pytest.mark.campaign
@pytest.mark.rule("G3")
def test_spark_scores_as_the_embedded_engine_does(
    champion: Toy, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.loc[3, "kind"] = "elsewhere"
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    tables = {}
    for engine in ("embedded", "spark"):
        output, rejects = tmp_path / engine, tmp_path / f"{engine}-rejects"
        options = ("--engine", engine, "--rejects", str(rejects))
        scored(champion, tmp_path / "rows.parquet", output, *options)
        assert pd.read_parquet(rejects)["kind"].tolist() == ["elsewhere"]
        tables[engine] = pd.read_parquet(output).sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(tables["embedded"], tables["spark"], check_dtype=False)


@pytest.mark.slow
@pytest.mark.rule("M3")
def test_what_a_version_costs_is_measured_and_recorded_with_it(champion: Toy) -> None:
    outcome = champion.done("model", "profile")
    assert "one row, 99th percentile, ms" in outcome.out
    tags = champion.registry()["tags"]["1"]
    figures = {name: float(tags[f"dslp.performance.{name}"]) for name in FIGURES}
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
    assert figures["rows_per_second"] > 1000 / figures["p50_ms"]
    assert 50 < figures["memory_mb"] < 2000
    assert 0 < figures["size_mb"] < 1
    assert 0 < figures["start_s"] < 60


FIGURES = ("p50_ms", "p95_ms", "p99_ms", "rows_per_second", "memory_mb", "size_mb", "start_s")
