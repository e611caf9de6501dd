"""The bucket through which the template goes to CloudFormation.

A call takes a template of 51,200 bytes at most, one in S3 may have 1 MB:
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
The bucket is private. It holds templates only, no data, and S3 deletes each of them after a month.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.account import Account, DeployError, code, reason
from infra.deploy.bucket_settings import SETTINGS, Setting, contains, stage_tag

MOST_BYTES = 1_000_000
_REFUSED = ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation")
_NOT_SET = (
    "NoSuchPublicAccessBlockConfiguration",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchLifecycleConfiguration",
    "NoSuchTagSet",
)
#: The rights whose names are not `s3:` and the name of the call.
_RIGHTS = {
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "ListObjectsV2": "s3:ListBucket",
    "DeleteObjects": "s3:DeleteObject",
}


def bucket_name(account: Account) -> str:
    """The stage's bucket. Names are global, so this one has the account and the region in it."""
    place = account.place
    return f"backburner-{place.stage}-cfn-{place.account}-{place.region}"


def prepare(account: Account) -> list[str]:
    """Makes the bucket and corrects its settings; the changes in words. Safe to repeat.

    Raises DeployError that names the missing right.
    """
    with _explained(account):
        if is_new := not _exists(account):
            _create(account)
        wrong = [setting for setting in SETTINGS if not _is_set(account, setting)]
        for setting in wrong:
            _put(account, setting, setting.value)
        tagged = _tag(account)
    if is_new:
        return [f"{bucket_name(account)} made"]
    return [f"settings of {bucket_name(account)}"] if wrong or tagged else []


def faults(account: Account) -> list[str]:
    """What is wrong with the bucket, in words that go on from its name. Changes nothing.

    Raises ClientError when the caller may not look.
    """
    if not _exists(account):
        return ["does not exist"]
    expected = [*SETTINGS, stage_tag(account.stage)]
    return [setting.fault for setting in expected if not _is_set(account, setting)]


def upload(account: Account, body: str) -> str:
    """Puts a template into the bucket and returns its URL; the same template keeps its key.

    Raises DeployError for a template that is too large, and when a right is missing.
    """
    client, data = account.client("s3"), body.encode()
    if len(data) > MOST_BYTES:
        raise DeployError(
            f"The template has {len(data):,} bytes, CloudFormation takes {MOST_BYTES:,}"
        )
    key = f"{sha256(data).hexdigest()}.json"
    with _explained(account):
        client.put_object(**_bucket(account), Key=key, Body=data, ContentType="application/json")
    return f"{client.meta.endpoint_url}/{bucket_name(account)}/{key}"


def remove(account: Account) -> bool:
    """Deletes the bucket and the templates in it; False when there is none. Safe to repeat."""
    client, bucket = account.client("s3"), _bucket(account)
    with _explained(account):
        if not _exists(account):
            return False
        for page in client.get_paginator("list_objects_v2").paginate(**bucket):
            if keys := [{"Key": template["Key"]} for template in page.get("Contents", [])]:
                client.delete_objects(**bucket, Delete={"Objects": keys, "Quiet": True})
        client.delete_bucket(**bucket)
    return True


def _bucket(account: Account) -> dict[str, str]:
    """Arguments of a call. S3 refuses it when the bucket of that name is another account's."""
    return {"Bucket": bucket_name(account), "ExpectedBucketOwner": account.place.account}


def _exists(account: Account) -> bool:
    try:
        _read(account, SETTINGS[0])
    except ClientError as error:
        if code(error) == "NoSuchBucket":
            return False
        raise
    return True


def _create(account: Account) -> None:
    region = account.place.region
    # S3 refuses the name of its first region as a constraint: that is the default.
    where = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    account.client("s3").create_bucket(
        Bucket=bucket_name(account), **({} if region == "us-east-1" else where)
    )


def _is_set(account: Account, setting: Setting) -> bool:
    return contains(_read(account, setting), setting.answer)


def _read(account: Account, setting: Setting) -> dict[str, Any]:
    """S3's answer to the question for a setting; empty when it is not set."""
    get = getattr(account.client("s3"), f"get_{setting.call}")
    try:
        answer: dict[str, Any] = get(**_bucket(account))
    except ClientError as error:
        if code(error) in _NOT_SET:
            return {}
        raise
    return answer


def _put(account: Account, setting: Setting, value: Any) -> None:
    put = getattr(account.client("s3"), f"put_{setting.call}")
    put(**_bucket(account), **{setting.argument: value})


def _tag(account: Account) -> bool:
    """Adds the stage's tag to those that an organisation may have set; whether it was missing."""
    tag = stage_tag(account.stage)
    found = _read(account, tag)
    if contains(found, tag.answer):
        return False
    own = tag.value["TagSet"]
    keys = {each["Key"] for each in own}
    others = [each for each in found.get("TagSet", []) if each["Key"] not in keys]
    _put(account, tag, {"TagSet": [*others, *own]})
    return True


@contextmanager
def _explained(account: Account) -> Iterator[None]:
    """Turns S3's refusal into a DeployError that names the right."""
    try:
        yield
    except ClientError as error:
        call = error.operation_name
        right = _RIGHTS.get(call, f"s3:{call}")
        why = (
            f"whoever deploys needs the right {right}, and the name must not be another account's"
            if code(error) in _REFUSED
            else f"the deployment needs a working {right}"
        )
        raise DeployError(
            f"The template goes through the bucket {bucket_name(account)}: {why}. "
            f"S3 answers {call} with {code(error)}: {reason(error)}"
        ) from error
