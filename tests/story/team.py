"""A team at work: its project, its repository on the stand-in, its clock, and the real tool.

What a person does on GitHub's page goes through the REST API; what a workflow does is the tool with
a workflow's token. Commits are git's own: the remote is a folder, which git reaches as if by ssh.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests
import time_machine

from tests.github.scene import ISSUES_RIGHTS, Scene
from tests.github.standin.model import Commit
from tests.github.standin.server import Standin

NAME = "dslp/demo"
RIGHTS = {**ISSUES_RIGHTS, "contents": "write", "pull_requests": "write", "actions": "write"}
SETTINGS = {"user.name": "the team", "user.email": "team@example.org", "ssh.variant": "simple"}
SETTINGS["core.hooksPath"] = os.devnull  # what is committed here was checked before
LATER: tuple[str, ...] = (
    "src/demo/datasets",
    "src/demo/models",
)
LATER += ("tests/model", "tests/unit/test_claims.py")  # what the first commit does not have
TEXTS = Path(__file__).with_name("story.md").read_text(encoding="utf-8")


class Facts(dict[str, Any]):
    """Numbers of issues and pull requests, and figures; what is not known yet is an ellipsis."""

    def __missing__(self, name: str) -> str:
        return "…"


class Team:
    """A team, with what its texts name in `facts`, and in `aside` what its project gets later."""

    def __init__(
        self, folder: Path, github: Standin, clock: time_machine.Traveller, today: date
    ) -> None:
        self.folder, self.clock, self.today = folder.resolve(), clock, today
        self.build = self.folder / "build"
        self.aside, self.remote = self.build / "aside", self.build / "github" / f"{NAME}.git"
        self.repository = github.add_repository(NAME, private=True)
        self.repository.commits.clear()
        self.repository.branches.clear()
        token, own = github.add_token("dslp"), github.add_workflow_token(self.repository, RIGHTS)
        self.person = Scene(self.folder, github, self.repository, token)
        self.machine = Scene(self.folder, github, self.repository, own)
        self.facts = Facts()
        self.plot, *sections = re.split(r"^=== ", TEXTS, flags=re.M)
        self.texts: dict[str, str] = {}
        for section in sections:
            name, form, text = re.split(r"[ \n]", section, maxsplit=2)
            first, *parts = re.split(r"^~~~ ", text, flags=re.M)
            self.texts |= {f"{name} form": form.lower(), f"{name} text": first}
            self.texts |= {f"{name} {part.split()[0]}": part.split("\n", 1)[1] for part in parts}
        self.env = {"HOME": os.environ.get("HOME", "/"), "GIT_CONFIG_COUNT": str(len(SETTINGS))}
        for number, (key, text) in enumerate(SETTINGS.items()):
            self.env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": text}

    def play(self) -> None:
        """Do what the plot says, line by line."""
        for before, verb, words in re.findall(r"^([ \d]{3}) (\w+) ?(.*)$", self.plot, re.M):
            if before.strip():
                day = np.busday_offset(self.today, -int(before), roll="backward").astype(date)
                self.clock.move_to(datetime.combine(day, time(9), UTC))
            self.tick(60)
            getattr(self, verb)(*shlex.split(words.format_map(self.facts)))

    def tick(self, seconds: int) -> str:
        """Let time pass, also on GitHub."""
        self.clock.shift(seconds)
        self.repository.clock.now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return self.repository.clock.now

    def say(self, words: str) -> None:
        print(f"{datetime.now(UTC):%d %b %Y}  {words}", flush=True)

    def dslp(self, *words: object, machine: bool = False, **env: str) -> str:
        """What the tool prints, for a person or in a workflow; the project's code is read anew."""
        for name in [name for name in sys.modules if name.split(".")[0] == "demo"]:
            del sys.modules[name]
        scene = self.machine if machine else self.person
        ended = scene.run(*map(str, words), **self.env, **env)
        has_moved = "monitor" in words  # which is exit code 1
        assert ended.code == has_moved, f"{words}: {ended.out}\n{ended.err}"
        lines = [line for line in ended.out.splitlines() if re.match(r"claim\w+ .*\bis ", line)]
        why = [f": {words[-1]}"] * ("--why" in words[-2:])
        self.say("".join(lines[-1:] + why)) if lines else None
        self.tick(240)
        return ended.out

    def workflow(self, *words: object, **env: str) -> None:
        """Run the tool as a workflow; git gets what it has made on GitHub."""
        self.dslp(*words, machine=True, **env)
        self.meet()

    def ask(self, verb: str, path: str, **body: Any) -> Any:
        """What a person does on GitHub's page."""
        url = f"{self.person.github.url}/repos/{NAME}{path}"
        headers = {"Authorization": f"Bearer {self.person.token}"}
        answer = requests.request(verb, url, json=body, headers=headers, timeout=15)
        answer.raise_for_status()
        return answer.json()

    def open(self, name: str) -> int:
        """Open the issue of that name by its form; the workflow checks it."""
        file = self.build / "issue.md"
        file.write_text(self.texts[f"{name} text"].format_map(self.facts), encoding="utf-8")
        opened = self.dslp("new", "issue", self.texts[f"{name} form"], "--from", file, "--json")
        number = self.facts[name] = int(json.loads(opened)["results"][0]["details"]["number"])
        issue = self.repository.issues[number]
        self.say(f"#{number} {self.texts[f'{name} form'].capitalize()}: {issue.title}")
        self.check(number)
        return number

    def fill(self, name: str) -> None:
        """Write into the fields that are filled in when the work is done."""
        body = self.repository.issues[self.facts[name]].body or ""
        later = self.texts[f"{name} later"].format_map(self.facts)
        for field, text in re.findall(r"^### (.+?)\n\n(.+?)(?=\n\n### |\n*\Z)", later, re.M | re.S):
            before, heading, after = body.partition(f"### {field}\n\n")
            after = re.sub(r"\A.*?(?=\n\n### |\n\n<!-- dslp|\Z)", "", after, count=1, flags=re.S)
            body = f"{before}{heading}{text}{after}"
        title = later.partition("\n")[0].removeprefix("# ")
        changes = {"title": title} if later.startswith("# ") else {}
        self.edit(self.facts[name], body=body.replace("- [ ] ", "- [x] "), **changes)

    def edit(self, number: int, **values: Any) -> None:
        self.ask("PATCH", f"/issues/{number}", **values)
        self.check(number)

    def close(self, name: str) -> None:
        self.edit(self.facts[name], state="closed", state_reason="completed")
        self.say(f"#{self.facts[name]} is closed")

    def reopen(self, name: str) -> None:
        self.edit(self.facts[name], state="open")
        self.say(f"#{self.facts[name]} is open again")

    def adopt(self, name: str) -> None:
        """Give a name to the issue that a workflow has opened."""
        number = self.facts[name] = max(self.repository.issues)
        self.say(f"#{number} is opened by a workflow: {self.repository.issues[number].title}")

    def label(self, number: str, name: str, comment: str = "") -> None:
        self.ask("POST", f"/issues/{number}/labels", labels=[name])
        if comment:
            self.ask("POST", f"/issues/{number}/comments", body=comment)
        self.say(f"#{number} is labelled {name}" + f": {comment}" * bool(comment))
        self.check(int(number))

    def check(self, number: int) -> None:
        """What the workflow `issues` does when an issue changes."""
        self.workflow("issue-check", number)

    def git(self, *words: str, remote: bool = False, text: str = "") -> str:
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        env = {"PATH": os.environ["PATH"], **self.env, **dates}
        command = ["git", "-C", str(self.remote if remote else self.folder), *words]
        return subprocess.check_output(command, env=env, text=True, input=text).strip()

    def begin(self) -> None:
        """Make the remote, and the first commit of the project."""
        for path in LATER:
            (self.aside / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(self.folder / path, self.aside / path)
        self.remote.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", remote=True)
        self.git("init", "--quiet")
        self.git("update-ref", "-d", "HEAD")
        self.git("symbolic-ref", "HEAD", "refs/heads/main")
        place = shlex.quote(str(self.remote.parents[1]))
        self.git("config", "core.sshCommand", f"sh -c 'cd {place} && eval \"$1\"'")
        self.git("remote", "add", "origin", f"git@github.com:{NAME}.git")
        self.commit("The project, as the template makes it")

    def start(self, name: str, *paths: str) -> None:
        """Make the branch of an issue, with files that the project does not have yet."""
        self.dslp("start", self.facts[name])
        for path in paths:
            if (self.aside / path).is_dir():  # bytecode of another branch may be left there
                shutil.copytree(self.aside / path, self.folder / path, dirs_exist_ok=True)
            else:
                shutil.copy2(self.aside / path, self.folder / path)

    def change(self, name: str) -> None:
        self.git("apply", "--unidiff-zero", text=self.texts[f"{name} patch"])

    def commit(self, message: str) -> None:
        """Commit everything, and push the branch."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--no-verify", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD")
        self.meet()

    def meet(self) -> None:
        """Let GitHub have the commits and branches of git, and git those that GitHub made."""
        listed = self.git("for-each-ref", "--format=%(refname) %(objectname)", remote=True)
        pushed = dict(line.split() for line in listed.splitlines())
        for kind, refs in (("heads", self.repository.branches), ("tags", self.repository.tags)):
            for name in [name for name in refs if f"refs/{kind}/{name}" not in pushed]:
                self.git("update-ref", f"refs/{kind}/{name}", refs[name], remote=True)
            start = f"refs/{kind}/"
            refs |= {n.removeprefix(start): sha for n, sha in pushed.items() if start in n}
        options = ("--reverse", "--topo-order", "--parents", "--all")
        for line in self.git("rev-list", *options, remote=True).splitlines():
            sha, *parents = line.split()
            if sha not in self.repository.commits:
                tree = self.git("ls-tree", "-r", sha, remote=True).splitlines()
                files = {one.split("\t")[1]: one.split()[2] for one in tree}
                commit = Commit(sha, tuple(parents), files, next(self.repository.ids), "dslp")
                self.repository.commits[sha] = commit

    def pull(self, name: str) -> None:
        """Open the pull request of the branch that is checked out; the workflow checks it."""
        issue, head = self.repository.issues[self.facts[name]], self.git("branch", "--show-current")
        body = {"head": head, "base": "main", "title": issue.title, "body": f"For #{issue.number}."}
        number = self.facts[f"{name}_pull"] = int(self.ask("POST", "/pulls", **body)["number"])
        self.workflow("check", "--pull-request", number, "--publish")

    def merge(self, name: str) -> None:
        """Merge the pull request of an issue, past its policy."""
        number = self.facts[f"{name}_pull"]
        issue = self.repository.issues[number]
        assert issue.pull
        base, head = issue.pull.base, issue.pull.head_ref
        self.workflow("check", "--pull-request", number, "--publish")
        status = self.person.status(issue)
        assert getattr(status, "state", "") == "success", status
        self.git("fetch", "--quiet")
        self.git("switch", "--quiet", base)
        message = f"Merge pull request #{number} from {head}\n\n{issue.title}"
        self.git("merge", "--quiet", "--no-ff", "-m", message, head)
        issue.pull.base_sha = self.repository.branches[base]
        self.git("push", "--quiet", "origin", base)
        self.meet()
        issue.pull.merge_commit_sha = self.repository.branches[base]
        issue.pull.merged_at = self.tick(60)
        self.say(f"#{number} is merged: {head} into {base}")
        self.end(name)

    def end(self, name: str) -> None:
        """Close a pull request, as the workflow `issues` notes, and remove its branch."""
        number, event = self.facts[f"{name}_pull"], self.build / "event.json"
        pull = self.repository.issues[number].pull
        assert pull
        self.ask("PATCH", f"/pulls/{number}", state="closed")
        event.write_text(json.dumps({"action": "closed", "pull_request": {"number": number}}))
        self.workflow("issue-check", GITHUB_EVENT_PATH=str(event))
        self.git("switch", "--quiet", "main")
        del self.repository.branches[pull.head_ref]
        self.git("update-ref", "-d", f"refs/heads/{pull.head_ref}", remote=True)
        self.git("branch", "--quiet", "-D", pull.head_ref)
        self.git("fetch", "--quiet", "--prune", "--tags")

    def note(self, name: str, *lines: str) -> None:
        """Add a cell of code to the notebook of an exploration."""
        file = self.folder / "notebooks" / f"{self.facts[name]}-{name}.ipynb"
        notebook = json.loads(file.read_text(encoding="utf-8"))
        cell = {"cell_type": "code", "id": name, "source": ["\n".join(lines)]}
        notebook["cells"].append({**cell, "metadata": {}, "execution_count": None, "outputs": []})
        file.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")

    def run(self, name: str, *candidates: str) -> None:
        """Run the candidates, by default all, and keep their figures for the texts."""
        options = [option for one in candidates for option in ("--candidate", one)]
        self.dslp("experiment", "run", *options)
        compared = json.loads(self.dslp("experiment", "compare", "--json"))["results"][0]
        lines = ["| candidate | deviance | run |", "| --- | --- | --- |"]
        for one in compared["details"]["candidates"]:
            lines.append(f"| {one['candidate']} | {one['mean']:.4g} | `{one['run'][:8]}` |")
            if one["gain"] is not None:
                gain, low, high = (f"{100 * x:.1f} %" for x in (one["gain"], *one["interval"]))
                words = f"{gain} better than the baseline (95 % interval: {low} to {high})"
                self.facts[f"{name}_{one['candidate']}"] = words
                self.say(f"{one['candidate']}: {words}")
        self.facts[f"{name}_runs"] = "\n".join(lines)

    def enrol(self, file: str) -> None:
        """Write a file with members of a mining company: older, more often ill, with free care."""
        rows = pd.read_parquet(self.folder / "data/processed/claims.parquet")
        ill, free = rows["chronic_diseases"].clip(upper=40), rows["coinsurance"] == 0
        share = np.exp(ill / 10) * np.where(free, 3, 1)
        chosen = np.random.default_rng(1974).choice(len(rows), 1800, False, share / share.sum())
        rows.iloc[np.sort(chosen)].to_parquet(self.folder / file, index=False)


def play(folder: Path, github: Standin) -> Team:
    """Play the story in a project as the template makes it, named demo, with this GitHub."""
    with time_machine.travel(0) as clock:
        team = Team(folder, github, clock, time_machine.escape_hatch.datetime.date.today())
        team.play()
        team.git("switch", "--quiet", "main")
    shutil.rmtree(team.aside)
    return team
