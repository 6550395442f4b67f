"""The environment has a version that says how much another lock changes it (V2)."""

from pathlib import Path

import pytest
from dslp.tracking.environment import locked_packages, next_environment_version
from hypothesis import given
from hypothesis import strategies as st

from tests.library.toy import Toy

pytestmark = pytest.mark.rule("V2")

numbers = st.builds("{}.{}".format, st.integers(0, 30), st.integers(0, 30))
environments = st.dictionaries(
    st.sampled_from(["numpy", "pandas", "uv", "a", "b"]),
    st.lists(numbers, min_size=1, max_size=2, unique=True).map(sorted),
)
versions = st.builds("{}.{}".format, st.integers(1, 99), st.integers(0, 99))


def split(number: str) -> tuple[int, int]:
    major, minor = map(int, number.split("."))
    return major, minor


@given(versions, environments, environments)
def test_the_next_version_is_never_lower_and_the_same_only_for_the_same(
    number: str, old: dict[str, list[str]], new: dict[str, list[str]]
) -> None:
    after = next_environment_version(number, old, new)
    assert (after == number) == (old == new)
    assert split(after) >= split(number)


@given(versions, environments, st.sampled_from(["numpy", "new"]))
def test_a_package_more_or_less_is_a_major_version(
    number: str, old: dict[str, list[str]], name: str
) -> None:
    less = {kept: versions for kept, versions in old.items() if kept != name}
    more = less | {name: ["1.0"]}
    assert next_environment_version(number, less, more) == f"{split(number)[0] + 1}.0"
    assert next_environment_version(number, more, less) == f"{split(number)[0] + 1}.0"


@given(versions, environments, st.data())
def test_another_version_is_a_minor_one_unless_its_major_changes(
    number: str, old: dict[str, list[str]], data: st.DataObject
) -> None:
    major, minor = split(number)
    base = old | {"numpy": ["2.1"]}
    same = data.draw(st.integers(2, 40))
    assert (
        next_environment_version(number, base, base | {"numpy": [f"2.{same}"]})
        == f"{major}.{minor + 1}"
    )
    assert (
        next_environment_version(number, base, base | {"numpy": [f"{same + 1}.1"]})
        == f"{major + 1}.0"
    )


def lock(toy: Toy, **packages: str) -> None:
    own = '[[package]]\nname = "toy"\nversion = "0.{}.0"\nsource = {{ virtual = "." }}\n'
    text = "".join(
        f'[[package]]\nname = "{name}"\nversion = "{number}"\n'
        f'source = {{ registry = "https://pypi.org/simple" }}\n'
        for name, number in packages.items()
    )
    (toy.root / "uv.lock").write_text("version = 1\n" + own.format(len(text)) + text)


def test_each_run_has_the_version_that_follows_from_the_locks_before_it(tracked: Toy) -> None:
    locks = [
        ({"numpy": "2.1.0"}, "1.0"),
        ({"numpy": "2.2.0"}, "1.1"),
        ({"numpy": "2.2.0", "pandas": "3.0"}, "2.0"),
        ({"numpy": "2.1.0"}, "1.0"),  # a branch that is older
        ({"numpy": "3.0.0", "pandas": "3.0"}, "3.0"),
    ]
    said = []
    for packages, _ in locks:
        lock(tracked, **packages)
        tracked.done("experiment", "run", "--candidate", "baseline")
        experiment = tracked.client.get_experiment_by_name("frequency").experiment_id
        (run, *_) = tracked.client.search_runs([experiment])
        said.append(run.data.tags["dslp.environment_version"])
    assert said == [number for _, number in locks]


def test_what_the_repository_holds_itself_is_no_part_of_it(toy: Toy) -> None:
    lock(toy, numpy="2.1.0")
    assert locked_packages(toy.root / "uv.lock") == {"numpy": ["2.1.0"]}


@pytest.mark.parametrize("text", ["no lock", "package = 3", "[[package]]\nversion = '1'"])
def test_a_file_that_is_no_lock_is_named(tracked: Toy, text: str) -> None:
    (Path(tracked.root) / "uv.lock").write_text(text)
    outcome = tracked.run("experiment", "run")
    assert outcome.code == 2
    assert "uv.lock" in outcome.error
