"""What can be done with projects at once; their workflow's runs begin in `workflow/runs.py`."""

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
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import preconditions
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.people import directory
from chalicelib.projects import durations, models, rules
from chalicelib.projects.models import Project
from chalicelib.projects.rules import SIMULATED, Estimate
from chalicelib.projects.workflow import runs

_KNOWN_ELSEWHERE = "Some values cannot be taken; see errors"


class NewProject(msgspec.Struct, frozen=True):
    """A project to be created; what is None is the tenant's or the deployment's default."""

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
    """A transaction that names users: it fails with a fault for each that cannot take part."""

    def require_users(self, person_ids: tuple[str, ...]) -> None:
        for each in person_ids:
            directory.require(self, self.tenant_id, each, NoSuchUser(each))

    def commit(self) -> None:
        try:
            super().commit()
        except NoSuchUser as refused:
            unknown = [each for each in self.failed if isinstance(each, NoSuchUser)]
            field_errors = tuple(fault for each in unknown for fault in each.field_errors)
            raise Invalid(refused.detail, field_errors=field_errors) from refused


def each_once(user_ids: list[str]) -> tuple[str, ...]:
    """The ids without doubles."""
    return tuple(dict.fromkeys(user_ids))


def known_faults(given: Mapping[str, Any]) -> list[FieldError]:
    """What of a new project's well-formed values cannot be, as far as no read is needed for it."""
    found = _faults_of_ids(each_once(given.get("user_ids", [])))
    if given.get("provider") == SIMULATED and given.get("region"):
        found += _faults_of_place(SIMULATED, given["region"])
    return found


def _faults_of_ids(ids: Iterable[str]) -> list[FieldError]:
    """What is no id at all; whose the others are only the commit tells."""
    return [_not_a_user(person_id) for person_id in ids if not clock.is_id(person_id)]


def _not_a_user(person_id: str) -> FieldError:
    return FieldError("user_ids", f"{person_id} is no invited or active user")


def create(tx: ProjectTransaction, by: Caller, new: NewProject, *, base_url: str) -> Project:
    """Adds a project, its name's guard, who shall take part, and the start of its workflow to `tx`.

    Raises Invalid for an unknown provider or region. The commit raises Invalid
    for users that cannot take part, Conflict when the name is taken in this tenant.
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
    tx.create(models.name_guard(by.tenant_id, project.name_key, project_id), _name_taken(new.name))
    if new.user_ids:
        tx.require_users(new.user_ids)
        tx.create(models.request(by.tenant_id, project_id, new.user_ids, 0))
    runs.enqueue_start(tx, project)
    return project


def usual_time(project: Project) -> Estimate:
    """How long a run at the project's provider takes."""
    return durations.find(project.provider)


def _name_taken(name: str) -> Conflict:
    return Conflict(f"A project with the name {name} already exists")


def _place(tenant_id: str, new: NewProject) -> tuple[str, str]:
    """Provider and region, empty where nobody says: as asked for, else as the tenant, else as the
    deployment says.
    """
    tenant = tenancy.find(tenant_id)
    simulated = settings.listed("simulated_regions")[:1]
    defaults = [
        (tenant.provider, tenant.region) if tenant else ("", ""),
        (settings.default_provider, settings.default_region),
        *((SIMULATED, region) for region in simulated),
    ]
    provider = new.provider or next((name for name, _ in defaults if name), "")
    region = new.region or next((at for name, at in defaults if name == provider and at), "")
    return provider, region


def _require_known(provider: str, region: str, ids: tuple[str, ...]) -> None:
    """Ids that nobody has do not matter here by themselves: the commit tells of them all."""
    if place := _faults_of_place(provider, region):
        raise Invalid(_KNOWN_ELSEWHERE, field_errors=(*place, *_faults_of_ids(ids)))


def _faults_of_place(provider: str, region: str) -> list[FieldError]:
    from chalicelib.projects.regions import service as regions  # with all that speaks to providers

    if provider not in rules.PROVIDERS:
        known = ", ".join(rules.PROVIDERS)
        told = f"must be one of {known}" if provider else f"is required: one of {known}"
        return [FieldError("provider", told)]
    if not region or not regions.is_known(provider, region):
        told = f"is no region of {provider}" if region else f"is required: a region of {provider}"
        return [FieldError("region", told)]
    return []


def get(tenant_id: str, project_id: str) -> Project:
    """The project; raises NotFound, also for another tenant's."""
    project = models.get_project(tenant_id, project_id)
    if project is None:
        raise NotFound("No project of this id")
    return project


def change(tx: Transaction, project_id: str, values: dict[str, str], if_match: IfMatch) -> Project:
    """Adds a new name or description to `tx` and returns the project as it will be.

    Raises NotFound. The commit raises PreconditionFailed when the project is in none of the
    `wanted` versions, Conflict when the name is taken or another change came between.
    """
    project = get(tx.tenant_id, project_id)
    unchanged, error = preconditions.unchanged_since(project, if_match, "project")
    new: dict[str, Any] = {**values, "version": int(project.version) + 1}
    if "name" in values:
        new["name_key"] = rules.name_key(values["name"])
        _move_name(tx, project, new["name_key"], values["name"])
    actions = [getattr(Project, name).set(value) for name, value in new.items()]
    tx.update(project, actions, unchanged, error)
    for name, value in new.items():
        setattr(project, name, value)
    return project


def _move_name(tx: Transaction, project: Project, key: str, name: str) -> None:
    if key == project.name_key or project.status == "deleted":
        return
    tenant_id = str(project.tenant)
    tx.create(models.name_guard(tenant_id, key, project.id), _name_taken(name))
    tx.delete(models.name_guard(tenant_id, project.name_key, project.id))
