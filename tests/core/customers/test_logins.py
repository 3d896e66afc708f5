"""Customers are found by their login, and by what they lack, without reading all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.customers import actions
from core.customers.listing import CUSTOMERS, list_choices
from core.customers.schemas import NewCustomer
from core.database import dialect, rows, values, watched
from core.errors import Invalid
from core.payments import batch

if TYPE_CHECKING:
    from core.testing import TestTenant

LACKING = ("login", "zip")


class PlanStep(Struct, frozen=True):
    detail: str


async def plan_of(text: str) -> str:
    return "\n".join([one.detail for one in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text.replace('?', '1')}")])


async def test_a_login_is_looked_up_where_it_is_kept_from_being_given_twice(tenant: TestTenant) -> None:
    made = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ann Other", login="Ann"))
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Without One", login=""))

    with watched() as seen:
        paid = await batch._by_customer(tenant.scope(), "ANN")
        with pytest.raises(Invalid) as refused:
            await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ben Other", login="ann"))

    assert paid is not None
    assert paid.customer_id == made
    assert [one.field for one in refused.value.errors] == ["login"]
    if dialect() == "sqlite":
        looked_up = [text for text in seen if "login_key =" in text]
        assert len(looked_up) == 2
        for text in looked_up:
            assert "INDEX customer_login (login_key=?)" in await plan_of(text), text


@pytest.mark.parametrize("column", LACKING)
async def test_who_lacks_something_stands_in_an_index_of_those_alone(tenant: TestTenant, column: str) -> None:
    kept = "login_key" if column == "login" else column
    if dialect() == "postgresql":
        (made,) = await values(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexname = :name",
            name=f"customer_without_{column}",
        )
        assert made.endswith(f"USING btree (id) WHERE ({kept} = ''::text)")
    all_of_it = NewCustomer(full_name="Ann Other", login="ann", zip="1010", city="Wien")
    await actions.create_customer(tenant.scope(), all_of_it)
    lacks = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ben Other"))

    with watched() as seen:
        found = await CUSTOMERS.read(tenant.scope(), {f"{column}.empty": "yes"}, choices=await list_choices())

    assert [one.id for one in found.rows] == [lacks]
    if dialect() == "sqlite":
        (text,) = [one for one in seen if "WITH few" in one]
        assert f"customer_without_{column}" in await plan_of(text)
