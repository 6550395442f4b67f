"""The site that the pages of the logbook are part of: the project's own, or one of its own."""

import re
import socket
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import yaml
from dslp.core.console import say
from dslp.core.errors import DslpError
from dslp.core.files import read_text, write_text
from dslp.core.settings import Project
from dslp.core.text import error_line

OWN = Path(".dslp")
CACHE = OWN / "logbook"  # what was read before; it may be deleted at any time
# For a repository that has no site.
CONFIG = """\
site_name: {name}
use_directory_urls: false
theme: {{ name: material, font: false }}
plugins: [search, offline]
extra_css: [logbook/assets/site.css]
extra: {{ polyfills: ["logbook/assets/site.js?iframe-worker"] }}
not_in_nav: /logbook/asks/
"""


def own_folder(project: Project) -> Path:
    """The folder of what git does not keep; it is made."""
    write_text(project.root / OWN / ".gitignore", "*\n")
    return project.root / OWN


def find_site(project: Project) -> Path:
    """The site's `mkdocs.yml`; where the project has none, one is written into `.dslp/site`."""
    config = project.root / "mkdocs.yml"
    if not config.is_file():
        config = own_folder(project) / "site" / "mkdocs.yml"
        write_text(config, CONFIG.format(name=re.sub(r"[^\w.-]", "-", project.root.name)))
    return config


def pages_folder(config: Path) -> Path:
    """Where the pages of the logbook are written."""
    return config.parent / _read_setting(config, "docs_dir", "docs") / "logbook"


def build_site(config: Path) -> Path:
    """Build the site, unless nothing has changed, and return the first page of the logbook.

    Raises:
        DslpError: Zensical is missing, or refuses, as it does for a broken link between pages.
    """
    page = config.parent / _read_setting(config, "site_dir", "site") / "logbook" / "index.html"
    sources = pages_folder(config).parent
    times = [path.stat().st_mtime for path in (config, sources, *sources.rglob("*"))]
    if page.is_file() and page.stat().st_mtime > max(times):
        return page
    command = [*_command("build", config), "--strict"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise DslpError(f"zensical: {error_line(done.stdout + done.stderr, 600)}")
    if not page.is_file():
        raise DslpError(f"{page} is missing: {config} leaves the logbook out of the site")
    return page


def serve_site(config: Path, port: int) -> None:
    """Serve the site on this machine until it is interrupted.

    Raises:
        DslpError: Zensical is missing, or the port is in use.
    """
    with closing(socket.socket()) as trial:
        if trial.connect_ex(("localhost", port)) == 0:
            raise DslpError(f"port {port} is in use; choose another one: --port {port + 1}")
    say(f"http://localhost:{port}/logbook/index.html")
    subprocess.run([*_command("serve", config), "--dev-addr", f"localhost:{port}"], check=False)


def _command(name: str, config: Path) -> list[str]:
    if not find_spec("zensical"):
        raise DslpError("the site needs dslp[logbook]: uv add --dev 'dslp[logbook]'")
    return [sys.executable, "-m", "zensical", name, "--config-file", str(config)]


def _read_setting(config: Path, name: str, default: str) -> str:
    """A setting that is a path; the tags of other settings, such as `!ENV`, are not carried out.

    Raises:
        DslpError: the file is not YAML, or the setting is not plain text.
    """
    try:
        content = yaml.load(read_text(config), _Loader)
    except yaml.YAMLError as error:
        raise DslpError(f"{config} is not YAML: {error_line(error)}") from None
    value = content.get(name, default) if isinstance(content, dict) else default
    if not isinstance(value, str):
        raise DslpError(f"{config}: {name} must be a path in plain text")
    return value


class _Loader(yaml.SafeLoader):
    """Safe YAML, in which an unknown tag is no error."""


_Loader.add_multi_constructor("", lambda *_: None)
