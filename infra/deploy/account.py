"""The account and region that a stage is deployed to."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)

from infra.policies import Place

_CONFIG = Config(retries={"total_max_attempts": 8, "mode": "adaptive"}, parameter_validation=True)


class DeployError(Exception):
    """The deployment cannot go on; says why and what to do."""


@dataclass
class Account:
    """Clients of one account and region, for one stage."""

    stage: str
    session: Any = field(default_factory=boto3.Session)
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """The client of a service, made once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(
                service, region_name=self.region, config=_CONFIG
            )
        return self._clients[service]

    @cached_property
    def region(self) -> str:
        """As AWS_REGION, AWS_DEFAULT_REGION or the profile says."""
        import os

        found = os.environ.get("AWS_REGION") or self.session.region_name
        if not found:
            raise DeployError("No region: set AWS_DEFAULT_REGION, or one in the profile")
        known = self.session.get_available_regions("sqs")
        if found not in known:
            raise DeployError(f"There is no region {found!r}; known are {', '.join(known)}")
        return str(found)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Who calls: account and ARN. The first call that needs credentials."""
        try:
            answer = self.client("sts").get_caller_identity()
        except (NoCredentialsError, NoRegionError) as error:
            raise DeployError(
                "No credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        except EndpointConnectionError as error:
            raise DeployError(f"AWS does not answer: {error}") from error
        except ClientError as error:
            raise DeployError(f"The credentials are refused: {reason(error)}") from error
        except BotoCoreError as error:
            raise DeployError(f"The credentials cannot be used: {error}") from error
        return {"account": answer["Account"], "arn": answer["Arn"]}

    @property
    def place(self) -> Place:
        partition = self.identity["arn"].split(":")[1]
        return Place(self.stage, self.region, self.identity["account"], partition)

    def name(self, thing: str) -> str:
        """The stage's name for a resource."""
        return f"backburner-{self.stage}-{thing}"

    def page(self, service: str, path: str = "home") -> str:
        """The address of a page of the AWS console."""
        console = f"https://{self.region}.console.aws.amazon.com"
        return f"{console}/{service}/{path}?region={self.region}"


def code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def reason(error: ClientError) -> str:
    """AWS's own words, or its code where it gives none."""
    return str(error.response.get("Error", {}).get("Message") or code(error))
