"""`dslp data profile`: a page that people can trust, whatever the data holds (D5)."""

import html
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.library.data.suites import fails, lay_out
from tests.library.toy import FILES, Toy

TEMPLATE = Path(__file__).parents[3] / "template"
HOSTILE = {
    "<script>alert(1)</script>": ["<img src=x onerror=alert(2)>", "</table></div>", "", " pad "],
    "a|b`c\"d'e [f](javascript:alert(3))": [1.5, 2.5, -3.5, None],
    "# head\n\n## line": ["a|b", "**bold**", "`code`", "&lt;"],
    "x" * 500: ["y" * 500, "\x00\x1b[31m", "\u202eevil", "👩‍👩‍👧"],
}


def page(toy: Toy) -> str:
    toy.done("data", "profile")
    return (toy.root / "docs" / "data" / "visits.md").read_text(encoding="utf-8")


def pictures(toy: Toy) -> dict[str, str]:
    folder = toy.root / "docs" / "data" / "visits"
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.iterdir())}


def profiled(toy: Toy, columns: dict[str, Any]) -> str:
    """The page of these columns in place of the built ones."""
    pq.write_table(pa.table(columns), toy.processed)
    return page(toy)


def section(text: str, column: str) -> dict[str, str]:
    """The figures that the page gives of a column."""
    (part,) = re.findall(rf"^### {column}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    return dict(re.findall(r"<span [^>]*>([^<]*) <b>([^<]*)</b></span>", part))


@pytest.mark.rule("D5")
def test_the_page_has_the_figures_that_pandas_counts(built: Toy) -> None:
    rows, sheet = built.rows(), built.dataset / "datasheet.md"
    before = sheet.read_text(encoding="utf-8")
    rows["amount"] = rows["amount"].where(rows["id"] % 10 > 0)
    built.with_rows(rows)
    text = page(built)
    amount, shown = rows["amount"], section(text, "amount")
    assert (shown["missing"], shown["distinct values"]) == ("30 (10.0 %)", str(amount.nunique()))
    for name, digits in {"min": "", "max": "", "median": ".6", "mean": ".4", "std": ".4"}.items():
        label = {"min": "minimum", "max": "maximum", "std": "standard deviation"}.get(name, name)
        assert shown[label] == f"{getattr(amount, name)():{digits}g}"
    day = section(text, "day")
    assert (day["minimum"], day["maximum"]) == ("2024-01-01 00:00:00", "2024-10-26 00:00:00")
    home = f"{100 * float((rows['kind'] == 'home').mean()):.1f} %"
    assert f"home ({home})" in text
    assert f">{home}<" in pictures(built)["column-5"]
    numbers = ["person", "amount", "visits"]  # id is the key
    drawn = re.findall(r"rgba[^>]*>(-?\d\.\d\d)<", text.split("## Correlations")[1])
    exact = np.asarray(rows[numbers].corr())
    assert drawn == [f"{exact[one, other]:.2f}" for one, other in ((1, 0), (2, 0), (2, 1))]
    assert text.count("](visits/column-") == len(pictures(built)) == 6
    after = sheet.read_text(encoding="utf-8")
    assert after.startswith(before.rstrip())
    assert "300 rows, 6 columns:" in after
    assert "| amount | double |  | 30 (10.0 %) | 0.06 to 9.99 |" in after, after


@pytest.mark.rule("D5")
def test_the_same_data_gives_the_same_page_however_it_lies(built: Toy) -> None:
    rows, text = built.rows(), page(built)
    sheet, drawn = (built.dataset / "datasheet.md").read_bytes(), pictures(built)
    for layout in ("parts", "csv"):
        lay_out(built, layout, rows)
        assert page(built) == text
        if built.processed.is_dir():
            shutil.move(built.processed, built.root / "parts")
            built.with_rows(rows)
    assert pictures(built) == drawn
    assert (built.dataset / "datasheet.md").read_bytes() == sheet, "the block is replaced"


def test_what_people_wrote_is_shown_and_what_the_scaffold_wrote_is_not(built: Toy) -> None:
    sheet, schema = built.dataset / "datasheet.md", built.dataset / "schema.yml"
    built.edit(sheet, "# visits", "# visits\n\nMade [up](pipeline.py), see [there](https://a.b/).")
    built.edit(schema, "key:", "population: One day of *one* person.\nkey:")
    unit = "amount: {type: double, unit: EUR, description: B}"
    built.edit(schema, "amount: {type: double}", unit)
    text = page(built)
    assert "Made up, see [there](https://a.b/)." in text
    assert "<td>one row is</td><td>One day of &#42;one&#42; person.</td>" in text
    assert "\nB<br><small>number · EUR</small>\n" in text
    built.done("new", "dataset", "sales")
    sales = built.dataset.with_name("sales")
    built.edit(sales / "schema.yml", "The outcome.", "Euros paid.")
    built.done("data", "build", "sales")
    built.done("data", "profile", "sales")
    text = (built.root / "docs" / "data" / "sales.md").read_text(encoding="utf-8")
    assert "**Why it is useful.** *Not written yet.*" in text
    assert "<td>owner</td><td><em>not written yet</em></td>" in text
    assert "\nEuros paid.<br>" in text
    for scaffold in ("nobody yet", "none yet", "made-up record", "Where the record is from"):
        assert scaffold not in text
    block = "| segment | string |  | 0 | 2 distinct | <em>not written yet</em> |"
    assert block in (sales / "datasheet.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        ({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}, "There are no values."),
        ({"a": pa.nulls(3), "b": pa.nulls(3, pa.float64())}, "3 (100.0 %)"),
        ({"a": [7.0] * 30, "b": [1] * 30}, "standard deviation <b>0<"),
        ({"a": [np.nan, np.inf, 1.0, 3.0]}, "not finite <b>1<"),
        ({"a": [np.nan, 1.0, 3.0]}, "missing <b>1 (33.3 %)<"),
        ({"a": np.linspace(-1e149, 1e149, 40)}, "Histogram of a from -1e+149 to 1e+149."),
        ({"a": pa.array([2**64 - 1, 0], pa.uint64())}, ">18,446,744,073,709,551,615<"),
        ({"a": pa.array([-(2**31) + 5, 2**31 - 5], pa.date32())}, "5,881,581 (year)"),
        ({"a": [[1]] * 3, "b": [{"c": None}, {"c": 1}, None]}, "1 (33.3 %)"),
        ({"a": [f"{number}" for number in range(50)]}, "Nearly every row has its own value."),
        ({"a": [*range(1_000), 10**18]}, "Histogram of a from 0 to 1,000."),
    ],
)  # fmt: skip
def test_whatever_the_columns_are_there_is_a_page(
    built: Toy, columns: dict[str, Any], shown: str
) -> None:
    assert shown in profiled(built, columns)


@pytest.mark.rule("D5")
def test_of_personal_data_no_single_value_is_shown(built: Toy) -> None:
    built.edit(built.dataset / "datasheet.md", "personal_data: no", "personal_data: yes")
    names = ["Ann Other"] * 900 + ["Bo Body"] * 100 + [None]
    ages = [*range(1_000), 987_654]
    text = profiled(built, {"name": names, "age": ages, "few": [123_456] * 9 + [None] * 992})
    text += (built.dataset / "datasheet.md").read_text(encoding="utf-8")
    for secret in ("Ann", "Bo Body", "987,654", "123,456"):
        assert secret not in text, secret
    assert "This dataset holds personal data" in text
    age = section(text, "age")
    assert (age["1 % quantile"], age["99 % quantile"]) == ("10", "990")
    assert "minimum" not in age


def test_estimates_are_called_so_and_are_the_same_each_time(
    built: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("profile.DISTINCT", "profile.QUANTILES", "profile_page.QUANTILES"):
        monkeypatch.setattr(f"dslp.data.{name}", 1_000)
    draw = np.random.default_rng(1)
    columns = {f"c{number}": draw.normal(size=125_000) for number in range(21)}
    text = profiled(built, columns | {"b": draw.integers(0, 90_000, 125_000)})
    assert "Numbers of distinct values are estimates." in text
    assert "Medians and other quantiles are estimates." in text
    assert "The first 20 such columns are shown." in text
    assert section(text, "b")["distinct values"].startswith("about ")
    assert page(built) == text


@pytest.mark.rule("D5")
def test_names_and_values_are_text_and_never_markup(built: Toy) -> None:
    """What the site makes of it is seen in `test_pages`."""
    text = profiled(built, HOSTILE)
    shown = html.unescape(text)
    for value in ("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "</table></div>"):
        assert value in shown
    for value in ("␣pad␣", "**bold**", "`code`", "&lt;", "\\u000a", "\\u001b[31m", "\\u202eevil"):
        assert value in shown
    assert not re.search(r"<script|<img|\]\(javascript|\*\*bold|x{61}", text)


def test_what_keeps_the_page_from_being_written_is_said(toy: Toy, data: Path) -> None:
    assert "build it: uv run dslp data build visits" in toy.run("data", "profile").error
    shutil.copytree(data, toy.root / "data")
    own = toy.root / "docs" / "data" / "visits.md"
    own.parent.mkdir(parents=True)
    own.write_text("# Our notes on visits\n")
    assert "visits.md was not written by this command" in toy.run("data", "profile").error
    assert own.read_text() == "# Our notes on visits\n"
    shutil.rmtree(toy.root / "docs")
    (toy.root / "docs").write_text("a file where a folder is meant")
    assert "cannot be written" in fails(toy, "data", "profile")


@pytest.mark.rule("D5")
def test_the_example_comes_with_the_datasheet_that_the_command_writes(tmp_path: Path) -> None:
    toy = Toy(tmp_path / "example", "example")
    shutil.copytree(FILES, toy.root, ignore=shutil.ignore_patterns("__pycache__", "src"))
    toy.edit(toy.root / "pyproject.toml", 'package = "toy"', 'package = "example"')
    shipped = TEMPLATE / "src" / "{{ package_name }}" / "datasets" / "claims"
    shutil.copytree(shipped, toy.source / "datasets" / "claims")
    (toy.source / "__init__.py").touch()
    toy.done("data", "build")
    toy.done("data", "profile")
    written = toy.source / "datasets" / "claims" / "datasheet.md"
    assert written.read_text(encoding="utf-8") == (shipped / "datasheet.md").read_text("utf-8")
