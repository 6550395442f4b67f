"""The template's newest version comes as one pull request, and nothing of the team's is lost."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.github.scene import Ended, Scene
from tests.github.standin.faults import Action, status
from tests.github.standin.model import Issue
from tests.github.standin.server import Standin
from tests.template_copy import Template, commit, git, publish

pytestmark = pytest.mark.slow

BRANCH = "template/update"
RIGHTS = dict.fromkeys(("contents", "issues", "pull_requests", "statuses", "actions"), "write")
HOSTILE = "Thanks to @ada (#12); closes https://github.com/ada/claims/issues/7, GH-8 <!-- dslp -->"
NOTES = f"# Log\n\n## 0.4.0\n\nLater.\n\n## 0.3.0\n\n{HOSTILE}\n\n## 0.2.0\n\nOld.\n"
# What GitHub answers to a workflow's own token.
REFUSAL = """#!/bin/sh
while read old new ref; do
  git diff --name-only main "$new" | grep -q ^.github/workflows/ || continue
  echo 'refusing to allow a GitHub App to create or update workflow without `workflows`' >&2
  exit 1
done
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What the working tree holds, and two later releases; the last changes a workflow."""
    published = publish(tmp_path_factory.mktemp("weekly") / "template")
    folder = published.path / "template"
    form = (folder / ".editorconfig").read_text(encoding="utf-8")
    changed = form.replace("charset = utf-8", "charset = latin1")
    later = published.release({"template/.editorconfig": changed, "CHANGELOG.md": NOTES})
    name = "template/.github/workflows/{{ prefix }}issues.yml"
    workflow = (published.path / name).read_text(encoding="utf-8")
    return later.release({name: f"# Improved.\n{workflow}"})


@pytest.fixture(scope="module")
def original(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = {"components": ["process"]}
    project = tmp_path_factory.mktemp("original") / "claims"
    template.copy(project, answers, template.releases[-3])
    commit(project)
    return project


@dataclass
class Remote:
    """A repository on GitHub: git has it in a bare repository, all else is the stand-in's."""

    folder: Path
    scene: Scene
    template: Template
    pushed: str = ""

    def read(self) -> None:
        """Let the stand-in know of a push."""
        names = git("for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}", cwd=self.bare)
        if names and names != self.pushed:
            files = git("ls-tree", "-r", "--name-only", BRANCH, cwd=self.bare).splitlines()
            texts = {name: git("show", f"{BRANCH}:{name}", cwd=self.bare) for name in files}
            self.scene.repository.commit(BRANCH, texts)
            self.pushed = names

    @property
    def bare(self) -> Path:
        return self.folder / "bare"

    def clone(self) -> Path:
        """What a checkout has."""
        clone = self.folder / "clone"
        shutil.rmtree(clone, ignore_errors=True)
        git("clone", "--quiet", str(self.bare), str(clone))
        self.scene.folder = clone
        return clone

    def update(self, release: int = -2, fault: Action | None = None) -> Ended:
        """The workflow's last step in a week in which this release is the newest."""
        for later in self.template.releases[release:][1:] if release < -1 else ():
            git("tag", "--delete", later, cwd=self.template.path)
        self.clone()
        self.scene.github.forget()
        self.scene.github.on("*", self.read)
        if fault:
            self.scene.github.on("POST */pulls", fault)
        names = ("HOME", "COPIER_SETTINGS_PATH", "COPIER_CACHE_DIR", "GIT_CONFIG_GLOBAL")
        env = {name: os.environ[name] for name in names if name in os.environ}
        env |= {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(self.folder / "cache")}
        ended = self.scene.run("update-template", **env)
        for later in self.template.releases[release:][1:] if release < -1 else ():
            git("tag", later, "HEAD", cwd=self.template.path)
        return ended

    def add_work_of_a_person(self, amended: bool = False) -> None:
        clone = self.clone()
        git("checkout", "--quiet", BRANCH, cwd=clone)
        (clone / "mine.txt").write_text("Mine.\n")
        git("add", "--all", cwd=clone)
        git("commit", "--quiet", *["--amend"] * amended, "--message", "Mine", cwd=clone)
        git("push", "--quiet", "--force", "origin", BRANCH, cwd=clone)

    def opened(self, is_pull: bool) -> list[Issue]:
        issues = [one for one in self.scene.repository.issues.values() if one.state == "open"]
        return [one for one in issues if bool(one.pull) == is_pull]

    def file(self, name: str) -> str:
        return git("show", f"{BRANCH}:{name}", cwd=self.bare)


@pytest.fixture
def remote(github: Standin, template: Template, original: Path, tmp_path: Path) -> Remote:
    repository = github.add_repository("ada/claims")
    token = github.add_workflow_token(repository, RIGHTS)
    remote = Remote(tmp_path, Scene(tmp_path, github, repository, token), template)
    git("clone", "--quiet", "--bare", str(original), str(remote.bare))
    repository.commit("main", {"pyproject.toml": "", ".github/workflows/tests.yml": "on: push\n"})
    return remote


def test_an_update_is_one_pull_request_with_its_notes_however_often_it_is_looked_for(
    remote: Remote,
) -> None:
    for _ in range(2):
        ended = remote.update()
        assert ended.code == 0, ended.err
    (pull,) = remote.opened(is_pull=True)
    assert pull.pull
    assert (pull.title, pull.pull.draft) == ("Update the template from v0.2.0 to v0.3.0", False)
    body = pull.body or ""
    assert "Thanks to @\u200bada (#\u200b12); closes" in body
    assert [word for word in ("issues/7", "GH-8", "<!-- dslp -->") if word in body] == []
    assert "Later" not in body
    assert "Old" not in body
    assert pull.comments == []
    assert "charset = latin1" in remote.file(".editorconfig")
    assert "_commit: v0.3.0" in remote.file(".copier-answers.yml")
    assert remote.opened(is_pull=False) == []
    verdict = remote.scene.status(pull)
    assert verdict
    assert verdict.state == "success"

    remote.update(-1)  # a newer version takes its place
    (same,) = remote.opened(is_pull=True)
    assert (same.number, same.title) == (pull.number, "Update the template from v0.2.0 to v0.4.0")
    assert "Later" in (same.body or "")

    same.state = "closed"
    ended = remote.update(-1)
    assert "was closed, and is not opened again" in ended.out
    assert remote.opened(is_pull=True) == []
    git("branch", "--force", "main", BRANCH, cwd=remote.bare)  # as a merge does
    assert "v0.4.0 is the newest version of the template" in remote.update(-1).out


def test_a_conflict_is_committed_with_its_markers_and_said_in_words(remote: Remote) -> None:
    clone = remote.clone()
    text = (clone / ".editorconfig").read_text(encoding="utf-8")
    (clone / ".editorconfig").write_text(text.replace("charset = utf-8", "charset = utf-16le"))
    (clone / "uv.lock").write_text("version = 1\n")  # without a network, uv cannot make it anew
    git("add", "--all", cwd=clone)
    git("commit", "--quiet", "--message", "Mine", cwd=clone)
    git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
    assert remote.update().code == 0
    (pull,) = remote.opened(is_pull=True)
    assert pull.pull
    assert pull.pull.draft
    (comment,) = pull.comments
    assert "- .editorconfig, lines 4 to 8" in comment.body
    assert "are yours" in comment.body
    assert "`uv.lock` is as before" in comment.body
    text = remote.file(".editorconfig")
    assert "<<<<<<< before updating\ncharset = utf-16le\n=======\ncharset = latin1\n" in text


@pytest.mark.campaign
def test_commits_of_people_on_the_branch_stay_and_a_newer_version_waits(remote: Remote) -> None:
    remote.update()
    remote.add_work_of_a_person(amended=True)
    for _ in range(2):
        assert "v0.4.0 waits" in remote.update(-1).out
    (pull,) = remote.opened(is_pull=True)
    assert pull.title.endswith("v0.3.0")
    (comment,) = pull.comments
    assert "The template has v0.4.0 by now" in comment.body
    assert remote.file("mine.txt") == "Mine.\n"


@pytest.mark.campaign
def test_what_a_workflow_may_not_push_is_one_issue_with_the_commands_until_an_app_may(
    remote: Remote,
) -> None:
    hook = remote.bare / "hooks" / "pre-receive"
    hook.write_text(REFUSAL)
    hook.chmod(0o755)
    for _ in range(2):
        ended = remote.update(-1)
        assert ended.code == 0, ended.err
    (issue,) = remote.opened(is_pull=False)
    assert remote.opened(is_pull=True) == []
    assert issue.title == "Update the template from v0.2.0 to v0.4.0"
    assert "uvx copier update --defaults\npython3 hooks/post_generate.py" in (issue.body or "")
    assert "DSLP_APP_ID" in (issue.body or "")
    assert "## 0.4.0" in (issue.body or "")
    issue.state = "closed"
    assert "was closed, and is not opened again" in remote.update(-1).out
    issue.state = "open"
    hook.unlink()
    remote.update(-1)
    (pull,) = remote.opened(is_pull=True)
    assert f"Closes #{issue.number}." in (pull.body or "")


@pytest.mark.campaign
def test_where_actions_may_not_open_pull_requests_an_issue_has_the_link(remote: Remote) -> None:
    text = "GitHub Actions is not permitted to create or approve pull requests."
    assert remote.update(fault=status(403, text)).code == 0
    (issue,) = remote.opened(is_pull=False)
    assert f"/ada/claims/compare/main...{BRANCH}?expand=1" in (issue.body or "")
    assert "charset = latin1" in remote.file(".editorconfig")
    remote.add_work_of_a_person()
    assert f"the branch {BRANCH} has commits of people" in remote.update(-1).out
    assert remote.file("mine.txt") == "Mine.\n"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("", "there is no .copier-answers.yml"),
        ("project_name: x\n", "has no _commit of a template in git"),
        ("_commit: v1.0.0\n_src_path: /nowhere/template\n", "a folder of another machine"),
    ],
)
def test_what_cannot_be_updated_is_said_in_one_line(
    remote: Remote, answers: str, words: str
) -> None:
    clone = remote.clone()
    (clone / ".copier-answers.yml").write_text(answers)
    if not answers:
        (clone / ".copier-answers.yml").unlink()
    ended = remote.scene.run("update-template")
    assert words in ended.out + ended.err
    assert ended.code == (0 if "folder" in words else 2)
    assert remote.opened(is_pull=True) == []
