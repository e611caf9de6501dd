"""One local cloud for all tests of a process that need one: there can be no second beside it."""

import os
from collections.abc import Iterator
from dataclasses import fields

import pytest

from infra.local.cloud import LocalCloud, Options, running


@pytest.fixture(scope="session")
def started() -> Iterator[LocalCloud]:
    with running(Options(work=False, aws_endpoint=False, log_lines=False)) as cloud:
        _read_settings_again()
        yield cloud


def _read_settings_again() -> None:
    """Settings are read at import; test modules were imported before the cloud had an address."""
    from chalicelib.kernel import settings as module

    now = module.read(os.environ)
    for field in fields(now):
        object.__setattr__(module.settings, field.name, getattr(now, field.name))
