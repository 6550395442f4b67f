"""The stand-in is GitHub in what the process relies on; PyGithub cannot tell the difference."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from github import Github, GithubException, RateLimitExceededException, UnknownObjectException
from github.Repository import Repository as Client

from tests.github.standin.faults import (
    call,
    cut_after,
    cut_before,
    delay,
    primary_limit,
    secondary_limit,
    status,
)
from tests.github.standin.model import Repository
from tests.github.standin.server import Standin
from tests.github.standin.web import serve

Connect = Callable[..., Github]
LIVE = {"enforcement": "active", "target": "branch"}


@pytest.fixture
def claims(github: Standin) -> Repository:
    return github.add_repository("ada/claims")


@pytest.fixture
def ada(claims: Repository, client: Connect) -> Client:
    return client().get_repo("ada/claims")


def refused(action: Callable[[], object]) -> tuple[int, Any]:
    """The status and the first error of a refusal."""
    with pytest.raises(GithubException) as caught:
        action()
    data: Any = caught.value.data
    return caught.value.status, (data.get("errors") or [data.get("message")])[0]


def raw(github: Standin, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request without any client's help."""
    request = urllib.request.Request(github.url + path, method=method)
    request.add_header("Authorization", f"Bearer {github.add_token()}")
    request.add_header("X-GitHub-Api-Version", "2022-11-28")
    request.data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


# Labels


def test_a_new_repository_has_nine_labels(ada: Client) -> None:
    assert len(list(ada.get_labels())) == 9
    assert ada.get_label("BUG").name == "bug"


def test_label_names_are_unique_whatever_the_case(ada: Client) -> None:
    ada.create_label("Ask", "c9ecff", "What is wanted")
    code, error = refused(lambda: ada.create_label("ASK", "c9ecff"))
    assert (code, error["code"]) == (422, "already_exists")
    code, error = refused(lambda: ada.get_label("bug").edit("ask", "c9ecff"))
    assert (code, error["code"]) == (422, "already_exists")
    ada.get_label("ask").edit("ASK", "c9ecff")
    assert ada.get_label("Ask").name == "ASK"


@pytest.mark.parametrize(
    ("color", "description"), [("#c9ecf", ""), ("c9ecf", ""), ("red", ""), ("c9ecff", "x" * 101)]
)
def test_colour_and_description_have_limits(ada: Client, color: str, description: str) -> None:
    assert refused(lambda: ada.create_label("Ask", color, description))[0] == 422


def test_a_renamed_label_keeps_its_issues_and_a_deleted_one_leaves_them(
    ada: Client, claims: Repository
) -> None:
    issue = claims.add_issue("A question", labels=["bug", "question"])
    ada.get_label("bug").edit("Ask", "c9ecff")
    assert [label.name for label in issue.labels] == ["Ask", "question"]
    ada.get_label("Ask").delete()
    assert [label.name for label in ada.get_issue(1).labels] == ["question"]


def test_a_label_that_does_not_exist_is_made_when_given(ada: Client, claims: Repository) -> None:
    claims.add_issue("A question")
    ada.get_issue(1).add_to_labels("brand new", "BUG")
    assert [label.name for label in ada.get_issue(1).labels] == ["brand new", "bug"]
    assert ada.get_label("brand new").color == "ededed"
    ada.get_issue(1).remove_from_labels("bug")
    ada.get_issue(1).set_labels("question")
    assert refused(lambda: ada.get_issue(1).remove_from_labels("bug"))[0] == 404


def test_lists_come_in_pages_that_lead_on(ada: Client, claims: Repository, client: Connect) -> None:
    for number in range(120):
        claims.add_label(f"label {number}")
    assert (
        len({label.name for label in client(per_page=100).get_repo("ada/claims").get_labels()})
        == 129
    )
    assert len({label.name for label in ada.get_labels()}) == 129


# Issues


def test_issues_and_pull_requests_share_numbers(ada: Client, claims: Repository) -> None:
    claims.add_issue("First")
    assert claims.add_pull("2-second").number == 2
    assert ada.create_issue("Third", "one\r\ntwo", labels=["bug"]).number == 3
    assert ada.get_issue(3).body == "one\r\ntwo"
    assert [issue.number for issue in ada.get_issues()] == [3, 2, 1]
    assert ada.get_issue(2).pull_request is not None
    assert [pull.number for pull in ada.get_pulls()] == [2]
    with pytest.raises(UnknownObjectException):
        ada.get_issue(4)
    with pytest.raises(UnknownObjectException):
        ada.get_pull(1)


def test_issues_close_with_a_reason_and_open_again(ada: Client, claims: Repository) -> None:
    claims.add_issue("First", labels=["bug"])
    ada.get_issue(1).edit(state="closed", state_reason="not_planned")
    issue = ada.get_issue(1)
    assert (issue.state, issue.state_reason, issue.closed_at is None) == (
        "closed",
        "not_planned",
        False,
    )
    assert list(ada.get_issues()) == []
    issue.edit(state="open")
    assert [one.number for one in ada.get_issues(labels=["BUG"])] == [1]


def test_comments_are_written_changed_and_removed(ada: Client, claims: Repository) -> None:
    claims.add_issue("First")
    comment = ada.get_issue(1).create_comment("wrong")
    comment.edit("right")
    assert [one.body for one in ada.get_issue(1).get_comments()] == ["right"]
    comment.delete()
    assert ada.get_issue(1).comments == 0


def test_issues_are_linked_by_their_ids(ada: Client, claims: Repository, github: Standin) -> None:
    ask, data = claims.add_issue("Ask"), claims.add_issue("Data")
    ada.get_issue(1).add_sub_issue(data.id)
    assert [one.title for one in ada.get_issue(1).get_sub_issues()] == ["Data"]
    assert raw(github, "GET", "/repos/ada/claims/issues/2/parent")[1]["number"] == 1
    path = "/repos/ada/claims/issues/2/dependencies/blocked_by"
    assert raw(github, "POST", path, {"issue_id": ask.id})[0] == 201
    assert [one["number"] for one in raw(github, "GET", path)[1]] == [1]
    assert raw(github, "POST", path, {"issue_id": ask.number})[0] == 404


def test_search_finds_issues_by_words_labels_and_state(claims: Repository, client: Connect) -> None:
    claims.add_issue("Claim frequency", labels=["Experiment"])
    claims.add_issue("Frequency of visits", labels=["Experiment"], state="closed")
    claims.add_issue("Something else", "frequency", labels=["Ask"])

    def found(query: str) -> list[int]:
        return sorted(one.number for one in client().search_issues(f"repo:ada/claims {query}"))

    assert found("is:issue label:Experiment frequency") == [1, 2]
    assert found('is:open label:"Experiment"') == [1]
    assert found("FREQUENCY") == [1, 2, 3]


# Pull requests, commits, statuses


def test_a_pull_request_shows_its_branch_its_files_and_its_commits(
    ada: Client, claims: Repository
) -> None:
    claims.commit("main", {"old.txt": "moved\n", "src/keep.py": "a\nb\n"})
    claims.commit("data/1-visits", {"old.txt": None, "new.txt": "moved\n", "src/keep.py": "a\nc\n"})
    claims.add_pull("data/1-visits", body="Closes #1", labels=["Data"])
    pull = ada.get_pull(1)
    assert (pull.head.ref, pull.base.ref, pull.merged) == ("data/1-visits", "main", False)
    files = {one.filename: one.status for one in pull.get_files()}
    assert files == {"new.txt": "renamed", "src/keep.py": "modified"}
    assert pull.commits == len(list(pull.get_commits())) == 1


def test_pull_requests_of_forks_come_from_elsewhere(
    github: Standin, ada: Client, claims: Repository
) -> None:
    fork = github.add_fork(claims, "mallory")
    claims.add_pull("explore/1-x", fork=fork)
    pull = ada.get_pull(1)
    assert pull.head.repo.full_name == "mallory/claims"
    assert (pull.user.login, pull.head.label) == ("mallory", "mallory:explore/1-x")


def test_merging_closes_and_is_for_good(ada: Client, claims: Repository) -> None:
    claims.add_issue("Data")
    claims.add_pull("data/1-visits", files={"a.txt": "a"}, body="Closes #1")
    assert ada.get_pull(2).merge().merged
    assert (ada.get_pull(2).merged, ada.get_issue(1).state) == (True, "closed")
    assert ada.get_contents("a.txt").decoded_content == b"a"  # type: ignore[union-attr]
    assert refused(lambda: ada.get_pull(2).edit(state="open"))[0] == 422
    assert refused(lambda: ada.get_pull(2).merge())[0] == 405


def test_statuses_are_kept_for_each_commit_newest_first(ada: Client, claims: Repository) -> None:
    claims.add_pull("data/1-visits")
    commit = ada.get_commit(ada.get_pull(1).head.sha)
    assert commit.get_combined_status().state == "pending"
    for state in ("failure", "pending", "success"):
        commit.create_status(state, description=state, context="dslp/policy")
    assert [one.state for one in commit.get_statuses()] == ["success", "pending", "failure"]
    assert commit.get_combined_status().state == "success"
    commit.create_status("error", context="other")
    assert commit.get_combined_status().state == "failure"
    assert [one.number for one in commit.get_pulls()] == [1]
    assert refused(lambda: commit.create_status("success", description="x" * 141))[0] == 422


def test_a_deleted_branch_leaves_the_head_of_its_pull_request(
    ada: Client, claims: Repository
) -> None:
    claims.add_pull("explore/1-x")
    sha = ada.get_pull(1).head.sha
    ada.get_git_ref("heads/explore/1-x").delete()
    assert (ada.get_pull(1).state, ada.get_pull(1).head.sha) == ("closed", sha)
    ada.create_git_ref("refs/heads/kept/1", sha)
    assert ada.get_branch("kept/1").commit.sha == sha
    assert ada.compare("main", "kept/1").status == "ahead"


def test_files_are_read_and_written_by_those_who_saw_them(ada: Client) -> None:
    ada.create_file("docs/a.md", "Add", "one\n", branch="main")
    file = ada.get_contents("docs/a.md")
    assert not isinstance(file, list)
    ada.update_file("docs/a.md", "Change", "two\n", file.sha)
    assert refused(lambda: ada.update_file("docs/a.md", "Late", "three\n", file.sha))[0] == 409
    listed = ada.get_contents("docs")
    assert isinstance(listed, list)
    assert [one.path for one in listed] == ["docs/a.md"]
    assert refused(lambda: ada.get_contents("nowhere"))[0] == 404


# Rights, plans, rulesets


def test_tokens_do_what_they_may(github: Standin, claims: Repository, client: Connect) -> None:
    claims.add_issue("First")
    bot = client(github.add_workflow_token(claims, {"issues": "read"})).get_repo("ada/claims")
    said = (403, "Resource not accessible by integration")
    assert refused(lambda: bot.create_label("Ask", "c9ecff")) == said
    assert refused(lambda: bot.get_issue(1).create_comment("no")) == said
    assert refused(lambda: client("ghp_wrong").get_repo("ada/claims")) == (401, "Bad credentials")
    visitor = client(github.add_token("mallory")).get_repo("ada/claims")
    visitor.get_issue(1).create_comment("hello")
    assert visitor.create_issue("Second", labels=["bug"]).labels == []
    assert refused(lambda: visitor.create_label("Ask", "c9ecff"))[0] == 403
    writer = client(github.add_workflow_token(claims, {"statuses": "write"})).get_repo("ada/claims")
    sha = claims.branches["main"]
    writer.get_commit(sha).create_status("success")
    assert claims.statuses[sha][0].creator == "github-actions[bot]"


def test_private_repositories_are_hidden_and_have_no_rulesets_without_a_plan(
    github: Standin, client: Connect
) -> None:
    private = github.add_repository("ada/secret", private=True)
    stranger = client(github.add_token("mallory"))
    assert refused(lambda: stranger.get_repo("ada/secret"))[0] == 404
    code, body = raw(github, "GET", "/repos/ada/secret/rulesets")
    assert (code, "Upgrade to GitHub Pro" in body["message"]) == (403, True)
    private.paid = True
    assert raw(github, "GET", "/repos/ada/secret/rulesets") == (200, [])


def test_rulesets_guard_branches_and_merging(
    github: Standin, ada: Client, claims: Repository
) -> None:
    names = {"include": ["~ALL"], "exclude": ["refs/heads/data/**/*", "refs/heads/dependabot/**"]}
    first: dict[str, Any] = {"name": "names", **LIVE, "conditions": {"ref_name": names}}
    first["rules"] = [{"type": "creation"}]
    checks = {"required_status_checks": [{"context": "dslp/policy"}]}
    rule = {
        "type": "required_status_checks",
        "parameters": checks | {"strict_required_status_checks_policy": False},
    }
    main = {"include": ["~DEFAULT_BRANCH"], "exclude": []}
    second = {"name": "policy", **LIVE, "conditions": {"ref_name": main}, "rules": [rule]}
    path = "/repos/ada/claims/rulesets"
    for ruleset in (first, second):
        assert raw(github, "POST", path, ruleset)[0] == 201
    assert raw(github, "POST", path, second)[0] == 422
    listed = raw(github, "GET", path)[1]
    assert [one["name"] for one in listed] == ["names", "policy"]
    changed = raw(github, "PUT", f"{path}/{listed[1]['id']}", {**second, "rules": [rule]})
    assert changed[1]["rules"] == [rule]
    assert raw(github, "GET", "/repos/ada/claims/rules/branches/main")[1][1]["type"] == rule["type"]

    sha = claims.branches["main"]
    ada.create_git_ref("refs/heads/data/1-visits", sha)
    for name in ("nonsense", "dependabot/pip/x-1"):  # `**` before nothing is one level only
        refusal = refused(partial(ada.create_git_ref, f"refs/heads/{name}", sha))
        assert "creations being restricted" in refusal[1]
    claims.add_pull("data/1-visits", files={"a.txt": "a"})
    assert "dslp/policy" in refused(lambda: ada.get_pull(1).merge())[1]
    ada.get_commit(ada.get_pull(1).head.sha).create_status("success", context="dslp/policy")
    assert ada.get_pull(1).merge().merged


def test_settings_and_people_are_known(ada: Client, claims: Repository, client: Connect) -> None:
    claims.collaborators["bob"] = "maintain"
    ada.edit(allow_squash_merge=False, delete_branch_on_merge=True)
    assert client().get_repo("ada/claims").allow_squash_merge is False
    assert ada.get_collaborator_permission("bob") == "write"
    assert client().get_user().login == "ada"


# Limits and faults


def test_the_hours_requests_run_out_and_come_back(github: Standin, ada: Client) -> None:
    github.limit(1, reset_in=60)
    ada.get_label("bug")
    with pytest.raises(RateLimitExceededException) as caught:
        ada.get_label("bug")
    assert caught.value.headers["x-ratelimit-remaining"] == "0"  # type: ignore[index]
    github.limit(0, reset_in=-1)
    ada.get_label("bug")


def test_faults_come_when_scripted_and_not_again(github: Standin, ada: Client) -> None:
    github.forget()
    github.at(2, status(502))
    github.on("POST", "*/labels", secondary_limit(retry_after=7))
    github.on("PATCH", "*", primary_limit(reset_in=9, code=429))
    ada.get_label("bug")
    assert refused(lambda: ada.get_label("bug"))[0] == 502
    with pytest.raises(RateLimitExceededException) as caught:
        ada.create_label("Ask", "c9ecff")
    assert caught.value.headers["retry-after"] == "7"  # type: ignore[index]
    ada.create_label("Ask", "c9ecff")
    assert refused(lambda: ada.edit(has_wiki=False))[0] == 429
    assert [one.status for one in github.requests] == [200, 502, 403, 201, 429]


@pytest.mark.parametrize("effective", [False, True])
def test_a_connection_is_cut_before_or_after_the_change(
    github: Standin, ada: Client, claims: Repository, effective: bool
) -> None:
    github.on("POST", "*", cut_after() if effective else cut_before())
    with pytest.raises(OSError, match=r"abort|Remote|closed"):
        ada.create_label("Ask", "c9ecff")
    assert (claims.label("Ask") is not None) == effective


def test_a_killed_client_is_never_heard_again(github: Standin, ada: Client) -> None:
    github.forget()
    github.kill_at(2)
    ada.create_label("one", "c9ecff")
    for name in ("two", "three"):
        with pytest.raises(OSError, match=r"abort|Remote|closed"):
            ada.create_label(name, "c9ecff")
    github.forget()
    assert len(list(ada.get_labels())) == 11


def test_an_answer_comes_too_late(github: Standin, claims: Repository) -> None:
    github.on("GET", "*", delay(0.3))
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(f"{github.url}/repos/ada/claims", timeout=0.05)


def test_somebody_else_writes_between_two_requests(
    github: Standin, ada: Client, claims: Repository
) -> None:
    github.forget()
    github.at(2, call(lambda: claims.add_label("Ask")))
    assert "Ask" not in {label.name for label in ada.get_labels()}
    assert refused(lambda: ada.create_label("ask", "c9ecff"))[1]["code"] == "already_exists"


def test_the_log_tells_one_request_and_no_change(github: Standin, ada: Client) -> None:
    github.forget()
    list(ada.get_labels())
    assert [str(one) for one in github.requests] == ["GET /repos/ada/claims/labels"]
    assert github.writes == []
    assert github.requests[0].headers["x-github-api-version"] == "2022-11-28"
    assert github.requests[0].login == "ada"


# What is not GitHub's is found


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/labels", {"name": 3}, "name"),
        (
            "POST",
            "/labels",
            {"name": "x", "colour": "c9ecff"},
            "no such property of the body: colour",
        ),
        ("GET", "/labels?per_pag=3", None, "no such query parameter: per_pag"),
        ("GET", "/issues?state=shut", None, "shut"),
        ("GET", "/tags", None, "no such path"),
        ("POST", "/statuses/main", {"state": "pendng"}, "pendng"),
    ],
)
def test_a_wrong_request_is_reported(
    github: Standin, claims: Repository, method: str, path: str, body: Any, said: str
) -> None:
    assert raw(github, method, f"/repos/ada/claims{path}", body)[0] in (404, 422)
    assert said in " ".join(github.violations)
    github.violations.clear()


def test_a_wrong_response_is_reported(github: Standin, claims: Repository, ada: Client) -> None:
    claims.labels[0].color = None  # type: ignore[assignment]
    list(ada.get_labels())
    assert "None for not nullable" in github.violations.pop()
    assert github.violations == []


@pytest.mark.skipif(not shutil.which("gh"), reason="there is no gh here")
def test_gh_takes_the_stand_in_for_github(
    github: Standin, claims: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(github, tmp_path / "socket")
    (tmp_path / "config.yml").write_text(f"http_unix_socket: {tmp_path / 'socket'}\n")
    monkeypatch.setenv("GH_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("GH_TOKEN", github.add_token())

    def gh(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["gh", *arguments], capture_output=True, text=True)

    made = ("label", "create", "Ask", "--color", "c9ecff", "--repo", "ada/claims")
    assert gh(*made).returncode == 0
    assert "already exists" in gh(*made).stderr
    pages = gh("api", "repos/ada/claims/labels?per_page=4", "--paginate", "--jq", ".[].name")
    assert len(pages.stdout.split("\n")) == 11
    server.shutdown()
    server.server_close()
