"""The environment has a version that says how much another lock changes it (V2)."""

import pytest
from dslp.core.errors import DslpError
from dslp.tracking.connection import Tracking
from dslp.tracking.environment import (
    environment_version,
    locked_packages,
    next_environment_version,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.library.toy import Toy

pytestmark = pytest.mark.rule("V2")

numbers = st.builds("{}.{}".format, st.integers(0, 30), st.integers(0, 30))
environments = st.dictionaries(
    st.sampled_from(["pandas", "uv", "a", "b"]),
    st.lists(numbers, min_size=1, max_size=2, unique=True).map(sorted),
)


@settings(deadline=None)
@given(st.integers(1, 99), st.integers(0, 99), environments, environments, st.integers(2, 40))
def test_the_next_version_says_how_much_has_changed(
    major: int, minor: int, old: dict[str, list[str]], new: dict[str, list[str]], other: int
) -> None:
    number, numpy = f"{major}.{minor}", {"numpy": ["2.1"]}
    added = next_environment_version(number, old, old | numpy)
    removed = next_environment_version(number, old | numpy, old)
    raised = next_environment_version(number, old | numpy, old | {"numpy": [f"{other + 1}.1"]})
    assert {added, removed, raised} == {f"{major + 1}.0"}
    changed = next_environment_version(number, old | numpy, old | {"numpy": [f"2.{other}"]})
    assert changed == f"{major}.{minor + 1}"
    assert (next_environment_version(number, old, new) == number) == (old == new)


def test_each_lock_has_the_version_that_follows_from_those_before_it(tracked: Toy) -> None:
    locks = [
        ({"numpy": "2.1.0"}, "1.0"),
        ({"numpy": "2.2.0"}, "1.1"),
        ({"numpy": "2.2.0", "pandas": "3.0"}, "2.0"),
        ({"numpy": "2.1.0"}, "1.0"),  # a branch that is older
        ({"numpy": "3.0.0", "pandas": "3.0"}, "3.0"),
    ]
    tracking, lock = Tracking.open(tracked.project), tracked.root / "uv.lock"
    for packages, version in locks:
        text = '[[package]]\nname = "toy"\nsource = { virtual = "." }\n'  # the project itself
        for name, number in packages.items():
            text += f'[[package]]\nname = "{name}"\nversion = "{number}"\n'
        lock.write_text(text)
        assert environment_version(tracking) == version
        assert locked_packages(lock).keys() == packages.keys()


@pytest.mark.parametrize("text", ["no lock", "package = 3", "[[package]]\nversion = '1'"])
def test_a_file_that_is_no_lock_is_named(toy: Toy, text: str) -> None:
    (toy.root / "uv.lock").write_text(text)
    with pytest.raises(DslpError, match=r"uv\.lock"):
        locked_packages(toy.root / "uv.lock")
