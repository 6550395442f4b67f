"""`dslp data profile`: a page that people can trust, whatever the data holds (D5)."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.library.toy import FILES, Toy

TEMPLATE = Path(__file__).parents[3] / "template"
HOSTILE = {
    "<script>alert(1)</script>": ["<img src=x onerror=alert(2)>", "</table></div>", "", " pad "],
    "a|b`c\"d'e [f](javascript:alert(3))": [1.5, 2.5, -3.5, None],
    "# head\n\n## line": ["a|b", "**bold**", "`code`", "&lt;"],
    "x" * 500: ["y" * 500, "\x00\x1b[31m", "\u202eevil", "👩‍👩‍👧"],
}


class Page(HTMLParser):
    """Elements of a page, and the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def active(self) -> list[str]:
        """Attributes that run something."""
        return [
            f"{name}={value}"
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name.startswith("on") or "javascript:" in (value or "").split(",")[0][:12]
        ]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == tag]


def page(toy: Toy, *arguments: str) -> str:
    toy.done("data", "profile", *arguments)
    return (toy.root / "docs" / "data" / "visits.md").read_text(encoding="utf-8")


def pictures(toy: Toy) -> Path:
    return toy.root / "docs" / "data" / "visits"


def picture(toy: Toy, number: int) -> str:
    return (pictures(toy) / f"column-{number}.svg").read_text(encoding="utf-8")


def profiled(toy: Toy, columns: dict[str, Any]) -> str:
    """The page of these columns in place of the built ones."""
    pq.write_table(pa.table(columns), toy.processed)
    return page(toy)


def section(text: str, column: str) -> dict[str, str]:
    """The figures that the page gives of a column."""
    (part,) = re.findall(rf"^### <a [^>]*></a>{column}\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    return dict(re.findall(r"<span [^>]*>([^<]*) <b>([^<]*)</b></span>", part))


@pytest.mark.rule("D5")
def test_the_page_has_the_figures_that_pandas_counts(built: Toy) -> None:
    rows = built.rows()
    rows["amount"] = rows["amount"].where(rows["id"] % 10 > 0)
    built.with_rows(rows)
    text = page(built, "visits")
    amount, day = section(text, "amount"), section(text, "day")
    assert amount["missing"] == "30 (10.0 %)"
    assert amount["different values"] == str(rows["amount"].nunique())
    assert amount["minimum"] == f"{rows['amount'].min():g}"
    assert amount["maximum"] == f"{rows['amount'].max():g}"
    assert amount["median"] == f"{rows['amount'].median():.6g}"
    assert amount["mean"] == f"{rows['amount'].mean():.4g}"
    assert amount["standard deviation"] == f"{rows['amount'].std():.4g}"
    assert (day["minimum"], day["maximum"]) == ("2024-01-01 00:00:00", "2024-10-26 00:00:00")
    for kind in ("home", "office"):
        share = float((rows["kind"] == kind).mean())
        assert f"{kind} ({100 * share:.1f} %)" in text
        assert f">{100 * share:.1f} %<" in picture(built, 5)
    numbers = ["person", "amount", "visits"]  # id is the key
    drawn = re.findall(r"rgba[^>]*>(-?\d\.\d\d)<", text.split("## Correlations")[1])
    exact = np.asarray(rows[numbers].corr())
    assert drawn == [f"{exact[one, other]:.2f}" for one, other in ((1, 0), (2, 0), (2, 1))]
    assert text.count("](visits/column-") == len(list(pictures(built).glob("*.svg"))) == 6


@pytest.mark.rule("D5")
def test_the_same_data_gives_the_same_page_however_it_lies(built: Toy) -> None:
    rows, text = built.rows(), page(built)
    sheet = (built.dataset / "datasheet.md").read_bytes()
    drawn = [picture(built, number) for number in range(1, 7)]
    assert page(built) == text
    assert drawn == [picture(built, number) for number in range(1, 7)]
    assert (built.dataset / "datasheet.md").read_bytes() == sheet, "the block is replaced"
    built.processed.unlink()
    built.processed.mkdir()
    for number in range(3):
        part = rows.iloc[100 * number : 100 * number + 100]
        part.to_parquet(built.processed / f"part-{number}.parquet", index=False)
    assert page(built) == text, "in parts"
    shutil.rmtree(built.processed)
    rows.to_csv(built.processed.with_suffix(".csv"), index=False)
    assert page(built) == text, "in CSV"


def test_the_datasheet_gets_a_table_of_the_columns_and_keeps_its_prose(built: Toy) -> None:
    sheet = built.dataset / "datasheet.md"
    before = sheet.read_text(encoding="utf-8")
    page(built)
    after = sheet.read_text(encoding="utf-8")
    assert after.startswith(before.rstrip())
    assert "300 rows, 6 columns:" in after
    assert "| amount | double |  | 0 | 0.06 to 9.99 |" in after, after


def test_people_are_told_what_they_wrote(built: Toy) -> None:
    sheet, schema = built.dataset / "datasheet.md", built.dataset / "schema.yml"
    built.edit(sheet, "# visits", "# visits\n\nMade [up](pipeline.py), see [there](https://a.b/).")
    built.edit(schema, "key:", "population: One day of *one* person.\nkey:")
    built.edit(
        schema, "amount: {type: double}", "amount: {type: double, unit: EUR, description: B}"
    )
    text = page(built)
    assert "Made up, see [there](https://a.b/)." in text, (
        "a link within the repository leads astray"
    )
    assert "<td>one row is</td><td>One day of &#42;one&#42; person.</td>" in text
    assert "\nB<br><small>number · EUR</small>\n" in text


def test_what_the_scaffold_wrote_is_not_shown_as_a_fact(toy: Toy) -> None:
    toy.done("new", "dataset", "sales")
    toy.edit(toy.dataset.with_name("sales") / "schema.yml", "What came of it.", "Euros paid.")
    toy.done("data", "build", "sales")
    toy.done("data", "profile", "sales")
    text = (toy.root / "docs" / "data" / "sales.md").read_text(encoding="utf-8")
    assert "**Why it is useful.** *Not written yet.*" in text
    assert "<td>owner</td><td><em>not written yet</em></td>" in text
    assert "\nEuros paid.<br>" in text
    sheet = (toy.dataset.with_name("sales") / "datasheet.md").read_text(encoding="utf-8")
    for scaffold in ("nobody yet", "none yet", "made-up record", "Where the record is from"):
        assert scaffold not in text
    assert "| segment | string |  | 0 | 2 different | <em>not written yet</em> |" in sheet


def test_a_picture_is_read_aloud_and_in_the_dark_and_removed_with_its_column(built: Toy) -> None:
    page(built)
    root = ET.fromstring(picture(built, 4))
    (title,) = root.findall("{*}title")
    assert root.get("role") == "img"
    assert title.text == root.get("aria-label")
    assert "Histogram of amount from 0 to 10." in (title.text or "")
    assert "prefers-color-scheme: dark" in picture(built, 4)
    assert "http" not in picture(built, 4).replace("http://www.w3.org/2000/svg", "")
    (pictures(built) / "own.svg").write_text("<svg/>")
    profiled(built, {"a": [1, 2]})
    assert sorted(file.name for file in pictures(built).iterdir()) == ["column-1.svg", "own.svg"]


def test_only_the_command_that_draws_imports_what_draws(built: Toy) -> None:
    script = "import sys; from dslp.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    for command in (["data", "--help"], ["data", "validate"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *command], cwd=built.root, capture_output=True, text=True
        )
        assert "dslp.cli" in done.stdout.split(), done.stderr
        assert "matplotlib" not in done.stdout.split()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}, "There are no values."),
        ({"a": [1]}, "<td>columns</td><td>1</td>"),
        ({"a": pa.nulls(3), "b": pa.nulls(3, pa.float64())}, "3 (100.0 %)"),
        ({"a": [7.0] * 30, "b": [1] * 30}, "standard deviation <b>0<"),
        ({"a": [np.nan, np.inf, 1.0, 3.0]}, "not finite <b>2<"),
        ({"a": np.linspace(0, 1e-322, 40)}, "Histogram"),
        ({"a": np.linspace(-1e149, 1e149, 40)}, "Histogram of a from -1e+149 to 1e+149."),
        ({"a": pa.array([2**64 - 1, 0], pa.uint64())}, ">18,446,744,073,709,551,615<"),
        ({"a": pa.array([-(2**31) + 5, 2**31 - 5], pa.date32())}, "5,881,581 (year)"),
        ({"a": [[1]] * 3, "b": [{"c": None}, {"c": 1}, None]}, "1 (33.3 %)"),
        ({"a": [True, None, False, True]}, "Most common: yes (66.7 %)"),
        ({"a": [f"{number}" for number in range(50)]}, "Nearly every row has its own value."),
    ],
)  # fmt: skip
def test_whatever_the_columns_are_there_is_a_page(
    built: Toy, columns: dict[str, Any], said: str
) -> None:
    assert said in profiled(built, columns)


def test_a_few_values_far_out_do_not_hide_the_others(built: Toy) -> None:
    text = profiled(built, {"a": [*range(1_000), 10**18]})
    assert "Histogram of a from 0 to 1,000." in text
    assert "of the values lie outside" in text


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
    assert (age["1 % below"], age["99 % below"]) == ("10", "990")
    assert "minimum" not in age


def test_correlations_of_the_first_of_many_columns_are_shown(built: Toy) -> None:
    draw = np.random.default_rng(1)
    columns = {f"c{number}": draw.normal(size=400) for number in range(200)}
    text = profiled(built, columns)
    assert "The first 20 such columns are shown." in text
    table = Page(text.split("## Correlations")[1])
    assert len(table.of("tr")) == 1 + 20
    assert len(text) < 2_000 * len(columns)


def test_estimates_are_called_so_and_are_the_same_each_time(
    built: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dslp.data.profile.DISTINCT", 1_000)
    monkeypatch.setattr("dslp.data.profile.QUANTILES", 1_000)
    monkeypatch.setattr("dslp.data.profile_page.QUANTILES", 1_000)
    draw = np.random.default_rng(1)
    columns = {"a": draw.normal(size=500_000), "b": draw.integers(0, 90_000, 500_000)}
    text = profiled(built, columns)
    assert "Numbers of different values are estimates." in text
    assert "Medians and other quantiles are estimates." in text
    assert section(text, "b")["different values"].startswith("about ")
    assert page(built) == text


@pytest.fixture
def site(built: Toy) -> Path:
    """The page of hostile data, as the project's site shows it."""
    pq.write_table(pa.table(HOSTILE), built.processed)
    page(built)
    (built.root / "docs" / "index.md").write_text("# Start\n")
    settings = (TEMPLATE / "mkdocs.yml.jinja").read_text(encoding="utf-8").split("theme:")[1]
    (built.root / "mkdocs.yml").write_text(f"site_name: toy\ntheme:{settings}")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(command, cwd=built.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built.root / "site"


@pytest.mark.rule("D5")
def test_names_and_values_are_text_and_never_markup(site: Path) -> None:
    found = Page((site / "data" / "visits" / "index.html").read_text(encoding="utf-8"))
    for shown in ("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "</table></div>"):
        assert shown in found.text
    for shown in ("␣pad␣", "**bold**", "`code`", "&lt;", "\\u000a", "\\u001b[31m", "\\u202eevil"):
        assert shown in found.text
    assert "x" * 61 not in found.text
    assert [str(image["src"])[:7] for image in found.of("img")] == ["column-"] * 4
    assert not found.active
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    assert "<script" not in index, "the search shows titles as they are"
    links = [attributes["href"] for attributes in found.of("a") if attributes.get("href")]
    assert [link for link in links if str(link).startswith("#column-")] == [
        f"#column-{number}" for number in range(1, 5)
    ]


def test_without_data_or_room_for_the_page_one_line_says_so(toy: Toy) -> None:
    assert "build it: uv run dslp data build visits" in toy.run("data", "profile").error
    toy.done("data", "build")
    (toy.root / "docs").write_text("a file where a folder is meant")
    outcome = toy.run("data", "profile")
    assert outcome.code == 2
    assert "cannot be written" in outcome.error


def test_a_page_of_somebody_s_own_is_left_alone(built: Toy) -> None:
    own = built.root / "docs" / "data" / "visits.md"
    own.parent.mkdir(parents=True)
    own.write_text("# Our notes on visits\n")
    assert "visits.md was not written by this command" in built.run("data", "profile").error
    assert own.read_text() == "# Our notes on visits\n"


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
