"""Behind API Gateway's stage prefix: links lead back through it, browsers may call."""

import re

from .conftest import ORIGIN, Deployment
from .ministack import sent_mails, wait_for


def test_the_next_page_is_where_the_link_says(deployed: Deployment, tenant: str) -> None:
    token = deployed.issuer.token()
    for number in range(3):
        body = {"name": f"P {number}", "email": f"page{number}@example.com", "role": "staff"}
        given = {**body, "send_email": False}
        assert deployed.call("POST", "/admin/v1/users", given, token=token).status == 201

    first = deployed.call("GET", "/admin/v1/users?per_page=2", token=token)
    link = re.match(r'<(.+)>; rel="next"', first.headers["Link"])

    assert link is not None
    assert link[1].startswith(f"{deployed.api_url}/admin/v1/users?")
    second = deployed.call("GET", link[1], token=token)
    seen = {user["id"] for page in (first, second) for user in page.json()["data"]}
    assert len(seen) == len(first.json()["data"]) + len(second.json()["data"])


def test_an_invitation_s_link_opens_its_page_behind_the_prefix(
    deployed: Deployment, tenant: str
) -> None:
    body = {"name": "Linus", "email": "linus@example.com", "role": "staff"}
    assert (
        deployed.call("POST", "/admin/v1/users", body, token=deployed.issuer.token()).status == 201
    )

    def text() -> str | None:
        mails = sent_mails(deployed.ministack)
        return next((mail.text for mail in mails if "linus@example.com" in mail.to), None)

    link = re.search(r"http\S+", wait_for("mail to Linus", text, 30))
    assert link is not None
    page = deployed.call("GET", link[0])

    assert page.status == 200
    assert b"Linus" in page.data


def test_a_browser_of_an_allowed_origin_may_call(deployed: Deployment, tenant: str) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    preflight = deployed.call("OPTIONS", "/admin/v1/users", headers=asked)
    answer = deployed.call(
        "GET", "/admin/v1/users", token=deployed.issuer.token(), headers={"Origin": ORIGIN}
    )
    elsewhere = deployed.call(
        "OPTIONS", "/admin/v1/users", headers={**asked, "Origin": "https://x"}
    )

    assert preflight.status in (200, 204)
    assert preflight.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in elsewhere.headers


def test_the_description_names_the_address_behind_the_prefix(deployed: Deployment) -> None:
    described = deployed.call("GET", "/openapi.json").json()

    assert described["servers"] == [{"url": deployed.api_url}]
    assert deployed.call("GET", "/docs").status == 200
