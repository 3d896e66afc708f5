"""Pages of the inventory."""

from __future__ import annotations

from litestar import Response
from litestar.params import FromPath

from core.customers.head import head_values
from core.errors import Conflict, DomainError, Invalid
from core.web.parts import Choice
from core.web.routing import get, post
from core.web.view import PageView, View, errors_by_field
from plugins.inventory import actions, queries
from plugins.inventory.schemas import Assignment, NewItem
from plugins.inventory.status import LABELS, ItemStatus

PAGE = 50


@get("/inventory/items", permission="inventory.view")
async def list_items(view: View) -> Response[str]:
    return await _list(view, {})


@post("/inventory/items", permission="inventory.edit")
async def add_item(view: View) -> Response[str]:
    try:
        await actions.add_item(view.scope, await view.form(NewItem))
    except Invalid as error:
        return await _list(view, errors_by_field(error), status=422)
    return view.go("/inventory/items", "Item added.")


async def _list(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    after = view.query.get("after", "0")
    q, wanted = view.query.get("q", "").strip()[:120], view.query.get("status", "")
    found = await queries.list_items(
        view.scope, q=q, status=wanted, after=int(after) if after.isdecimal() else 0, limit=PAGE + 1
    )
    return view.page(
        "inventory/items.html",
        status=status,
        items=found[:PAGE],
        labels={key.value: label for key, label in LABELS.items()},
        choices=[Choice("", "Any status"), *(Choice(key.value, label) for key, (label, _) in LABELS.items())],
        q=q,
        wanted=wanted,
        older=f"/inventory/items?after={found[PAGE - 1].id}&q={q}&status={wanted}" if len(found) > PAGE else "",
        values=view.shown(product="", vendor="", serial="", barcode="", note=""),
        errors=errors,
        may_edit=view.scope.may("inventory.edit"),
    )


@get("/inventory/items/{item_id:int}", permission="inventory.view")
async def show_item(view: View, item_id: FromPath[int]) -> Response[str]:
    return await _item(view, item_id, {})


@post("/inventory/items/{item_id:int}/assignment", permission="inventory.edit")
async def assign(view: View, item_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(Assignment)
        await actions.assign_item(view.scope, item_id, data.customer_id)
    except (Invalid, Conflict) as error:
        return await _item(view, item_id, _errors(error), status=error.status)
    return view.go(f"/inventory/items/{item_id}", "Assigned.")


@post("/inventory/items/{item_id:int}/return", permission="inventory.edit")
async def give_back(view: View, item_id: FromPath[int]) -> Response[str]:
    try:
        await actions.return_item(view.scope, item_id)
    except Conflict as error:
        return await _item(view, item_id, _errors(error), status=409)
    return view.go(f"/inventory/items/{item_id}", "Back in stock.")


@post("/inventory/items/{item_id:int}/write-off", permission="inventory.edit")
async def write_off(view: View, item_id: FromPath[int]) -> Response[str]:
    try:
        await actions.write_off_item(view.scope, item_id)
    except Conflict as error:
        return await _item(view, item_id, _errors(error), status=409)
    return view.go(f"/inventory/items/{item_id}", "Written off.")


def _errors(error: DomainError) -> dict[str, str]:
    return errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}


async def _item(view: PageView, item_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    item = await queries.get_item(view.scope, item_id)
    label, kind = LABELS[ItemStatus(item.status)]
    return view.page(
        "inventory/item.html",
        status=status,
        item=item,
        label=label,
        kind=kind,
        values=view.shown(customer_id=""),
        errors=errors,
        may_edit=view.scope.may("inventory.edit") and item.status != ItemStatus.WRITTEN_OFF,
    )


@get("/inventory/customers/{customer_id:int}", permission="inventory.view")
async def show_customer(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The tab Hardware of a customer."""
    head = await head_values(view, customer_id, "Hardware")
    return view.page(
        "inventory/customer.html",
        **head,
        items=await queries.list_of_customer(view.scope, customer_id),
        labels={key.value: label for key, label in LABELS.items()},
    )


HANDLERS = (list_items, add_item, show_item, assign, give_back, write_off, show_customer)
