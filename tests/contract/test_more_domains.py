"""Five more domains of ten routes each, in a copy of the project: what they cost, how they work.

A start is counted in calls of functions, which are the same every time, where times are not.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.manifest import renewal
from tests.contract.source import ROOT

DOMAINS, ROUTES = 5, 10
MOST_OF_A_DOMAIN = 0.01  #: of what boto3 and two clients take
API = """from chalicelib.kernel.http.routes import Reply, Routes

routes = Routes()
"""
ROUTE = '''

@routes.get("/{domain}/things{number}/{{thing_id}}", in_openapi=False)
def get_{domain}_thing{number}(thing_id: str) -> Reply:
    """Read a thing."""
    return Reply({{"thing": thing_id, "of": "{domain}"}})
'''
COUNTED = """
import sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
{work}
sys.setprofile(None)
print(calls)
"""
APP = "import app"
BOTO3 = 'import boto3\nboto3.client("dynamodb")\nboto3.client("sqs")'
ASKED = """
import json, sys
import app
before = sorted(name for name in sys.modules if ".dummy" in name)
answers = [app.app(event, None) for event in json.loads(sys.argv[1])]
after = sorted(name for name in sys.modules if ".dummy" in name)
print(json.dumps([before, answers, after]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ships, with the new domains; the last of them cannot be imported."""
    copy = tmp_path_factory.mktemp("more") / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "chalicelib", copy / "chalicelib", ignore=ignored)
    shutil.copy(ROOT / "app.py", copy)
    for domain in (f"dummy{number}" for number in range(DOMAINS)):
        folder = copy / "chalicelib" / domain
        folder.mkdir()
        (folder / "__init__.py").write_text(f'"""{domain}."""\n')
        routes = (ROUTE.format(domain=domain, number=number) for number in range(ROUTES))
        (folder / "api.py").write_text(API + "".join(routes))
    renewal.renew(copy)
    with (folder / "api.py").open("a") as file:
        file.write("\nraise ValueError('not today')\n")
    return copy


def run(project: Path, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=project,
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-central-1"},
        capture_output=True,
        text=True,
        check=True,
    )


def calls(project: Path, work: str) -> int:
    code = COUNTED.format(work=work)
    run(project, code)  # writes the bytecode, which takes calls of its own
    return int(run(project, code).stdout)


def event(domain: str) -> dict[str, Any]:
    """What API Gateway sends for one of the domain's routes, which needs no token."""
    sample: dict[str, Any] = json.loads((ROOT / "events/api_handler/openapi.json").read_text())
    path = f"/{domain}/things7/{{thing_id}}"
    context = {**sample["requestContext"], "resourcePath": path, "path": f"/api/{domain}/things7/x"}
    parameters = {"thing_id": "x"}
    return {**sample, "resource": path, "pathParameters": parameters, "requestContext": context}


def test_a_domain_adds_next_to_nothing_to_a_start(project: Path) -> None:
    ours, with_five, boto3 = calls(ROOT, APP), calls(project, APP), calls(ROOT, BOTO3)

    assert ours < with_five <= ours + DOMAINS * MOST_OF_A_DOMAIN * boto3


def test_a_domain_is_imported_when_it_is_asked_for(project: Path) -> None:
    done = run(project, ASKED, json.dumps([event("dummy1"), event("dummy1")]))
    before, answers, after = json.loads(done.stdout.splitlines()[-1])

    assert before == []
    assert [answer["statusCode"] for answer in answers] == [200, 200]
    assert json.loads(answers[0]["body"])["data"] == {"thing": "x", "of": "dummy1"}
    assert after == ["chalicelib.dummy1", "chalicelib.dummy1.api"]


def test_a_domain_that_cannot_be_imported_fails_alone_and_says_why(project: Path) -> None:
    asked = json.dumps([event("dummy4"), event("dummy4"), event("dummy0")])
    done = run(project, ASKED, asked)
    _, answers, _ = json.loads(done.stdout.splitlines()[-1])

    assert [answer["statusCode"] for answer in answers] == [500, 500, 200]
    assert answers[0]["headers"]["Content-Type"] == "application/problem+json"
    assert "not today" not in answers[0]["body"]
    assert (done.stdout + done.stderr).count("ValueError: not today") == 2
