"""Requests signed with an access key, which prove a credential without another service.

OpenStack checks EC2 credentials by AWS's signature version 2:
https://docs.openstack.org/api-ref/identity/v3-ext/#os-ec2-api and
https://docs.aws.amazon.com/AmazonSimpleDB/latest/DeveloperGuide/HMACAuth.html
"""

import base64
import hmac
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from chalicelib.projects.gateway.port import Credential

_HOST, _PATH = "backburner", "/"  # of an imaginary request, since only the signature is checked


def signed(credential: Credential, at: datetime) -> dict[str, Any]:
    """A request signed with the credential at this time, in the form of `POST /v3/ec2tokens`."""
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
