"""Tenants that are suspended and active again, and the time in between."""

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller

A_DAY = 86_400


def suspend(cloud: LocalCloud, platform: Caller, tenant: str = "t1") -> None:
    answer = platform.patch(f"/admin/v1/tenants/{tenant}", {"status": "suspended"})
    assert answer.status_code == 200
    cloud.advance(61)  # every instance knows


def reactivate(cloud: LocalCloud, platform: Caller, tenant: str = "t1") -> None:
    answer = platform.patch(f"/admin/v1/tenants/{tenant}", {"status": "active"})
    assert answer.status_code == 200
    for _ in range(4):
        cloud.advance(60)
        cloud.run_until_idle()


def wait(cloud: LocalCloud, days: int) -> None:
    for _ in range(days * 4):
        cloud.advance(A_DAY // 4)
        cloud.run_until_idle()
