"""A record goes to DynamoDB by a shorter way, as pynamodb itself would write it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.attributes import (
    BinaryAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.exceptions import AttributeNullError
from pynamodb.models import Model

from chalicelib.kernel.store.records import Keyed, Number


class Address(MapAttribute[str, Any]):
    street = UnicodeAttribute()


class Sample(Keyed):
    class Meta:
        table_name = "sample"

    called = UnicodeAttribute(attr_name="name")
    count = Number(default=0)
    weight = Number(null=True)
    body = BinaryAttribute(null=True, legacy_encoding=False)
    history: ListAttribute[Any] = ListAttribute(default=list)
    words = UnicodeSetAttribute()
    address = Address(null=True)


samples = st.builds(
    Sample,
    st.text(),
    st.text(),
    called=st.text(),
    count=st.integers(),
    weight=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    body=st.none() | st.binary(),
    history=st.lists(st.integers() | st.text()),
    words=st.none() | st.sets(st.text()),
    address=st.none() | st.builds(Address, street=st.text()),
)


@given(samples)
def test_a_record_is_written_as_pynamodb_does(sample: Sample) -> None:
    assert sample.serialize() == Model.serialize(sample)


def test_a_record_without_what_it_must_have_is_refused_by_name() -> None:
    with pytest.raises(AttributeNullError, match="called"):
        Sample("t1", "s1").serialize()


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_and_read_as_pynamodb_does(number: float) -> None:
    ours, theirs = Number(), NumberAttribute()
    written = ours.serialize(number)

    assert written == theirs.serialize(number)
    assert ours.deserialize(written) == theirs.deserialize(written)
