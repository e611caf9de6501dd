"""Takes a stage down: functions, API, stack, and what it remembers. Asks first.

    python -m infra.destroy --stage dev [--yes dev]

In prod what cannot be made again stays: the tables, the KMS key that the secrets in them are under,
and the signing keys, without which no link that was sent would work. The next deployment takes them
over. The bucket of templates goes there too: it holds no data, and a deployment makes it anew.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from infra import policies
from infra.deploy import functions, project, record, stack, template_bucket
from infra.deploy.account import Account, DeployError
from infra.deploy.command import guarded
from infra.deploy.template import KEEPS_DATA


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.destroy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", required=True)
    parser.add_argument("--yes", metavar="STAGE", help="the stage's name again, instead of asking")
    given = parser.parse_args(arguments)
    return guarded(lambda: destroy(Account(given.stage), given.yes))


def destroy(account: Account, confirmed: str | None) -> int:
    """Takes the stage down when its name was said twice; 1 when it was not."""
    place = account.place
    print(f"This takes down stage {place.stage} in account {place.account}, {place.region}.")
    keeps = account.stage == KEEPS_DATA
    if keeps:
        print("Tables, the key of their secrets and the signing keys stay.")
    if (confirmed or _asked(account.stage)) != account.stage:
        print("Nothing was done.")
        return 1
    there = stack.describe(account) is not None
    if keeps and there and not stack.retains_data(account):
        raise DeployError(
            "this stack was made of a template that would take the data along: deploy first"
        )
    _delete_functions(account)
    print("  functions  deleted", flush=True)
    if there:
        stack.delete(account)
    print(f"  template   {'deleted, data kept' if keeps else 'deleted'}", flush=True)
    removed = template_bucket.remove(account)
    print(f"  bucket     {'deleted' if removed else 'was not there'}", flush=True)
    print(f"  memory     {record.forget(account, keys=not keeps)} values deleted")
    return 0


def _refuse_unrecorded(account: Account) -> None:
    """Chalice knows what it has made by its record alone, and writes that at the end."""
    left = [each for each in policies.functions() if functions.configuration(account, each)]
    if left:
        names = ", ".join(policies.lambda_name(each, account.stage) for each in left)
        raise DeployError(
            "a deployment that broke off has left functions and no record of them. Deploy once "
            f"more to its end, or delete them and their roles by hand, then try again: {names}"
        )


def _asked(stage: str) -> str:
    try:
        return input(f"Type {stage} to go on: ").strip()
    except EOFError:
        return ""


def _delete_functions(account: Account) -> None:
    """By Chalice's own record, which the account keeps."""
    folder = project.prepare(account.stage)
    file = folder / ".chalice" / "deployed" / f"{account.stage}.json"
    if not record.bring_record(account, file)["resources"]:
        _refuse_unrecorded(account)
        return
    chalice = Path(sys.executable).with_name("chalice")
    done = subprocess.run(  # noqa: S603  our own words
        [str(chalice), "--project-dir", str(folder), "delete", "--stage", account.stage],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "AWS_DEFAULT_REGION": account.region, "PYTHONPATH": ""},
    )
    if done.returncode:
        raise DeployError(f"chalice delete failed: {(done.stdout + done.stderr)[-800:]}")


if __name__ == "__main__":
    sys.exit(main())
