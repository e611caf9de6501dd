"""`make run`, as a newcomer uses it."""

import json
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from websockets.sync.client import connect

from tests.local_cloud.conftest import Run
from tests.local_cloud.programs import PATIENCE, Cloud, cloud_of

pytestmark = pytest.mark.local


@pytest.mark.skipif(
    not shutil.which("curl"), reason="the greeting pastes a curl command: install curl"
)
def test_the_first_command_works_when_pasted_and_mail_and_sms_arrive(shared_cloud: Cloud) -> None:
    cloud, before = shared_cloud, len(shared_cloud.outbox())
    pasted = subprocess.run(  # the command is our own greeting's
        ["bash", "-c", cloud.curl], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert "201 Created" in pasted.stdout
    assert '"email_invitation_queued":true' in pasted.stdout
    cloud.until_idle()
    arrived = cloud.control("GET", f"/outbox?after={before}")
    assert {message["channel"] for message in arrived} == {"email", "sms"}
    assert re.search(r"\d\d:\d\d:\d\d  201 POST +/admin/v1/users  [\d.]+ ms  2 AWS calls\n",
                     cloud.program.output)  # fmt: skip
    for channel in ("email", "sms"):
        cloud.program.until_printed(
            rf"\d\d:\d\d:\d\d  job people\.invitation \({channel}\)  done  attempt 1  [\d.]+ ms\n"
        )


def test_two_run_side_by_side_without_sharing_anything(
    own_cloud: Cloud, shared_cloud: Cloud
) -> None:
    clouds = (shared_cloud, own_cloud)
    assert len({address for cloud in clouds for address in (cloud.url, cloud.endpoint_url)}) == 4
    before = [len(cloud.outbox()) for cloud in clouds]
    for cloud, email in zip(clouds, ("one@example.com", "other@example.com"), strict=True):
        for address in (email, "both@example.com"):
            assert cloud.create_user(address).status_code == 201
        cloud.until_idle()
    sent = [{m["to"] for m in c.outbox()[n:]} for c, n in zip(clouds, before, strict=True)]
    assert sent == [
        {"one@example.com", "both@example.com"},
        {"other@example.com", "both@example.com"},
    ]


def test_a_project_comes_to_its_ends_and_its_progress_is_pushed(shared_cloud: Cloud) -> None:
    body = {"name": "Alder", "provider": "simulated", "region": "local-1"}
    created = shared_cloud.send("POST", "/admin/v1/projects", body)
    assert created.status_code == 201
    project = created.json()["data"]["id"]
    shared_cloud.until_idle()
    status = shared_cloud.send("GET", f"/admin/v1/projects/{project}/status").json()["data"]
    assert (status["status"], status["progress"]["percent"]) == ("active", 100)
    assert shared_cloud.control("GET", "/state")["executions"]["running"] == 0

    ticket = shared_cloud.send("POST", "/admin/v1/socket-tickets").json()["data"]
    with connect(ticket["url"]) as line:
        line.send(json.dumps({"subscribe": f"project#{project}"}))
        assert json.loads(line.recv(PATIENCE)) == {"subscribed": f"project#{project}"}
        assert shared_cloud.send("DELETE", f"/admin/v1/projects/{project}").status_code == 202
        while json.loads(line.recv(PATIENCE))["data"]["status"] != "deleted":
            pass  # on its way; the last push says so, or `recv` loses patience


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)]
)
def test_a_signal_ends_it_at_once_and_cleanly_and_another_one_continues(
    start: Run, shared_cloud: Cloud, number: int
) -> None:
    cloud = cloud_of(start("infra.local", "--port", "0"))
    with socket.create_connection(_address(cloud.url)):  # an idle browser's, say
        before = time.monotonic()
        assert cloud.program.end(number) == 0
    assert time.monotonic() - before < 3
    assert cloud.program.output.endswith("\nstopping\n")
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(_address(cloud.url))
    assert shared_cloud.create_user(f"after-{number}@example.com").status_code == 201


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def test_an_operator_without_the_stage_s_keys_lists_more_tenants_than_one_page_holds(
    start: Run, shared_cloud: Cloud
) -> None:
    ids = [f"many-{number:03}" for number in range(101)]
    admin = shared_cloud.control("POST", "/token", {"role": "admin"})["token"]
    for tenant_id in ids:
        new = {"id": tenant_id, "name": tenant_id}
        created = shared_cloud.send(
            "POST", "/admin/v1/tenants", new, Authorization=f"Bearer {admin}"
        )
        assert created.status_code == 201

    listing = start(
        *("infra.ops", "tenant", "list"),
        STAGE="local",
        AWS_ENDPOINT_URL=shared_cloud.endpoint_url,
        AWS_DEFAULT_REGION="eu-central-1",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",
    )

    assert listing.wait() == 0, listing.output
    assert set(ids) <= {json.loads(line)["id"] for line in listing.output.splitlines()}


def test_a_taken_port_is_one_clear_sentence(start: Run, shared_cloud: Cloud) -> None:
    port = _address(shared_cloud.url)[1]
    program = start("infra.local", "--port", str(port))
    assert program.wait() == 1
    assert program.output == (
        f"Port {port} is taken. Choose another, such as make run PORT={port + 1}, "
        "or 0 for any free one.\n"
    )


def test_the_shells_variables_of_aws_and_of_other_stages_have_no_effect(
    start: Run,
) -> None:
    cloud = cloud_of(
        start(
            "infra.local",
            "--port=0",
            AWS_PROFILE="mine",
            AWS_ENDPOINT_URL="http://127.0.0.1:9",
            AWS_DEFAULT_REGION="us-west-2",
            STAGE="prod",
            ISSUER="https://elsewhere.example",
            SENDER_EMAIL="shop@example.com",
        )
    )
    assert cloud.create_user("ann@example.com").status_code == 201
    cloud.until_idle()
    assert "<shop@example.com>" in cloud.outbox()[0]["sender"]
