"""Projects and participants put into the table past the API, where a test needs many or no run."""

from itertools import count

_numbers = count()


def project(tenant_id: str, status: str) -> str:
    """A project in this status, with nothing at its provider; its id."""
    from chalicelib.kernel import clock
    from chalicelib.projects import guards, models, rules
    from chalicelib.projects.workflow import runs

    name = f"grown {next(_numbers)}"
    row = models.project(tenant_id, clock.new_id(), name=name, name_key=name, run=0)
    row.identifier, row.provider, row.region = row.id, "simulated", "local-1"
    row.created_at, row.created_by = clock.iso(clock.now()), "test"
    runs.enter(row, "provision", rules.estimate([]))
    row.status, row.watch_at, row.watch_shard = status, None, None
    guards.of_name(tenant_id, name, row.id).save()
    row.save()
    return row.id


def participate(tenant_id: str, project_id: str, person_id: str) -> None:
    """Somebody takes part, and waits."""
    from chalicelib.projects import models, rules

    who = rules.Candidate(person_id, "Ann", f"{person_id}@example.com", "member")
    models.participant(tenant_id, project_id, who).save()
