"""The signing keys: a secret of SSM, which the functions read themselves."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from infra.deploy.account import Account, code
from infra.doctor.findings import Finding, broken, check
from infra.doctor.resources import DEPLOY


@check
def the_signing_keys_are_kept_as_a_secret(account: Account) -> Iterator[Finding]:
    name, page = f"/backburner/{account.stage}/signing-keys", account.page("systems-manager")
    try:
        found = account.client("ssm").get_parameter(Name=name)["Parameter"]  # not decrypted
    except ClientError as error:
        if code(error) != "ParameterNotFound":
            raise
        yield broken(f"there is no parameter {name}: links cannot be made", DEPLOY, page)
        return
    if found["Type"] != "SecureString":
        cure = "store it again as a SecureString"
        yield broken(f"parameter {name} is a {found['Type']}, which anybody may read", cure, page)
