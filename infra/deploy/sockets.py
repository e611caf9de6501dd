"""Where sockets are sent to: Chalice makes their API, and nobody knows its address before.

So the first deployment tells the functions afterwards; every later one has it in their settings.
"""

import re
from typing import Any

from infra import policies
from infra.deploy import record
from infra.deploy.account import Account
from infra.deploy.functions import tell

SETTING = "SOCKET_ENDPOINT"


def endpoint(known: dict[str, Any]) -> str:
    """The address by Chalice's record; empty while there is no API for sockets."""
    address = record.resource(known, "websocket_api", "websocket_api_url") or ""
    return re.sub(r"\Awss:", "https:", address).rstrip("/")


def complete(account: Account, known: dict[str, Any], settings: dict[str, str]) -> list[str]:
    """Tells the functions, unless the stage's settings name an address; what was changed."""
    address = endpoint(known)
    if not address or SETTING in settings:
        return []
    told = [each for each in policies.functions() if tell(account, each, {SETTING: address})]
    return [f"{len(told)} functions: {SETTING}"] if told else []
