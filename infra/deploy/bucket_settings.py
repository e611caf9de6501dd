"""How the bucket of templates is set up, for the deployment to set and the doctor to compare."""

from dataclasses import dataclass
from typing import Any

LIFETIME_DAYS = 30


@dataclass(frozen=True)
class Setting:
    """One setting of a bucket, in the words of S3's calls."""

    call: str  #: get_<call> reads it, put_<call> sets it
    argument: str  #: what `put` takes it as
    value: Any
    fault: str  #: what a bucket without it does wrong
    is_answered_bare: bool = False  #: `get` answers with the members of the value themselves

    @property
    def answer(self) -> Any:
        """What `get` answers with, at least."""
        return self.value if self.is_answered_bare else {self.argument: self.value}


SETTINGS = (
    Setting(
        call="public_access_block",
        argument="PublicAccessBlockConfiguration",
        value={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
        fault="does not block public access",
    ),
    Setting(
        call="bucket_ownership_controls",
        argument="OwnershipControls",
        value={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        fault="lets others own what they put into it",
    ),
    Setting(
        call="bucket_encryption",
        argument="ServerSideEncryptionConfiguration",
        value={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
        fault="does not encrypt",
    ),
    Setting(
        call="bucket_lifecycle_configuration",
        argument="LifecycleConfiguration",
        value={
            "Rules": [
                {
                    "ID": "delete old templates",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "Expiration": {"Days": LIFETIME_DAYS},
                }
            ]
        },
        fault="keeps old templates for ever",
        is_answered_bare=True,
    ),
)


def stage_tag(stage: str) -> Setting:
    """The tag that says whose bucket it is."""
    return Setting(
        call="bucket_tagging",
        argument="Tagging",
        value={"TagSet": [{"Key": "backburner:stage", "Value": stage}]},
        fault="has no tag that names its stage",
        is_answered_bare=True,
    )


def contains(found: Any, wanted: Any) -> bool:
    """Whether everything wanted was found, at any depth; S3 adds members of its own."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            contains(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and all(
            any(contains(there, each) for there in found) for each in wanted
        )
    return bool(found == wanted)
