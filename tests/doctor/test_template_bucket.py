"""The bucket that the template goes through: private, kept so, and gone with the stage."""

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from infra.deploy import template_bucket
from infra.deploy.account import Account, DeployError
from infra.deploy.template_bucket import bucket_name
from tests.doctor.conftest import STAGE


def denied(**_: Any) -> Any:
    """S3's answer to who may not."""
    error = {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}
    return AWSResponse("https://s3", 403, {}, None), {**error, "ResponseMetadata": {}}


def test_it_is_made_once_and_its_settings_are_kept(account: Account) -> None:
    assert template_bucket.prepare(account) == [f"{bucket_name(account)} made"]
    assert template_bucket.prepare(account) == []
    account.client("s3").delete_public_access_block(Bucket=bucket_name(account))

    assert template_bucket.prepare(account) == [f"settings of {bucket_name(account)}"]
    assert template_bucket.faults(account) == []


def test_its_name_fits_the_longest_stage_and_region(account: Account) -> None:
    longest = (
        bucket_name(account).replace(STAGE, "a" * 20).replace("eu-central-1", "ap-southeast-1")
    )
    assert len(longest) <= 63


def test_tags_of_others_stay(account: Account) -> None:
    template_bucket.prepare(account)
    s3, mine = account.client("s3"), {"Key": "cost-centre", "Value": "7"}
    s3.put_bucket_tagging(Bucket=bucket_name(account), Tagging={"TagSet": [mine]})

    template_bucket.prepare(account)

    tags = s3.get_bucket_tagging(Bucket=bucket_name(account))["TagSet"]
    assert tags == [mine, {"Key": "backburner:stage", "Value": STAGE}]


def test_the_same_template_is_stored_once_and_what_is_too_large_is_refused(
    account: Account,
) -> None:
    template_bucket.prepare(account)
    first = template_bucket.upload(account, "{}")

    assert template_bucket.upload(account, "{}") == first
    assert template_bucket.upload(account, "[]") != first
    assert first.startswith(f"https://s3.eu-central-1.amazonaws.com/{bucket_name(account)}/")
    with pytest.raises(DeployError, match="1,000,001 bytes, CloudFormation takes 1,000,000"):
        template_bucket.upload(account, "x" * 1_000_001)


@pytest.mark.parametrize(
    ("call", "right"),
    [
        ("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("CreateBucket", "s3:CreateBucket"),
        ("PutBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        ("PutBucketTagging", "s3:PutBucketTagging"),
    ],
)
def test_a_missing_right_is_named(account: Account, call: str, right: str) -> None:
    account.client("s3").meta.events.register(f"before-call.s3.{call}", denied)

    with pytest.raises(DeployError, match=f"{right}.* S3 answers {call} with AccessDenied"):
        template_bucket.prepare(account)


def test_a_missing_right_to_store_is_named(account: Account) -> None:
    template_bucket.prepare(account)
    account.client("s3").meta.events.register("before-call.s3.PutObject", denied)

    with pytest.raises(
        DeployError, match=f"{bucket_name(account)}: whoever deploys needs .*s3:PutObject"
    ):
        template_bucket.upload(account, "{}")


def test_it_goes_with_all_its_templates_and_only_once(account: Account) -> None:
    template_bucket.prepare(account)
    template_bucket.upload(account, "{}")

    assert template_bucket.remove(account) is True
    assert template_bucket.remove(account) is False
    assert template_bucket.faults(account) == ["does not exist"]
