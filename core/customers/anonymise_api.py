"""Anonymising over JSON: what it would erase and keep, then that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.customers.actions.anonymise import anonymise_customer
from core.customers.plans import EffectAnswer
from core.web.changes import rehearse
from core.web.jsonapi import Call, api_get, api_post

if TYPE_CHECKING:
    from core.customers.actions.anonymise import ErasurePlan


class ErasureAnswer(Struct, frozen=True):
    """What anonymising erases (`data`) and what the law keeps for a while (`document`). `plan`, sent with the deed,
    makes sure that exactly this is done."""

    plan: str
    effects: list[EffectAnswer]


class Anonymise(Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: the customer's full name, as a person would type it to confirm. `plan`: what was shown."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    plan: Annotated[str, Meta(max_length=64)] | None = None


@api_get(
    "/customers/{customer_id:int}/anonymisation",
    permission="customers.anonymise",
    summary="What anonymising a customer would erase",
    description="Nothing is changed. 409 with the reason while something is live, open or owed.",
)
async def get_erasure(call: Call, customer_id: FromPath[int]) -> ErasureAnswer:
    return _answer(await rehearse(call.scope, lambda: anonymise_customer(call.scope, customer_id)))


@api_post(
    "/customers/{customer_id:int}/anonymisation",
    permission="customers.anonymise",
    summary="Anonymise a customer for ever",
    description="Issued documents and their PDFs stay until their time is over. It cannot be undone.",
)
async def anonymise(call: Call, customer_id: FromPath[int], data: JSONBody[Anonymise]) -> ErasureAnswer:
    return _answer(await anonymise_customer(call.scope, customer_id, name=data.name, seen=data.plan))


def _answer(plan: ErasurePlan) -> ErasureAnswer:
    told = [EffectAnswer(each.kind, each.text, each.amount_minor, each.currency) for each in plan.effects]
    return ErasureAnswer(plan.fingerprint, told)


HANDLERS: Final = (get_erasure, anonymise)
