"""The second half of a model's life: tried, released, refused, taken back, watched, asked anew."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.github.standin.server import Standin
from tests.github.standin.web import serve
from tests.library.toy import Toy

pytestmark = pytest.mark.slow

RIGHTS = ("contents", "issues", "pull_requests")


@pytest.mark.rule("M7", "M9", "M10")
def test_a_model_lives_on(tracked: Toy, tmp_path: Path) -> None:
    toy = tracked
    toy.done("experiment", "run", "--candidate", "baseline")
    toy.done("experiment", "run", "--candidate", "linear")
    toy.done("model", "train")
    toy.done("model", "register", "--issue", "3")
    toy.done("model", "promote", "--issue", "3")
    assert toy.roles() == {"1": "champion"}

    # A worse one is refused, with the figure.
    toy.done("model", "train", "--candidate", "baseline")
    toy.done("model", "register")
    refused = toy.run("model", "promote")
    assert refused.code == 1
    assert "success criterion" in refused.error
    assert "+0.0%" in refused.out
    assert toy.roles() == {"1": "champion", "2": "challenger"}

    # One that seems as good takes its place, and is taken back.
    toy.train_and_register()
    toy.done("model", "promote")
    toy.done("model", "rollback", "--why", "complaints")
    assert toy.roles()["1"] == "champion"

    # A month comes in a new version of the dataset, and it is not like the others.
    rows = toy.rows()
    store = str(tmp_path / "store")
    toy.done("data", "push", "visits", DSLP_DATA_STORE=store)
    later = rows.assign(id=rows["id"] + 10_000, amount=rows["amount"] / 2 + 9)
    toy.with_rows(pd.concat([rows, later]))
    toy.edit(toy.dataset / "datasheet.md", "version: 1.2.0", "version: 1.3.0")
    proposal = tmp_path / "reports" / "frequency.json"
    page = tmp_path / "reports" / "frequency.md"
    outcome = toy.run(
        *("model", "monitor", "--data", "visits"),
        *("--report", str(page), "--proposal", str(proposal)),
        DSLP_DATA_STORE=store,
    )
    assert outcome.code == 1
    assert "300 rows (visits)" in outcome.error
    assert "amount" in outcome.error
    assert json.loads(proposal.read_text())["newest"] == "1.3.0"

    # People are asked, once.
    standin = Standin()
    web = serve(standin)
    claims = standin.add_repository("ada/claims")
    params = f"src/{toy.package}/models/frequency/params.yml"
    claims.commit("main", {params: (toy.root / params).read_text()})
    for kind, body in {"Ask": "", "Experiment": "### Ask\n\n#1", "Model": "### Ask\n\n#1"}.items():
        claims.add_issue(kind, body + ("\n\n### Experiment\n\n#2" * (kind == "Model")), [kind])
    variables = {
        "GITHUB_API_URL": standin.url,
        "GITHUB_REPOSITORY": "ada/claims",
        "GITHUB_TOKEN": standin.add_workflow_token(claims, dict.fromkeys(RIGHTS, "write")),
    }
    for _ in range(2):
        toy.done("propose", str(proposal.parent), cwd=None, **variables)
    web.shutdown()
    web.server_close()
    assert standin.violations == []
    issue, pull = claims.issues[4], claims.issues[5]
    assert "### Experiment\n\n#2" in (issue.body or "")
    assert pull.pull
    files = claims.commits[claims.head_sha(pull)].files
    assert "dataset: {name: visits, version: 1.3.0}" in files[params]
    assert len(claims.issues) == 5
    assert toy.roles()["1"] == "champion"  # and nothing was deployed
