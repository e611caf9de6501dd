"""AWS accounts of the emulator. Each is empty at first."""

from functools import cache

import boto3
import botocore.session

from infra.local import emulator


def enter(number: str) -> boto3.Session:
    """A session whose clients work in the account of this number, once the emulator runs."""
    sts = _session(aws_access_key_id="x", aws_secret_access_key="x").client("sts")
    role = f"arn:aws:iam::{number}:role/test"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return _session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def _session(**credentials: str) -> boto3.Session:
    core = botocore.session.Session()
    # All sessions share one loader, so the description of a service is read once.
    core.register_component("data_loader", _first().get_component("data_loader"))
    return boto3.Session(region_name=emulator.REGION, botocore_session=core, **credentials)


@cache
def _first() -> botocore.session.Session:
    return botocore.session.Session()
