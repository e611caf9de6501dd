"""What a stage remembers between deployments, in the account itself and on no one's machine.

SSM parameters under /backburner/<stage>/:

    signing-keys   SecureString: made at the first deployment, read by the functions themselves
    deployed       Chalice's own record, packed: without it, another machine would make a second API
    fingerprint    what was deployed last, so that the same is not deployed again; it also tells
                   whether that release opens secrets of form 2
"""

import base64
import json
import secrets
import zlib
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.account import Account, code


def parameter(account: Account, name: str) -> str | None:
    """A remembered value, or None."""
    try:
        answer = account.client("ssm").get_parameter(Name=_path(account, name), WithDecryption=True)
    except ClientError as error:
        if code(error) == "ParameterNotFound":
            return None
        raise
    return str(answer["Parameter"]["Value"])


def remember(account: Account, name: str, value: str, *, secret: bool = False) -> None:
    account.client("ssm").put_parameter(
        Name=_path(account, name),
        Value=value,
        Type="SecureString" if secret else "String",
        Overwrite=True,
    )


def forget(account: Account, *, keys: bool) -> int:
    """Drops what is remembered of the stage, its signing keys only with `keys`; how many values."""
    dropped = ("deployed", "fingerprint", *(("signing-keys",) if keys else ()))
    names = [_path(account, name) for name in dropped]
    return len(account.client("ssm").delete_parameters(Names=names)["DeletedParameters"])


def make_signing_keys(account: Account) -> bool:
    """Makes the stage's first key; False: there is one. `python -m infra.ops keys rotate` adds."""
    if parameter(account, "signing-keys"):
        return False
    remember(account, "signing-keys", secrets.token_urlsafe(32), secret=True)
    return True


def bring_record(account: Account, file: Path) -> dict[str, Any]:
    """Writes Chalice's record of the stage to where Chalice reads it; answers with it."""
    record = known(account)
    file.parent.mkdir(parents=True, exist_ok=True)
    if record["resources"]:
        file.write_text(json.dumps(record, indent=2), encoding="utf-8")
    else:
        file.unlink(missing_ok=True)
    return record


def known(account: Account) -> dict[str, Any]:
    """Chalice's record of the last deployment; without resources before the first."""
    packed = parameter(account, "deployed")
    if packed is None:
        return {"resources": []}
    record: dict[str, Any] = json.loads(zlib.decompress(base64.b85decode(packed)))
    return record


def keep_record(account: Account, file: Path) -> dict[str, Any]:
    """Remembers the record that Chalice wrote; packed, since a parameter holds 4 KB."""
    text = file.read_text(encoding="utf-8")
    record: dict[str, Any] = json.loads(text)
    small = json.dumps(record, separators=(",", ":")).encode()
    remember(account, "deployed", base64.b85encode(zlib.compress(small, 9)).decode())
    return record


def resource(record: dict[str, Any], name: str, value: str) -> str | None:
    """One value of Chalice's record, such as the id of the API."""
    for each in record["resources"]:
        if each["name"] == name and value in each:
            return str(each[value])
    return None


def _path(account: Account, name: str) -> str:
    return f"/backburner/{account.stage}/{name}"
