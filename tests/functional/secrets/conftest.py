"""The parameter of the signing keys, as it was at the start of the local cloud after each test."""

from collections.abc import Iterator

import pytest

from chalicelib.kernel import keyring
from infra.local.cloud import LocalCloud, make_signing_key
from tests.functional import aws


@pytest.fixture
def parameter(cloud: LocalCloud) -> Iterator[str]:
    """Its name."""
    yield "/backburner/local/signing-keys"
    make_signing_key(aws.client("ssm"))
    keyring.use()
