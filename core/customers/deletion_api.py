"""Deleting over JSON."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.customers.actions.deletion import delete_customer
from core.customers.plans import EffectAnswer
from core.web.changes import rehearse
from core.web.jsonapi import Call, api_delete, api_get

Name = Annotated[str, QueryParameter(max_length=200, description="The full name, to confirm it")]


class DeletionAnswer(Struct, frozen=True):
    """What was or would be done: `deleted`, or `anonymised` where documents, postings or services must stay."""

    outcome: Literal["deleted", "anonymised"]
    effects: list[EffectAnswer]


@api_get(
    "/customers/{customer_id:int}/deletion",
    permission="customers.delete",
    summary="What deleting a customer would do",
    description="Nothing is changed. 409 with the reason while its status does not allow it, or something is open.",
)
async def get_deletion(call: Call, customer_id: FromPath[int]) -> DeletionAnswer:
    return await rehearse(call.scope, lambda: _delete(call, customer_id, None))


@api_delete(
    "/customers/{customer_id:int}",
    permission="customers.delete",
    summary="Delete a customer for ever",
    description="`name` is the customer's full name, as a person would type it to confirm. It cannot be undone.",
)
async def delete(call: Call, customer_id: FromPath[int], name: Name = "") -> DeletionAnswer:
    return await _delete(call, customer_id, name)


async def _delete(call: Call, customer_id: int, name: str | None) -> DeletionAnswer:
    done = await delete_customer(call.scope, customer_id, name=name)
    told = [EffectAnswer(each.kind, each.text, each.amount_minor, each.currency) for each in done.effects]
    return DeletionAnswer("anonymised" if done.kept else "deleted", told)


HANDLERS: Final = (get_deletion, delete)
