"""Many rows are scored by the schema of requests, and what a model costs is measured."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.library.models.server import release
from tests.library.toy import Toy


@pytest.fixture(scope="module")
def champion(data: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A toy project with a champion."""
    return release(tmp_path_factory.mktemp("champion") / "toy", data, empty_store)


@pytest.fixture
def rows(champion: Toy) -> pd.DataFrame:
    """The rows of its dataset."""
    return champion.rows()


@pytest.fixture
def schema(champion: Toy) -> Iterator[Path]:
    """Its `schema.py`, which is afterwards what it was."""
    file = champion.model_folder / "schema.py"
    before = file.read_text()
    yield file
    file.write_text(before)


def scored(toy: Toy, source: object, output: Path, *options: str) -> pd.DataFrame:
    """What scoring wrote."""
    toy.done("model", "score", "--input", str(source), "--output", str(output), *options)
    return pd.read_parquet(output)


@pytest.mark.slow
@pytest.mark.rule("M2")
@pytest.mark.parametrize("source", ["visits", "rows.parquet", "rows.csv", "rows.jsonl", "parts"])
def test_each_row_is_kept_in_order_with_prediction_and_version(
    champion: Toy, rows: pd.DataFrame, tmp_path: Path, source: str
) -> None:
    if source == "parts":
        (tmp_path / source).mkdir()
        rows.to_parquet(tmp_path / source / "part-0.parquet", index=False)
    elif source.endswith("parquet"):
        rows.to_parquet(tmp_path / source, index=False)
    elif source.endswith("csv"):
        rows.to_csv(tmp_path / source, index=False)
    elif source.endswith("jsonl"):
        rows.to_json(tmp_path / source, orient="records", lines=True, date_format="iso")
    place = source if source == "visits" else tmp_path / source
    found = scored(champion, place, tmp_path / "out.parquet")
    assert list(found)[-2:] == ["predicted_visits", "model_version"]
    assert len(found) == len(rows)
    assert found["amount"].tolist() == pytest.approx(rows["amount"].tolist())
    line = np.polyfit(found["amount"], found["predicted_visits"], 1)  # the model is a line
    assert found["predicted_visits"].tolist() == pytest.approx(
        np.polyval(line, found["amount"]).tolist()
    )
    assert set(found["model_version"]) == {"1.0.0"}
    assert not list(tmp_path.glob(".score-*"))


@pytest.mark.slow
def test_rows_that_are_not_allowed_are_counted_shown_or_kept_apart(
    champion: Toy, rows: pd.DataFrame, tmp_path: Path
) -> None:
    wrong = pd.concat([rows] * 3, ignore_index=True)
    wrong.loc[3, "kind"] = "elsewhere"
    wrong.loc[5, "amount"] = np.nan
    wrong.to_parquet(tmp_path / "rows.parquet", index=False)
    arguments = ("model", "score", "--input", str(tmp_path / "rows.parquet"), "--output")
    output, rejects = tmp_path / "out.parquet", tmp_path / "rejects.parquet"
    outcome = champion.run(*arguments, str(output))
    assert outcome.code == 1
    assert f"2 of {len(wrong):,} rows are not what Request allows" in outcome.error
    assert "kind: Input should be 'home' or 'office', not 'elsewhere'" in outcome.error
    assert not output.exists()
    outcome = champion.done(*arguments, str(output), "--rejects", str(rejects))
    assert "2 rows are not what Request allows" in outcome.out
    assert len(pd.read_parquet(output)) == len(wrong) - 2
    kept = pd.read_parquet(rejects)
    assert kept["kind"].tolist() == ["elsewhere", wrong["kind"][5]]
    assert [problem.split(":")[0] for problem in kept["problem"]] == ["kind", "amount"]


@pytest.mark.slow
def test_pydantic_has_the_last_word(
    champion: Toy, rows: pd.DataFrame, schema: Path, tmp_path: Path
) -> None:
    more = """
    @field_validator("amount")
    @classmethod
    def _small(cls, value: float) -> float:
        if value > LIMIT:
            raise ValueError("too much")
        return value


class Response"""
    limit = rows["amount"].median()
    champion.edit(schema, "\n\nclass Response", more.replace("LIMIT", str(limit)))
    champion.edit(schema, "import BaseModel", "import BaseModel, field_validator")
    output, rejects = tmp_path / "out.parquet", tmp_path / "rejects.parquet"
    found = scored(champion, "visits", output, "--rejects", str(rejects))
    assert len(found) == (rows["amount"] <= limit).sum()
    assert "too much" in pd.read_parquet(rejects)["problem"][0]


@pytest.mark.slow
def test_a_prediction_that_is_no_response_is_the_models_fault(
    champion: Toy, schema: Path, tmp_path: Path
) -> None:
    own = """    visits: float

    @field_validator("visits")
    @classmethod
    def _few(cls, value: float) -> float:
        raise ValueError("too many")"""
    champion.edit(schema, "    visits: float", own)
    champion.edit(schema, "import BaseModel", "import BaseModel, field_validator")
    arguments = ("--input", "visits", "--output", str(tmp_path / "out.parquet"))
    outcome = champion.run("model", "score", *arguments)
    assert outcome.code == 2
    assert "predictions do not fit Response: visits" in outcome.error
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.slow
@pytest.mark.rule("M2")
def test_what_the_response_does_to_a_prediction_is_done_to_all(
    champion: Toy, rows: pd.DataFrame, schema: Path, tmp_path: Path
) -> None:
    own = """    visits: float

    @field_validator("visits")
    @classmethod
    def _whole(cls, value: float) -> float:
        return round(value)"""
    before = scored(champion, "visits", tmp_path / "before.parquet")
    champion.edit(schema, "    visits: float", own)
    champion.edit(schema, "import BaseModel", "import BaseModel, field_validator")
    found = scored(champion, "visits", tmp_path / "out.parquet")
    assert found["predicted_visits"].tolist() == before["predicted_visits"].round().tolist()


@pytest.mark.slow
def test_nothing_that_is_there_is_lost(champion: Toy, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.md").write_text("mine")
    arguments = ("model", "score", "--input", "visits", "--output", str(tmp_path / "work"))
    assert "is a folder with notes.md in it; say another place" in champion.run(*arguments).error
    assert (tmp_path / "work" / "notes.md").read_text() == "mine"
    arguments = (*arguments[:-1], str(tmp_path / "out"))
    outcome = champion.run(*arguments, "--rejects", str(tmp_path / "work/../out"))
    assert "say two places" in outcome.error
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-0.parquet").touch()  # of a job before
    champion.done(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("nowhere.parquet", "no dataset of the project and no file of"),
        ("text.parquet", "cannot be scored"),
        ("other.csv", "no column amount, kind, which Request has"),
        ("again.csv", "already has a column predicted_visits"),
    ],
)
def test_input_that_cannot_be_scored_is_refused(
    champion: Toy, tmp_path: Path, source: str, problem: str
) -> None:
    (tmp_path / "text.parquet").write_text("no Parquet")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "again.csv").write_text("amount,kind,predicted_visits\n1,home,2\n")
    arguments = ("--input", str(tmp_path / source), "--output", str(tmp_path / "out.parquet"))
    outcome = champion.run("model", "score", *arguments)
    assert outcome.code == 2
    assert problem in outcome.error


@pytest.mark.slow
@pytest.mark.rule("G3")
def test_spark_scores_as_the_embedded_engine_does(
    champion: Toy, rows: pd.DataFrame, tmp_path: Path
) -> None:
    here = scored(champion, "visits", tmp_path / "here.parquet")
    there = scored(champion, "visits", tmp_path / "there.parquet", "--engine", "spark")
    order = [str(name) for name in here]
    pd.testing.assert_frame_equal(
        here.sort_values(order, ignore_index=True),
        there.sort_values(order, ignore_index=True),
        check_dtype=False,
    )
    rows.loc[3, "kind"] = "elsewhere"
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    arguments = ["--input", str(tmp_path / "rows.parquet"), "--engine", "spark", "--output"]
    outcome = champion.run("model", "score", *arguments, str(tmp_path / "out"))
    assert outcome.code == 1
    assert f"1 of {len(rows):,} rows are not what Request allows" in outcome.error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.rule("M3")
def test_what_a_version_costs_is_measured_and_recorded_with_it(champion: Toy) -> None:
    outcome = champion.done("model", "profile")
    assert "one row, 99th percentile, ms" in outcome.out
    tags = champion.registry()["tags"]["1"]
    found = {name: float(tags[f"dslp.performance.{name}"]) for name in FIGURES}
    assert 0 < found["p50_ms"] <= found["p95_ms"] <= found["p99_ms"]
    assert found["rows_per_second"] > 1000 / found["p50_ms"]
    assert 50 < found["memory_mb"] < 2000
    assert 0 < found["size_mb"] < 1
    assert 0 < found["start_s"] < 60


FIGURES = ("p50_ms", "p95_ms", "p99_ms", "rows_per_second", "memory_mb", "size_mb", "start_s")
