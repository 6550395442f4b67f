"""What built data is made from: the code, and the content of the inputs (never their times).

The origin is kept in the Parquet file itself, so it goes wherever the file goes.
"""

import ast
import glob
import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dslp.tracking.provenance import code_digest

KEY = "dslp"  # of the metadata of a Parquet file
SYSTEM = tuple(map(Path, ("/proc", "/sys", "/dev", "/etc", "/usr", sys.prefix, sys.base_prefix)))
FOLDERS = 100  # that texts in code are looked up in, at most: links may lead in circles
_recording: list[set[Path]] = []  # the files that are read while `files_read` runs


@dataclass(frozen=True)
class Origin:
    """What a file was built from.

    Attributes:
        code: digests of the functions of the pipeline, by their names.
        inputs: digests of the raw data (`raw`) and of other datasets, by their names.
        files: digests of the files that the code has read or names, by their paths.
    """

    code: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """The metadata of a Parquet file with this origin."""
        return {KEY.encode(): json.dumps(asdict(self), sort_keys=True).encode()}


def read_origin(path: Path) -> Origin | None:
    """The origin of a Parquet file; None where another program wrote it, or it is missing."""
    import duckdb

    if path.suffix != ".parquet" or not path.is_file():
        return None
    query = "SELECT decode(value) FROM parquet_kv_metadata([?]) WHERE decode(key) = ?"
    with suppress(duckdb.Error), duckdb.connect() as connection:  # who reads the rows shows it
        for (text,) in connection.execute(query, [str(path), KEY]).fetchall():
            return Origin(**json.loads(text))
    return None


def content_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of the files in a folder."""
    if path.is_dir():
        files = [each for each in sorted(path.rglob("*")) if each.is_file()]
        names = [f"{each.relative_to(path).as_posix()} {content_digest(each)}" for each in files]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def function_digest(file: Path, names: Collection[str], source: Path) -> str:
    """SHA-256 of the code of functions in a file, without comments and docstrings.

    It covers what they refer to in that file, and the modules below `source` that this imports.
    """
    reached = sorted(_reached_code(file, names, source).items())
    digests = [code_digest(ast.unparse(ast.Module(statements, []))) for _, statements in reached]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def defines(file: Path, name: str) -> bool:
    """Whether a Python file defines or imports a name at its top level."""
    return any(name in _defined(statement) for statement in _statements(file))


def named_files(file: Path, names: Collection[str], root: Path, source: Path) -> set[Path]:
    """The files that texts in the code of functions name, since not only Python opens files.

    A text is a path, a part of one, or a pattern such as `*.csv`, from the folder of the project
    (`root`), from that of the code, or from a folder that another text names. A folder in which
    no file is named counts with all its files; folders of code, `data/` and `/tmp` never do.
    """
    code = _reached_code(file, names, source)
    nodes = (node for each in code.values() for statement in each for node in ast.walk(statement))
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)}
    parts = {
        part
        for text in constants
        if isinstance(text, str)
        for part in re.split(r"['\"\n\0]", text)  # SQL has paths in quotes
        if re.search(r"\w", part)
    }
    texts = {text for part in parts for text in (part, part.lstrip("/"), glob.escape(part))}
    starts = {root, *(path.parent for path in code)}
    folders, paths, whole = sorted(starts), set[Path](), set[Path]()
    for folder in folders:  # which grows
        matches: list[str] = []
        for text in texts:  # any text, and absolute patterns, which `Path.glob` does not take
            matches += glob.iglob(text, root_dir=folder, recursive=True)  # noqa: PTH207
        whole |= {folder / each for each in matches if each.endswith("/")}  # a name may follow
        new = {Path(os.path.normpath(folder / each)) for each in matches} - paths
        new = {path for path in new if _is_own(path, root)}
        paths |= new
        folders += sorted(set(filter(Path.is_dir, new)).difference(folders))
        del folders[FOLDERS:]
    files = {path for path in paths if _is_data(path, root)}
    for folder in folders:
        has_code = any(start.is_relative_to(folder) for start in starts)
        top = len(folder.parts) < 3 or folder.is_relative_to(root / "data")  # such as /tmp
        named = folder not in whole and any(path.is_relative_to(folder) for path in files)
        if not (has_code or named or top):
            paths.update(folder.rglob("*"))
    return {path for path in paths if _is_data(path, root)}


@contextmanager
def files_read(root: Path) -> Iterator[set[Path]]:
    """Collect the files that code reads through Python's `open`; not those of the environment.

    `root` is the folder of the project.
    """
    _listen()
    paths: set[Path] = set()
    _recording.append(paths)
    try:
        yield paths
    finally:
        _recording.remove(paths)
        paths -= {path for path in paths if not _is_data(path, root)}


@cache
def _listen() -> None:
    """Hear of each file that is opened; Python has no way to stop that."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        for paths in _recording if event == "open" else ():
            if isinstance(arguments[0], str | Path) and not set(arguments[1] or "") & set("wax+"):
                paths.add(Path(arguments[0]).absolute())

    sys.addaudithook(hear)


def _is_own(path: Path, root: Path) -> bool:
    """Whether a path is neither hidden, nor MLflow's, nor of the environment."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    hidden = any(part.startswith(".") or part == "mlruns" for part in parts)
    return not hidden and not any(map(path.is_relative_to, SYSTEM))


def _is_data(path: Path, root: Path) -> bool:
    """Whether a path is a file of the project or of its sources, and no code."""
    return _is_own(path, root) and path.is_file() and not path.suffix.startswith(".py")


def literal_value(file: Path, name: str) -> Any:
    """The value that a Python file gives a name at its top level; None unless it is a literal."""
    for each in _statements(file):
        if isinstance(each, ast.Assign | ast.AnnAssign) and name in _defined(each) and each.value:
            with suppress(ValueError):
                return ast.literal_eval(each.value)
    return None


def _statements(file: Path) -> list[ast.stmt]:
    try:
        return ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError):  # the import shows the error
        return []


def _reached_code(file: Path, names: Collection[str], source: Path) -> dict[Path, list[ast.stmt]]:
    """What functions refer to: statements of their file, and modules below `source`, by path."""
    reached = {file: _reachable(file, names)}
    pending = [file]
    for path in pending:  # which grows
        modules = set(_imported(reached[path], path, source)).difference(reached)
        reached |= {module: _statements(module) for module in modules}
        pending += modules
    return reached


def _reachable(file: Path, names: Collection[str]) -> list[ast.stmt]:
    """The statements of a file that define these names, or what such a statement refers to."""
    statements = _statements(file)
    pending, reached = list(names), set[ast.stmt]()
    while True:
        new = {each for each in statements if not _defined(each) or _defined(each) & set(pending)}
        if new <= reached:
            return [each for each in statements if each in reached]
        reached |= new
        nodes = (node for each in new for node in ast.walk(each))
        pending = [node.id for node in nodes if isinstance(node, ast.Name)]


def _defined(statement: ast.stmt) -> set[str]:
    """The names that a statement defines; none for one that is to be run in any case."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = {each.asname or each.name.split(".")[0] for each in statement.names}
        return names - {"*"}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        nodes = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
        return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
    return set()


def _imported(statements: Iterable[ast.stmt], file: Path, source: Path) -> Iterator[Path]:
    """The modules below `source` that statements of a file import."""
    package = file.relative_to(source).parent.parts
    for node in (node for each in statements for node in ast.walk(each)):
        names: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            names = [tuple(each.name.split(".")) for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names = [base, *((*base, each.name) for each in node.names)]
        for parts in names:
            folder = source.joinpath(*parts)
            yield from filter(Path.is_file, (folder / "__init__.py", folder.with_suffix(".py")))
