"""How many users the workflow takes at once: as shipped, or so few that a handful fills pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Sizes:
    attached: int  #: people of one transaction
    batch: int  #: users of one invocation
    saved: int  #: results of one transaction
    batches: int  #: of one page

    @contextmanager
    def held(self) -> Iterator["Sizes"]:
        """The workflow keeps to these sizes."""
        from chalicelib.projects.workflow import participants, user_batches, user_sync

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(participants, "_PAGE", self.attached)
            patch.setattr(user_batches, "BATCH", self.batch)
            patch.setattr(user_sync, "_SAVED_AT_ONCE", self.saved)
            patch.setattr(user_batches, "MOST_BATCHES", self.batches)
            yield self


AS_SHIPPED = Sizes(attached=90, batch=50, saved=25, batches=20)
SMALL = Sizes(attached=3, batch=4, saved=2, batches=3)

#: For tests of what lies between batches and pages, which is there at any size.
in_sizes = pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(SMALL, id="small"),
        pytest.param(AS_SHIPPED, id="as shipped", marks=pytest.mark.thorough),
    ],
    indirect=True,
)
