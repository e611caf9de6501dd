"""The base classes of all records in DynamoDB, and reading a page of them."""

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import TableConnection
from pynamodb.exceptions import DeleteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model

from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.connection import connection
from chalicelib.kernel.store.failures import condition_failed

_LOCK = threading.Lock()

R = TypeVar("R", bound="Record")
K = TypeVar("K", bound="Keyed")
Key = dict[str, Any] | None  #: last key of a page, in DynamoDB's form; None: no more pages


class Number(NumberAttribute):
    """A number; integers, the only ones we store, do not take pynamodb's detour through JSON."""

    def serialize(self, value: Any) -> Any:
        return str(value) if type(value) is int else super().serialize(value)

    def deserialize(self, value: Any) -> Any:
        return int(value) if value.isdecimal() else super().deserialize(value)


class Record(Model):
    """Base of all models. A table's keys and indexes are declared once, in an abstract subclass."""

    def serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:  # noqa: FBT001, FBT002
        """The same result as pynamodb's method in a third of the time.

        Only attributes that have a value are visited, not all that the model declares.
        """
        declared = self.get_attributes()
        item = {
            (attribute := declared[name]).attr_name: {attribute.attr_type: serialized}
            for name, value in self.attribute_values.items()
            if value is not None and (serialized := declared[name].serialize(value)) is not None
        }
        if _required(type(self)) <= item.keys():
            return item
        return super().serialize(null_check)  # with null_check it names what is missing

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = cls.__dict__.get("_connection")
        return table if table is not None else cls._connect()

    @classmethod
    def _connect(cls) -> TableConnection:
        table, shared = super()._get_connection(), connection()
        with _LOCK:
            if table.table_name not in shared._tables:  # pynamodb refuses a second registration
                shared.add_meta_table(table.get_meta_table())
        table.connection = shared
        cls._connection = table
        return table


@cache
def _required(model: type[Record]) -> frozenset[str]:
    declared = model.get_attributes().values()
    return frozenset(attribute.attr_name for attribute in declared if not attribute.null)


class Keyed(Record):
    """A record with the keys that all our tables have."""

    tenant = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    def change_if(
        self, condition: Condition, actions: Sequence[Action], *, read: bool = False
    ) -> bool:
        """Makes one conditional UpdateItem; False, and no change, when the condition did not hold.

        With `read` this object then holds the row as it is now; without it the row is not sent
        back, which is cheaper. Raises UpdateError when the store was down or throttled.
        """
        try:
            if read:
                self.update(list(actions), condition)
            else:
                self._get_connection().update_item(
                    self.tenant, self.sk, actions=actions, condition=condition
                )
        except UpdateError as error:
            if not condition_failed(error):
                raise
            return False
        return True

    def delete_if(self, condition: Condition) -> bool:
        """Makes one conditional DeleteItem; False, and no change, when the condition did not hold.

        Raises DeleteError when the store was down or throttled.
        """
        try:
            self.delete(condition)
        except DeleteError as error:
            if not condition_failed(error):
                raise
            return False
        return True


class DueIndex(GlobalSecondaryIndex[Any]):
    """Jobs that have not ended, by the time when the sweep pushes them; sparse and sharded."""

    class Meta:
        index_name = "due"
        projection = IncludeProjection(["queue", "type", "due_step_seconds"])

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = Number(range_key=True)


class RecipientIndex(GlobalSecondaryIndex[Any]):
    """Notifications by recipient, in the order of creation."""

    class Meta:
        index_name = "recipient"
        projection = AllProjection()

    recipient_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class KernelRecord(Keyed):
    """Base of the records in the kernel's table: jobs, tenants."""

    class Meta:
        table_name = settings.resource("kernel")

    expires_at = Number(null=True)  #: epoch seconds; DynamoDB deletes the row within days after
    due = DueIndex()
    by_recipient = RecipientIndex()


def read(model: type[K], tenant_id: str, sort_key: str, *, consistent: bool = False) -> K | None:
    """The record with these keys, or None; one GetItem."""
    try:
        return model.get(tenant_id, sort_key, consistent_read=consistent)
    except model.DoesNotExist:
        return None


def page(
    model: type[R], hash_key: str, within: Condition | None = None, **options: Any
) -> tuple[list[R], Key]:
    """Makes one Query with pynamodb's options: its records, and the last key if there are more."""
    pages = model.query(hash_key, within, **options).page_iter
    return [model.from_raw_data(item) for item in next(pages)["Items"]], pages.last_evaluated_key


def key_of(record: Record, index: str | None) -> Key:
    """The key of `record` in the table or the index, after which a listing continues."""
    names = connection().get_meta_table(record.Meta.table_name).get_key_names(index)
    raw = record.serialize(null_check=False)  # an index may hold only some attributes
    return {name: raw[name] for name in names}
