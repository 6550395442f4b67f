"""The whole projects, each set up once for all tests of it."""

import re

import pytest

from tests.project.whole import OTHER_PYTHONS, WHOLE, Project, find_python, generate
from tests.template_copy import Template


@pytest.fixture(scope="session")
def project(
    request: pytest.FixtureRequest,
    template: Template,
    machine: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """The whole project that the test's parameter names."""
    folder = tmp_path_factory.mktemp("whole") / str(request.param)
    python = request.param == "process-only" and find_python(OTHER_PYTHONS[-1], machine)
    chosen = {"UV_PYTHON": python} if python else {}
    project = generate(template, folder, WHOLE[request.param], machine | chosen)
    if request.param == "sql":
        example = (project.path / ".env.example").read_text(encoding="utf-8")
        address = f"DSLP_DATABASE_URL={request.getfixturevalue('postgres')}"
        (project.path / ".env").write_text(re.sub("# DSLP_DATABASE_URL=.*", address, example))
    return project


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test its projects: all, or those that its mark `only` names."""
    if "project" in metafunc.fixturenames:
        marks = metafunc.definition.iter_markers("only")
        names = [name for mark in marks for name in mark.args] or list(WHOLE)
        long = {name: [pytest.mark.campaign] for name in ("no-example", "sql")}
        projects = [pytest.param(name, id=name, marks=long.get(name, [])) for name in names]
        metafunc.parametrize("project", projects, indirect=True, scope="session")
