"""Passwords of customers over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.customers import actions, queries
from core.errors import Invalid
from core.texts import _
from core.web.jsonapi import IDEMPOTENCY_HEADER, Call, api_delete, api_post, api_put


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    password: Annotated[str, Meta(min_length=1, max_length=200)]


class PasswordState(Struct, frozen=True):
    """Whether there is one, and whether a copy is kept that can be shown."""

    has_password: bool
    has_password_copy: bool


class ShownPassword(Struct, frozen=True):
    password: str


@api_put("/customers/{customer_id:int}/password", permission="customers.edit", summary="Set a customer's password")
async def set_password(call: Call, customer_id: FromPath[int], data: JSONBody[NewPassword]) -> PasswordState:
    """Takes no Idempotency-Key."""
    _keep_no_trace(call)
    await actions.set_password(call.scope, customer_id, data.password)
    return await _state(call, customer_id)


@api_delete(
    "/customers/{customer_id:int}/password", permission="customers.edit", summary="Remove a customer's password"
)
async def remove_password(call: Call, customer_id: FromPath[int]) -> PasswordState:
    await actions.remove_password(call.scope, customer_id)
    return await _state(call, customer_id)


@api_post(
    "/customers/{customer_id:int}/password/shown",
    permission=actions.REVEAL,
    summary="Show a customer's password",
    description="Only where the tenant keeps copies. It stands in the activity. Takes no Idempotency-Key.",
    status_code=200,
)
async def reveal_password(call: Call, customer_id: FromPath[int]) -> ShownPassword:
    _keep_no_trace(call)
    return ShownPassword(await actions.reveal_password(call.scope, customer_id))


async def _state(call: Call, customer_id: int) -> PasswordState:
    customer = await queries.get_customer(call.scope, customer_id)
    return PasswordState(customer.has_password, customer.has_password_copy)


def _keep_no_trace(call: Call) -> None:
    """With such a key the answer, or a hash of what was sent, would be kept."""
    if call.request.headers.get(IDEMPOTENCY_HEADER):
        raise Invalid(
            _("A password is not kept for a second answer. Send no Idempotency-Key."), field="Idempotency-Key"
        )


HANDLERS = (
    set_password,
    remove_password,
    reveal_password,
)
