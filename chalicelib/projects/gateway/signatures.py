"""Requests signed with an access key, by which a credential is proved without any other service.

AWS's signature version 2, which OpenStack's EC2 credentials are checked by:
https://docs.openstack.org/api-ref/identity/v3-ext/#os-ec2-api and
https://docs.aws.amazon.com/AmazonSimpleDB/latest/DeveloperGuide/HMACAuth.html
"""

import base64
import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from chalicelib.projects.gateway.port import Credential

_HOST, _PATH = "backburner", "/"  # of no real request; both sides sign the same words


def signed(credential: Credential, at: datetime) -> dict[str, Any]:
    """A request signed with the credential at this time, as `POST /v3/ec2tokens` wants it."""
    parameters = {
        "AWSAccessKeyId": credential.access,
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    pairs = [f"{quote(name)}={quote(value, safe='-_~')}" for name, value in parameters.items()]
    text = f"GET\n{_HOST}\n{_PATH}\n{'&'.join(sorted(pairs))}"
    mac = hmac.digest(credential.secret.encode(), text.encode(), "sha256")
    return {
        "access": credential.access,
        "host": _HOST,
        "verb": "GET",
        "path": _PATH,
        "params": parameters,
        "signature": base64.b64encode(mac).decode(),
    }
