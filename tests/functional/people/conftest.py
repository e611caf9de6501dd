"""An invitation that is out."""

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller
from tests.functional.people.invitations import newest_token


@pytest.fixture
def token(cloud: LocalCloud, manager: Caller) -> str:
    """Of Ann's invitation, out by mail."""
    assert manager.create_user().status_code == 201
    cloud.run_until_idle()
    return newest_token()
