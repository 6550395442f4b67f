"""Every question refuses a bad answer with what is wrong and a good one; no default is bad."""

import keyword
import re
import shutil
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from copier import run_copy
from jinja2 import Environment, FileSystemLoader

from tests.template_copy import ROOT, Answers, reserved

# What is good comes first, then what is wrong; a terminal cuts what has no room on one line.
EXAMPLE = re.compile(r"': (try|add) \S.*: \S")
COLUMNS = 80

ANSWERS = yaml.safe_load(Path(__file__).with_name("answers.yml").read_text(encoding="utf-8"))
REFUSED: dict[str, dict[str, list[object]]] = ANSWERS["refused"]


@pytest.fixture(scope="session")
def questions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The questions alone, with nothing to render but the answers."""
    folder = tmp_path_factory.mktemp("questions")
    shutil.copy(ROOT / "copier.yml", folder)
    shutil.copytree(ROOT / "includes", folder / "includes")
    (folder / "template").mkdir()
    return str(folder)


def answer(questions: str, folder: Path, answers: Answers) -> Answers:
    """What is recorded after giving these answers, and no others, for a project in the folder."""
    worker = run_copy(questions, folder, answers, defaults=True, pretend=True, quiet=True)
    return dict(worker.answers.combined)


@pytest.mark.parametrize("question", REFUSED)
def test_a_bad_answer_is_refused(questions: str, tmp_path: Path, question: str) -> None:
    for wrong, values in REFUSED[question].items():
        for bad in values:
            answers = bad if isinstance(bad, dict) else {question: bad}
            with pytest.raises(ValueError, match=f"'{question}'.*{wrong}") as refusal:
                answer(questions, tmp_path / "project", answers)
            if wrong:
                assert_good_to_read(str(refusal.value))


def assert_good_to_read(message: str) -> None:
    """One line of a terminal has room for a good answer, and for what is wrong with this one."""
    assert EXAMPLE.search(message), "no example of a good answer"
    assert len(message) <= COLUMNS, f"{len(message)} columns"


@pytest.mark.parametrize(
    ("kind", "taken"),
    [("project", ["distributions"]), ("package", ["keywords", "stdlib", "imports"])],
)
def test_a_name_that_is_offered_for_one_that_is_taken_is_good(kind: str, taken: list[str]) -> None:
    jinja = Environment(
        loader=FileSystemLoader(ROOT),
        extensions=["jinja2_ansible_filters.AnsibleCoreFiltersExtension"],
    )
    problem = getattr(jinja.get_template("includes/names.jinja").module, f"{kind}_problem")
    for name in set().union(*map(reserved, taken)):
        message = f"Validation error for question '{kind}_name': {problem(name)}"
        assert_good_to_read(message)
        assert problem(message.partition("': try ")[2].partition(": ")[0]) == "", message


def test_what_is_asked_has_room_on_one_line() -> None:
    """Before a question stand a picture and a space, before a choice a pointer and a mark."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    for name, question in settings.items():
        if not name.startswith("_"):
            assert len(question["help"]) + 3 <= 76, name
            for choice in question.get("choices", []):
                assert len(choice) + 5 <= COLUMNS, (name, choice)


def test_a_good_answer_is_recorded(questions: str, tmp_path: Path) -> None:
    for answers in ANSWERS["recorded"]:
        assert answer(questions, tmp_path / "project", answers).items() >= answers.items()


def test_a_folder_of_any_name_gives_good_names(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, names in ANSWERS["folders"].items():
        recorded = answer(questions, tmp_path / folder, {})
        assert [recorded["project_name"], recorded["package_name"]] == names
    (tmp_path / "claims-pricing").mkdir()
    monkeypatch.chdir(tmp_path / "claims-pricing")
    assert answer(questions, Path(), {})["project_name"] == "claims-pricing"


def test_no_name_hides_a_module_or_a_dependency() -> None:
    """What is installed here is what a project with the default answers installs, and more."""
    python = {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names}
    taken_names = reserved("keywords") | reserved("stdlib")
    names = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")  # that a package could have at all
    assert [name for name in python - taken_names if names.fullmatch(name)] == []
    assert {"imp", "asynchat", "annotationlib", "compression"} <= taken_names  # of other Pythons
    unknown = set(packages_distributions()) - reserved("imports") - {"dslp"}
    assert [name for name in unknown if names.fullmatch(name)] == []
    locked = re.findall(r'^name = "(.+)"$', (ROOT / "uv.lock").read_text(encoding="utf-8"), re.M)
    assert set(locked) - reserved("distributions") - {"dslp"} == set()
