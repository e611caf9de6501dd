"""Creating, reading and changing projects. The runs of their workflow begin in `runs.py`."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
)
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.people import directory
from chalicelib.projects import durations, guards, models, rules
from chalicelib.projects.models import Project
from chalicelib.projects.regions import service as known_regions
from chalicelib.projects.rules import SIMULATED, Estimate
from chalicelib.projects.settings import settings
from chalicelib.projects.workflow import runs

_INVALID = "Some values cannot be used; see errors"


class NewProject(msgspec.Struct, frozen=True):
    """The values of a new project; None stands for the default of the tenant or deployment."""

    name: str
    description: str
    provider: str | None
    region: str | None
    user_ids: tuple[str, ...]


class NoSuchUser(Invalid):
    """The request is well-formed, but some of its values are not valid"""

    def __init__(self, person_id: str) -> None:
        field_errors = (_not_a_user(person_id),)
        super().__init__("Some users cannot take part; see errors", field_errors=field_errors)


class ProjectTransaction(Transaction):
    """A transaction that requires users: it fails with an error for each who cannot take part."""

    def require_users(self, person_ids: tuple[str, ...]) -> None:
        for person_id in person_ids:
            directory.require(self, self.tenant_id, person_id, NoSuchUser(person_id))

    def commit(self) -> None:
        try:
            super().commit()
        except NoSuchUser as refused:
            unknown = [error for error in self.failed if isinstance(error, NoSuchUser)]
            field_errors = tuple(each for error in unknown for each in error.field_errors)
            raise Invalid(refused.detail, field_errors=field_errors) from refused


def unique(user_ids: list[str]) -> tuple[str, ...]:
    """The ids without duplicates."""
    return tuple(dict.fromkeys(user_ids))


def extra_errors(values: Mapping[str, Any]) -> list[FieldError]:
    """Errors in the well-formed values of a new project that can be found without a read."""
    errors = _id_errors(unique(values.get("user_ids", [])))
    if values.get("provider") == SIMULATED and values.get("region"):
        errors += _place_errors(SIMULATED, values["region"])
    return errors


def _id_errors(ids: Iterable[str]) -> list[FieldError]:
    """Errors for texts that are no ids. Whether the others are users shows in the commit."""
    return [_not_a_user(person_id) for person_id in ids if not clock.is_id(person_id)]


def _not_a_user(person_id: str) -> FieldError:
    return FieldError("user_ids", f"{person_id} is not an invited or active user")


def create(tx: ProjectTransaction, by: Caller, new: NewProject, *, base_url: str) -> Project:
    """Adds a project to `tx`, with the guard of its name, its users and the start of its workflow.

    Raises Invalid for an unknown provider or region. The commit raises Invalid for users who cannot
    take part, Conflict when the name is taken in this tenant.
    """
    provider, region = _place(by.tenant_id, new)
    _require_known(provider, region, new.user_ids)
    project_id = clock.new_id()
    project = models.project(
        by.tenant_id,
        project_id,
        name=new.name,
        name_key=rules.name_key(new.name),
        identifier=rules.identifier(new.name, project_id),
        description=new.description,
        provider=provider,
        region=region,
        status="pending",
        created_at=clock.iso(clock.now()),
        created_by=by.subject,
        creator_email=by.email,
        base_url=base_url,
        run=0,
        requests=int(bool(new.user_ids)),
        users_total=len(new.user_ids),
    )
    runs.enter(project, "provision", durations.find(provider))
    tx.create(project)
    tx.create(guards.of_name(by.tenant_id, project.name_key, project_id), _name_taken(new.name))
    tx.create(guards.of_identifier(by.tenant_id, project.identifier, project_id))
    if new.user_ids:
        tx.require_users(new.user_ids)
        tx.create(models.request(by.tenant_id, project_id, new.user_ids, 0))
    runs.enqueue_start(tx, project)
    return project


def estimate(project: Project) -> Estimate:
    """How long a run at the project's provider takes."""
    return durations.find(project.provider)


def _name_taken(name: str) -> Conflict:
    return Conflict(f"A project with the name {name} already exists; choose another name")


def _place(tenant_id: str, new: NewProject) -> tuple[str, str]:
    """Provider and region: those of the request, else of the tenant, else of the deployment.

    Empty where none of them names one.
    """
    tenant = tenancy.find(tenant_id)
    simulated = settings.listed("simulated_regions")[:1]
    defaults = [
        (tenant.defaults["provider"], tenant.defaults["region"]) if tenant else ("", ""),
        (settings.default_provider, settings.default_region),
        *((SIMULATED, region) for region in simulated),
    ]
    provider = new.provider or next((name for name, _ in defaults if name), "")
    regions = (region for name, region in defaults if name == provider and region)
    region = new.region or next(regions, "")
    return provider, region


def _require_known(provider: str, region: str, ids: tuple[str, ...]) -> None:
    """Raises Invalid for an unknown provider or region; then it names texts that are no ids too.

    Wrong ids alone are left to the commit, which finds all of them.
    """
    if errors := _place_errors(provider, region):
        raise Invalid(_INVALID, field_errors=(*errors, *_id_errors(ids)))


def _place_errors(provider: str, region: str) -> list[FieldError]:
    if provider not in rules.PROVIDERS:
        known = ", ".join(rules.PROVIDERS)
        detail = f"must be one of {known}" if provider else f"is required: one of {known}"
        return [FieldError("provider", detail)]
    if not region or not known_regions.is_known(provider, region):
        detail = f"is no region of {provider}" if region else f"is required: a region of {provider}"
        return [FieldError("region", detail)]
    return []


def get(tenant_id: str, project_id: str) -> Project:
    """The project; raises NotFound, even if another tenant has a project of this id."""
    project = models.get_project(tenant_id, project_id)
    if project is None:
        raise NotFound("No project has this id")
    return project


def change(tx: Transaction, project_id: str, values: dict[str, str], if_match: IfMatch) -> Project:
    """Adds a new name or description to `tx` and returns the project as it will be.

    Raises NotFound. The commit raises PreconditionFailed when the project is in none of the
    versions of `if_match`, Conflict when the name is taken or another change came between.
    """
    project = get(tx.tenant_id, project_id)
    new = dict(values)
    if "name" in values:
        new["name_key"] = rules.name_key(values["name"])
        _move_name(tx, project, new["name_key"], values["name"])
    preconditions.apply(tx, project, new, if_match, "project")
    return project


def _move_name(tx: Transaction, project: Project, key: str, name: str) -> None:
    if key == project.name_key or project.status == "deleted":
        return
    tenant_id = str(project.tenant)
    tx.create(guards.of_name(tenant_id, key, project.id), _name_taken(name))
    tx.delete(guards.of_name(tenant_id, project.name_key, project.id))
