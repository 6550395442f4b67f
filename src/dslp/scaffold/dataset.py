"""A new dataset: made-up rows to replace, with a pipeline, schema, suite and test that fit them."""

from dslp.project import Project
from dslp.scaffold.place import checked, place, skeleton


def dataset(project: Project, name: str) -> list[str]:
    """Write the dataset's folder and its test; returns their paths in the project.

    Raises:
        DslpError: the name cannot be used, or is in use.
    """
    texts = skeleton("dataset", name=checked(name, project), package=project.package)
    test = texts.pop("test.py")
    folder = f"src/{project.package}/datasets/{name}"
    return place(project.root, {folder: texts, f"tests/unit/test_{name}.py": test})
