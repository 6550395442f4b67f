"""What has changed since a commit, as git tells it: paths, and whose they are."""

from pathlib import Path

import pytest
from dslp.core.git import changed_paths
from dslp.core.settings import Project
from dslp.data import versioning
from dslp.models.release_workflow import changed_models

from tests.library.conftest import make
from tests.library.toy import Toy

ODD = ["a b.py", 'quo"te.py', "new\nline.py", "-dash.py", "模型.py", "star*.py", ":(top).py"]


def test_names_are_taken_as_they_are(toy: Toy) -> None:
    before, place = toy.commit(), f"src/{toy.package}/models/frequency"
    for name in ODD:
        (toy.model_folder / name).touch()
    toy.commit()
    assert set(changed_paths(toy.project, before) or ()) == {f"{place}/{name}" for name in ODD}
    assert changed_models(toy.project, before, shared=False) == ["frequency"]
    assert versioning.changed_datasets(toy.project, before) == []


def test_a_file_that_moves_changes_where_it_was_and_where_it_is(toy: Toy) -> None:
    for name in ("first", "second", "secondary"):
        toy.pipeline("def build(raw):\n    return raw", name)
    before = toy.commit()
    (toy.dataset.with_name("first") / "notes.md").write_text("a note\n" * 20)
    middle = toy.commit()
    toy.git(
        "mv", f"src/{toy.package}/datasets/first/notes.md", f"src/{toy.package}/datasets/second"
    )
    toy.commit()
    assert versioning.changed_datasets(toy.project, middle) == ["first", "second"]
    assert versioning.changed_datasets(toy.project, before) == ["second"]


SHARED = ("features/amounts.py", "dates.py", "models/shared.py")
OTHER = ("datasets/visits/pipeline.py", "datasets/dates.py", "models/other/train.py")


@pytest.mark.parametrize("path", [*SHARED, *OTHER, "features/notes.md"])
def test_code_that_models_share_changes_each_only_with_an_issue(toy: Toy, path: str) -> None:
    before = toy.commit()
    (toy.source / path).parent.mkdir(exist_ok=True)
    with (toy.source / path).open("a") as file:
        file.write("# more\n")
    toy.commit()
    changed = [bool(changed_models(toy.project, before, shared=one)) for one in (True, False)]
    assert changed == [path in SHARED, False]


def test_what_git_does_not_know_has_changed_everything(toy: Toy) -> None:
    toy.commit()
    (toy.model_folder / "notes.md").touch()
    lost = toy.commit()
    assert changed_models(toy.project, lost, shared=True) == []
    toy.git("reset", "--quiet", "--hard", "HEAD~1")
    (toy.root / "README.md").touch()
    toy.commit()
    assert changed_models(toy.project, lost, shared=True) == ["frequency"], "replaced, still here"
    toy.git("reflog", "expire", "--expire=now", "--all")
    toy.git("gc", "--quiet", "--prune=now")
    assert changed_models(toy.project, "0" * 40, shared=True) == [], "a first push releases nothing"
    for commit in (lost, "", "nothing", "--output=stolen"):
        assert changed_models(toy.project, commit, shared=False) == ["frequency"], commit
        assert versioning.changed_datasets(toy.project, commit) == ["visits"], commit
    assert not list(toy.root.rglob("*stolen*"))


def test_a_project_may_be_a_folder_of_a_repository(tmp_path: Path) -> None:
    toy = make(tmp_path / "whole" / "project")
    whole = Toy(tmp_path / "whole", "")
    before = whole.commit()
    (whole.root / "src").mkdir()
    (whole.root / "src" / "other.py").touch()
    whole.commit()
    assert changed_paths(Project.find(toy.root), before) == []
    (toy.dataset / "notes.md").touch()
    whole.commit()
    assert versioning.changed_datasets(toy.project, before) == ["visits"]
