"""Invitations as their recipients use them, and how they are sent again."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from infra.local import mailbox
from tests.functional.client import Answer, Caller, Client

ACCEPT = "/v1/invitations/accept"
PAGE = "/invitations/accept"
Accept = Callable[[Client, str], Answer]


def by_api(client: Client, token: str) -> Answer:
    return client.send("POST", ACCEPT, json={"token": token})


def by_form(client: Client, token: str) -> Answer:
    return client.send("POST", PAGE, data={"token": token})


def by_looking(client: Client, token: str) -> Answer:
    return client.send("GET", PAGE, params={"token": token})


def newest_token(email: str = "ann@example.com") -> str:
    """As it stands in the link of the last mail to this address."""
    link = next(word for word in mailbox.sent(to=email)[-1].text.split() if word.startswith("http"))
    return parse_qs(urlsplit(link).query)["token"][0]


def user_of(manager: Caller) -> dict[str, str]:
    (user,) = manager.users()
    return user


def resend(manager: Caller) -> Answer:
    return manager.post(f"/admin/v1/users/{user_of(manager)['id']}/resend-invitation")
