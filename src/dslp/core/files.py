"""Files: one way to read text and YAML, and writing that nobody sees half done."""

import glob
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from dslp.core.errors import DslpError
from dslp.core.text import error_line

NODES = 1_000_000  # values in a YAML file, at most
ABANDONED = 3600  # seconds without a byte written


def read_text(path: Path) -> str:
    """The text of a file, with the line ends that it has.

    Raises:
        DslpError: it is missing, or not UTF-8 text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DslpError(f"{path} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DslpError(f"{path} cannot be read: {error_line(error)}") from None


def write_text(path: Path, text: str) -> None:
    """Write beside `path` and move into place, with the line ends that the text has.

    Raises:
        DslpError: it cannot be written; the file that was there before is unchanged.
    """
    with written_aside(path) as part:
        part.write_bytes(text.encode())


def read_yaml(path: Path) -> dict[str, object]:
    """Read a YAML file that holds a mapping.

    Raises:
        DslpError: the file is missing, is not YAML, or holds something else.
    """
    content = parse_yaml(read_text(path), path)
    if not isinstance(content, dict):
        raise DslpError(f"{path} must hold a mapping (name: value), not {content!r:.40}")
    return content


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a name written twice, where plain YAML keeps the last in silence.

    What aliases repeat counts as often as they do, so that a small file cannot fill the memory.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes, self.sizes = 0, dict[yaml.Node, int]()

    def compose_node(self, parent: Any, index: Any) -> Any:
        before, alias = self.nodes, self.check_event(yaml.AliasEvent)
        node: Any = super().compose_node(parent, index)
        self.nodes += self.sizes.get(node, NODES) if alias else 1
        self.sizes.setdefault(node, self.nodes - before)
        if self.nodes > NODES:
            problem = f"its aliases (*name) make more than {NODES:,} values of it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        names = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key.value, str))
        for _, name in (each for each, count in names.items() if count > 1):
            raise yaml.MarkedYAMLError(
                problem=f"{name!r:.60} is written twice; leave one", problem_mark=node.start_mark
            )
        return node


def parse_yaml(text: str, where: object) -> object:
    """What a text of YAML holds; `where` is what an error calls it.

    Raises:
        DslpError: it is not YAML, has a name twice or an impossible date, or its aliases (*name)
            stand for more than `NODES` values, or for themselves.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DslpError(f"{where} is not valid YAML: {error_line(error)}") from None
    finally:
        loader.dispose()


def copy_path(source: Path, target: Path) -> None:
    """Copy a file or a folder to `target`, replacing it; a link would change with its file."""
    with written_aside(target) as part:
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, part)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path to write to; it replaces `path`, as a whole, when the block ends without error.

    Raises:
        DslpError: it cannot be written; the file that was there before is unchanged.
    """
    with written_together(path) as (part,):
        yield part


@contextmanager
def written_together(*paths: Path) -> Iterator[list[Path]]:
    """Give a path to write to for each; they replace `paths`, all or none, when the block ends.

    Raises:
        DslpError: one cannot be written; the files that were there before are unchanged.
    """
    parts = [path.with_name(f".{path.name}.{os.getpid()}") for path in paths]
    olds = [part.with_name(f"{part.name}.old") for part in parts]
    path, moved, complete = paths[0], list[Path](), False
    try:
        for path, part, old in zip(paths, parts, olds, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path, part, old)
        yield parts
        for path, part, old in zip(paths, parts, olds, strict=True):
            if path.exists() and (path.is_dir() or part.is_dir() or path != paths[-1]):
                path.replace(old)  # until all are in place
            part.replace(path)
            moved.append(path)
        complete = True
    except (OSError, shutil.Error) as error:
        raise DslpError(f"{path} cannot be written: {error_line(error)}") from None
    finally:
        for path, part, old in zip(paths, parts, olds, strict=True):
            with suppress(OSError):
                if not complete and (path in moved or old.exists()):
                    remove_path(path)
                    if old.exists():
                        old.replace(path)
                remove_path(part)
                remove_path(old)


def _remove_abandoned(path: Path, part: Path, old: Path) -> None:
    """Remove what killed processes left beside `path`, one with our number as well."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.old"):
        if not path.exists():  # a process that was killed had moved it aside
            left.replace(path)
    for left in path.parent.glob(f".{glob.escape(path.name)}.[0-9]*"):
        with suppress(FileNotFoundError):
            if left in (part, old) or time.time() - left.stat().st_mtime > ABANDONED:
                remove_path(left)


def remove_path(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
