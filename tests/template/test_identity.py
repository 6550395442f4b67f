"""The step with which a job shows a cloud who it is; the endpoints of GitHub and AWS are local."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import yaml

from tests.template_copy import ROOT

RUN = ROOT / "template" / ".github" / "workflows" / "dslp-run.yml"
ROLE = "arn:aws:iam::123456789012:role/claims"
ASSUMED = """\
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{}</AccessKeyId>
<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"""


class Endpoint(BaseHTTPRequestHandler):
    """GitHub answers the job's own token with one for an audience; AWS answers that with a key."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        known = self.headers["Authorization"] == "Bearer job" and query["api-version"] == ["2.0"]
        token = {"value": f"for {query['audience'][0]}"} if known else {}
        self.answer("application/json", json.dumps(token))

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        query = parse_qs(self.rfile.read(length).decode())
        right = (query["RoleArn"], query["WebIdentityToken"]) == ([ROLE], ["for sts.amazonaws.com"])
        self.answer("text/xml", ASSUMED.format("KEYOFTHEROLE" if right else "WRONG-REQUEST"))

    def answer(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def show_identity(folder: Path, endpoint: str, token: str) -> int:
    """Run the step as GitHub does, for both clouds; it is stopped before it renews the files."""
    _, _, step, _, _ = yaml.safe_load(RUN.read_text(encoding="utf-8"))["jobs"]["run"]["steps"]
    script = step["run"].replace("sleep 200", "sleep 1") + "\nkill $!\n"
    variables = {"RUNNER_TEMP": str(folder), "AZURE": "id", "AWS": ROLE, "PATH": "/usr/bin:/bin"}
    variables["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{endpoint}/token?api-version=2.0"
    variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = token
    return subprocess.run(["bash", "-e", "-c", script], env=variables).returncode


def test_a_job_shows_who_it_is_in_files_that_the_clouds_libraries_read(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert show_identity(tmp_path, endpoint, "of another job") != 0
    assert show_identity(tmp_path, endpoint, "job") == 0
    azure, aws = tmp_path / "AzureADTokenExchange", tmp_path / "sts.amazonaws.com"
    assert azure.read_text(encoding="utf-8") == "for api://AzureADTokenExchange"
    assert aws.stat().st_mode & 0o077 == 0
    variables = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": str(aws)}
    variables |= {"AWS_ENDPOINT_URL_STS": endpoint, "AWS_ACCESS_KEY_ID": ""}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    credentials = boto3.Session().get_credentials()
    assert credentials is not None
    assert credentials.get_frozen_credentials().access_key == "KEYOFTHEROLE"
