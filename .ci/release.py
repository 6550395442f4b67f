"""Release template and library: `make release VERSION=1.2.0`, with `DRY_RUN=1` to change nothing.

What a version promises is in docs/releases.md. The release is written and proven in a
worktree of its own; the branch and the tag move only then. Nothing is pushed. Exit codes: 0 done,
1 the release is refused, 2 it cannot be tried.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
UPDATES = "tests/template/test_update.py"
UNRELEASED = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.M | re.S)
BREAKING, COMPATIBLE = {"Breaking", "Removed"}, {"Added", "Changed", "Deprecated"}


def main() -> int:
    """Check, prove, commit and tag; each reason against it is a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 1.2.0")
    parser.add_argument("--dry-run", action="store_true", help="check and prove only")
    options = parser.parse_args()
    version = parse(options.version)
    if not version:
        return fail(2, f"{options.version!r} is no version: VERSION=1.2.0, three numbers")
    try:
        faults = find_faults(version)
        if not faults:
            with tempfile.TemporaryDirectory(prefix="release-") as folder:
                faults = prove_and_tag(Path(folder) / "candidate", version, options.dry_run)
    except subprocess.CalledProcessError as error:
        return fail(2, f"{' '.join(error.cmd)}: {error.stderr.strip()}")
    return fail(1, *faults) if faults else 0


def find_faults(version: Version) -> list[str]:
    """What must be put right before a release is tried."""
    faults = []
    if (branch := git("branch", "--show-current").strip()) != "main":
        faults.append(f"the branch is {branch or 'none'}: git switch main")
    if git("status", "--porcelain"):
        faults.append("files are changed or untracked: commit or remove them (git status)")
    match = UNRELEASED.search((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    entry = match[1].strip() if match else ""
    if not entry:
        faults.append("CHANGELOG.md has nothing under '## Unreleased': write what changes")
    tags = [number for tag in git("tag", "--list", "v*").split() if (number := parse(tag[1:]))]
    if not tags:
        return faults
    newest, kinds = max(tags), set(re.findall(r"^### (\w+)", entry, re.M))
    least = smallest_version(newest, kinds)
    if version in tags:
        faults.append(f"the tag v{version} exists: a release is never changed, take a later one")
    elif version < least:
        because = f" with {', '.join(sorted(kinds))} in CHANGELOG.md" if kinds else ""
        faults.append(f"after v{newest}{because}, the smallest version is {least}")
    gone = promised_names(f"v{newest}") - promised_names("HEAD")
    lost = "gone, and an update drops what people wrote there: name it in CHANGELOG.md"
    return [*faults, *(f"{name} is {lost}" for name in sorted(gone) if name not in entry)]


def smallest_version(newest: Version, kinds: set[str]) -> Version:
    """The smallest version that may follow, by the headings of the changelog's section."""
    if kinds & BREAKING and newest.major:
        return Version(f"{newest.major + 1}.0.0")
    if kinds & (BREAKING | COMPATIBLE):
        return Version(f"{newest.major}.{newest.minor + 1}.0")
    return Version(f"{newest.major}.{newest.minor}.{newest.micro + 1}")


def promised_names(commit: str) -> set[str]:
    """The files of a project, as it names them, and the answers it records."""
    paths = git("ls-tree", "-r", "-z", "--name-only", commit, "template").split("\0")
    named = (path.replace("{{ package_name }}", "PACKAGE") for path in filter(None, paths))
    names = [re.sub(r"^template/|{{.*?}}|\.jinja$", "", name) for name in named]
    names += re.findall(r"^([a-z]\w*):", git("show", f"{commit}:copier.yml"), re.M)
    return {f"`{name}`" for name in names}


def prove_and_tag(candidate: Path, version: Version, dry_run: bool) -> list[str]:
    """Write the release in a worktree, build it, take projects to it; then commit and tag it."""
    tag, python = f"v{version}", sys.executable
    # The long tests too; one whose service is missing fails where CI is set.
    pytest = (python, "-m", "pytest", "-q", "-n", "auto", "-m", "campaign or not campaign")
    proofs = {
        "uv.lock does not fit pyproject.toml": ("uv", "lock", "--check", "--quiet"),
        "wheel and sdist cannot be built": ("uv", "build", "--quiet", "--out-dir", "build/dist"),
        "the update of projects to this release is not proven": (*pytest, UPDATES),
    }
    git("worktree", "add", "--quiet", "--detach", str(candidate))
    try:
        write_version(candidate, str(version))
        for fault, command in proofs.items():
            if subprocess.run(command, cwd=candidate, env=os.environ | {"CI": "true"}).returncode:
                return [f"{fault}: see above"]
        if dry_run:
            print(f"{tag} is proven; nothing is changed (dry run)")
            return []
        # The hooks have seen all but three lines of it, and may refuse a commit without a branch.
        git("commit", "--quiet", "--all", "--no-verify", "-m", f"Release {tag}", cwd=candidate)
        commit = git("rev-parse", "HEAD", cwd=candidate).strip()
    finally:
        git("worktree", "remove", "--force", str(candidate))
    git("merge", "--quiet", "--ff-only", commit)
    git("tag", "--annotate", "-m", f"Release {tag}", tag, commit)
    print(f"{tag} is committed and tagged; publish it: git push --atomic origin main {tag}")
    return []


def write_version(folder: Path, version: str) -> None:
    """Write the version where it is recorded, and name the changelog's section after it."""
    heading = f"## Unreleased\n\n## {version} - {datetime.now(UTC):%Y-%m-%d}\n"
    for name, pattern, text in [
        ("pyproject.toml", r'(?<=^version = ").*?(?=")', version),
        ("uv.lock", r'(?<=^name = "dslp"\nversion = ").*?(?=")', version),
        ("CHANGELOG.md", r"^## Unreleased\n", heading),
    ]:
        file = folder / name
        written = re.sub(pattern, text, file.read_text(encoding="utf-8"), count=1, flags=re.M)
        file.write_text(written, encoding="utf-8", newline="\n")


def parse(text: str) -> Version | None:
    """A version of three numbers: copier takes no pre-release unless it is asked for one."""
    number = r"(0|[1-9][0-9]*)"
    return Version(text) if re.fullmatch(rf"{number}\.{number}\.{number}", text) else None


def git(*arguments: str, cwd: Path = ROOT) -> str:
    """What git prints; a `CalledProcessError` where it fails."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


def fail(code: int, *faults: str) -> int:
    """Print each reason, and give the exit code back."""
    print(*(f"release: {fault}" for fault in faults), sep="\n", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
