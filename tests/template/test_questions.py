"""Every question refuses a bad answer with what is wrong and a good one, and no default is bad."""

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

from tests.template_copy import ROOT, Answers, Template, reserved

# What is good comes first, then what is wrong; a terminal cuts what has no room on one line.
EXAMPLE = re.compile(r"': (try|add) \S.*: \S")
COLUMNS = 80

EMPTY = "it is empty"
FIRST = "begin with a letter"
SIGNS = "use a-z 0-9"
INSIDE = "single .* inside"
TAKEN = "name is taken"
LOGIN = "a-z 0-9 - only"

REFUSED: dict[str, list[tuple[object, str]]] = {
    "project_name": [
        ("", EMPTY),
        (" ", EMPTY),
        ("a", "2 to 50 characters"),
        ("a" * 51, "2 to 50 characters"),
        ("1st-model", FIRST),
        ("claims pricing", SIGNS),
        ("claims--pricing", INSIDE),
        ("-claims", FIRST),
        ("claims.", INSIDE),
        ("claims/pricing", SIGNS),
        ("..", FIRST),
        ("C:\\claims", SIGNS),
        ('"claims"', SIGNS),
        ("claims'", SIGNS),
        ("{{ claims }}", SIGNS),
        ("{% raw %}", SIGNS),
        ("claims\n", SIGNS),
        ("Schäden", SIGNS),
        ("项目", SIGNS),
        ("claims١", SIGNS),  # a digit, but not of ours
        ("mlflow", TAKEN),
        ("MLflow", TAKEN),
        ("scikit_learn", TAKEN),
        ("great.expectations", TAKEN),
        ("opentelemetry-semantic-conventions", TAKEN),
        ("dslp", TAKEN),
    ],
    "package_name": [
        ("", EMPTY),
        ("a" * 41, "up to 40 characters"),
        ("1st", FIRST),
        ("claims-pricing", SIGNS),
        ("claims.pricing", SIGNS),
        ("claims/pricing", SIGNS),
        ("claims__pricing", INSIDE),
        ("_claims", FIRST),
        ("Claims", SIGNS),
        ("claims'", SIGNS),
        ("{{ claims }}", SIGNS),
        ("claims\n", SIGNS),
        ("schäden", SIGNS),
        ("class", "a Python word"),
        ("match", "a Python word"),
        ("code", "Python's own"),
        ("statistics", "Python's own"),
        ("multiprocessing", "Python's own"),
        ("mlflow", "a dependency"),
        ("sklearn", "a dependency"),
        ("yaml", "a dependency"),
        ("jsonschema_specifications", "a dependency"),
        ("con", "not on Windows"),
        *(
            (name, "used here")
            for name in (
                *("dslp", "tests", "test", "src"),
                *("hooks", "docs", "notebooks", "data"),
            )
        ),
    ],
    "description": [
        ("", EMPTY),
        ("   ", EMPTY),
        ("d" * 201, "over 200 characters"),
        ("two\nlines", "one line"),
        ("a\ttab", "one line"),
        ("a bell\x07", "one line"),
    ],
    "owner": [
        ("-octo", LOGIN),
        ("octo-", LOGIN),
        ("octo--org", LOGIN),
        ("octo org", LOGIN),
        ("octo/org", LOGIN),
        ("https://github.com/octo-org", LOGIN),
        ("@octo", LOGIN),
        ("öcto", LOGIN),
        ("o" * 40, "over 39 characters"),
        ("octo\n", LOGIN),
    ],
    "components": [
        ([], "none chosen"),
        (["data", "models"], "models needs it"),
        (["models"], "for models"),
        (["process", "experiments"], "experiments needs it"),
    ],
    "python_versions": [([], "none chosen")],
    "library": [
        (bad, "unclear")
        for bad in (
            *("nonsense", "dslp", "dslp=1", "dslp>=1 <2", "dslp>=1,,<2", "lslp>=1", "dslp>=1\n"),
            *(
                "https://a/b",
                "git+http://a/b",
                "git+https://a/b c",
                'git+https://a/b"',
                "git+https://",
            ),
            *("git+https://name:password@a/b", "git+https://a/b@v1", "git+https://a/b#egg=dslp"),
        )
    ],
}

# Answers that are refused by copier itself, since they are not among the choices.
NOT_A_CHOICE = [
    ("licence", "GPL-3.0"),
    ("components", ["deployment"]),
    ("python_versions", ["2.7"]),
    ("collaboration_branch", "master"),
    ("tracking", "wandb"),
    ("engine", "polars"),
]

GOOD: list[Answers] = [
    {"project_name": "ab"},
    {"project_name": "Claims.pricing_2026-b"},
    {"project_name": "a" * 50},
    {"package_name": "a"},
    {"package_name": "a" * 40},
    {"package_name": "claims_2"},
    {"description": "She said \"it's 100 % {{ sure }}\"; \\ '''"},
    {"description": "预测投保人一年内的就诊次数"},
    {"description": "d" * 200},
    {"owner": "octo-org"},
    {"owner": "o" * 39},
    {"components": ["site"]},
    {"components": ["data", "experiments"]},
    {"library": "git+https://mirror.example.org/ds/template.git"},
    {"library": "git+ssh://git@mirror.example.org:2222/ds/template"},
    {"library": "git+file:///srv/mirror%20of/template.git"},
    {"library": "dslp >=1.2.0, <2"},
    {"library": "dslp==1.*"},
]

FOLDERS = {
    "myproject": ("myproject", "myproject"),
    "Über-Projekt 2": ("uber-projekt-2", "uber_projekt_2"),
    "code": ("code", "code_project"),
    "mlflow": ("mlflow-project", "mlflow_project"),
    "class": ("class", "class_project"),
    "match": ("match", "match_project"),
    "tests": ("tests", "tests_project"),
    "项目": ("my-project", "my_project"),
    "2026": ("project-2026", "project_2026"),
    "2nd try": ("project-2nd-try", "project_2nd_try"),
    "x": ("x-project", "x_project"),
    "--": ("my-project", "my_project"),
    "{{ 7 * 7 }}": ("project-7-7", "project_7_7"),
    'it\'s "mine"': ("it-s-mine", "it_s_mine"),
    "a" * 120: ("a" * 50, "a" * 40),
    "CON": ("CON", "con_project"),
}


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


@pytest.mark.parametrize(
    ("question", "bad", "wrong"),
    [(question, *case) for question, cases in REFUSED.items() for case in cases],
    ids=lambda value: ascii(value)[:30],
)
def test_a_bad_answer_is_refused(
    questions: str, tmp_path: Path, question: str, bad: object, wrong: str
) -> None:
    with pytest.raises(ValueError, match=f"question '{question}': .*({wrong})") as refusal:
        answer(questions, tmp_path / "project", {question: bad})
    assert_good_to_read(str(refusal.value))


def assert_good_to_read(said: str) -> None:
    """One line of a terminal has room for a good answer, and for what is wrong with this one."""
    assert EXAMPLE.search(said), "no example of a good answer"
    assert len(said) <= COLUMNS, f"{len(said)} columns"


def test_the_example_needs_data(questions: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'example': .*the example needs data") as refusal:
        answer(questions, tmp_path / "project", {"components": ["process"], "example": True})
    assert_good_to_read(str(refusal.value))


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
        said = f"Validation error for question '{kind}_name': {problem(name)}"
        assert_good_to_read(said)
        assert problem(said.partition("': try ")[2].partition(": ")[0]) == "", said


def test_what_is_asked_has_room_on_one_line() -> None:
    """Before a question stand a picture and a space, before a choice a pointer and a mark."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    for name, question in settings.items():
        if not name.startswith("_"):
            assert len(question["help"]) + 3 <= 76, name
            for choice in question.get("choices", []):
                assert len(choice) + 5 <= COLUMNS, (name, choice)


@pytest.mark.parametrize(("question", "bad"), NOT_A_CHOICE)
def test_only_the_choices_can_be_chosen(
    questions: str, tmp_path: Path, question: str, bad: object
) -> None:
    with pytest.raises(ValueError, match=question):
        answer(questions, tmp_path / "project", {question: bad})


@pytest.mark.parametrize("answers", GOOD, ids=lambda value: ascii(value)[:40])
def test_a_good_answer_is_recorded(questions: str, tmp_path: Path, answers: Answers) -> None:
    assert answer(questions, tmp_path / "project", answers).items() >= answers.items()


@pytest.mark.parametrize("folder", FOLDERS, ids=ascii)
def test_a_folder_of_any_name_gives_good_names(questions: str, tmp_path: Path, folder: str) -> None:
    recorded = answer(questions, tmp_path / folder, {})
    assert (recorded["project_name"], recorded["package_name"]) == FOLDERS[folder]


def test_the_folder_one_is_in_gives_its_name(
    questions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "claims-pricing").mkdir()
    monkeypatch.chdir(tmp_path / "claims-pricing")
    assert answer(questions, Path(), {})["project_name"] == "claims-pricing"


@pytest.mark.parametrize("folder", ["code", "Über-Projekt 2", "项目", "it's"])
def test_a_folder_of_any_name_is_copied_into(
    template: Template, tmp_path: Path, folder: str
) -> None:
    assert (template.copy(tmp_path / folder) / "README.md").is_file()


def test_no_package_hides_a_module_of_python() -> None:
    words = {*keyword.kwlist, *keyword.softkwlist, *sys.stdlib_module_names}
    assert sorted(filter(is_name, words - reserved("keywords") - reserved("stdlib"))) == []


@pytest.mark.parametrize("older_or_newer", ["imp", "asynchat", "annotationlib", "compression"])
def test_modules_of_other_pythons_are_known_too(older_or_newer: str) -> None:
    assert older_or_newer in reserved("stdlib")


EMULATOR = "gcp-storage-emulator"  # for tests alone


def test_no_package_hides_a_dependency() -> None:
    """What is installed here is what a project with the default answers installs, and more."""
    installed = {name for name, of in packages_distributions().items() if of != [EMULATOR]}
    assert sorted(filter(is_name, installed - reserved("imports") - {"dslp"})) == []


def test_no_project_is_called_as_something_it_depends_on() -> None:
    locked = re.findall(r'^name = "(.+)"$', (ROOT / "uv.lock").read_text(encoding="utf-8"), re.M)
    ours = {"dslp", EMULATOR}
    assert sorted(set(locked) - reserved("distributions") - ours) == []


def is_name(module: str) -> bool:
    """Whether a package could be called like the module at all."""
    return re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", module) is not None
