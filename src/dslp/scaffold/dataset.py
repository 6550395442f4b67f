"""A new dataset: made-up rows to replace, with a pipeline, schema, suite and test that fit them."""

from dslp.core.settings import Project
from dslp.scaffold.place import check_name, place_files, render_skeleton


def new_dataset(project: Project, name: str) -> list[str]:
    """Write the dataset's folder and its test; returns their paths in the project.

    Raises:
        DslpError: the name cannot be used, or is in use.
    """
    texts = render_skeleton("dataset", name=check_name(name, project), package=project.package)
    test = texts.pop("test.py")
    folder = f"src/{project.package}/datasets/{name}"
    return place_files(project.root, {folder: texts, f"tests/unit/test_{name}.py": test})
