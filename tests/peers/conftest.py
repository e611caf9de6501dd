"""What the peers' tests share: the peers are installed before the first of them."""

import pytest

from tests.peers.install import install


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    install()
