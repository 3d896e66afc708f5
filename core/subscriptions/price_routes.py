"""The drawer that applies a price to those who have its product: how many, old and new sums, whether they are told."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.catalog import queries as catalog
from core.catalog.pages import cycle_words
from core.errors import NotFound
from core.money import format_amount, format_money
from core.subscriptions.actions.repricing import apply_price, preview_price
from core.texts import _, ngettext
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Field
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View

if TYPE_CHECKING:
    from core.catalog.schemas import PriceRow
    from core.scope import Scope


class ApplyForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """From which day on, and whether customers are written to."""

    from_on: date | None = None
    tell: bool = False
    seen: Annotated[str, Meta(max_length=4000)] = ""


@get("/products/{product_id:int}/prices/{price_id:int}/application/plan", permission="subscriptions.change")
async def show_application(view: View, product_id: FromPath[int], price_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    check_sees_everyone(scope)
    price = await _price(product_id, price_id)

    async def deed() -> ChangePlan:
        return await _apply(scope, price, from_form(ApplyForm, typed))

    return await show_plan(view, await _place(scope, price), typed, deed)


@post("/products/{product_id:int}/prices/{price_id:int}/application", permission="subscriptions.change")
async def carry_out_application(view: View, product_id: FromPath[int], price_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    check_sees_everyone(scope)
    price = await _price(product_id, price_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _apply(scope, price, from_form(ApplyForm, view.typed))

    return await do_plan(
        view,
        await _place(scope, price),
        deed,
        to=f"/products/{product_id}",
        said=_("The price is being applied; its job shows how far it is."),
    )


async def _price(product_id: int, price_id: int) -> PriceRow:
    price = await catalog.get_price(price_id)
    if price.product_id != product_id:
        raise NotFound(f"price {price_id} of product {product_id}")
    return price


async def _place(scope: Scope, price: PriceRow) -> Place:
    product = await catalog.get_product(price.product_id)
    path = f"/products/{price.product_id}/prices/{price.id}/application"
    amount = format_money(price.amount_minor, price.currency, scope.locale)
    return Place(
        title=_(
            "%(name)s at %(price)s for those who have it",
            name=product.name,
            price=f"{amount} {cycle_words(price.cycle_unit, price.cycle_count)}",
        ),
        asked=f"{path}/plan",
        sent=path,
        options=[
            Field(
                name="from_on",
                label=_("From"),
                kind="date",
                value=max(scope.today(), price.valid_from).isoformat(),
                help=_("It holds from the first period that begins on this day or later"),
            ),
            Field(name="tell", label=_("Write to the customers"), kind="check"),
        ],
        back=f"/products/{price.product_id}",
    )


async def _apply(scope: Scope, price: PriceRow, form: ApplyForm) -> ChangePlan:
    from_on = form.from_on or max(scope.today(), price.valid_from)
    found = await preview_price(scope, price.id, from_on)
    if found.count:
        await apply_price(scope, price.id, from_on, tell=form.tell)
    many = ngettext("%(num)s subscription", "%(num)s subscriptions", found.count)
    lines = [
        PlanLine(text=many, detail=ngettext("of %(num)s customer", "of %(num)s customers", found.customers)),
        PlanLine(
            text=_("A cycle of them all, %(currency)s", currency=found.currency),
            detail=_("from the first period that begins on %(day)s or later", day=written(from_on, scope.locale)),
            before=format_amount(found.before_minor, found.currency),
            value=format_amount(found.after_minor, found.currency),
        ),
    ]
    if found.agreed:
        lines.append(
            PlanLine(
                text=ngettext(
                    "%(num)s subscription stays as it was agreed",
                    "%(num)s subscriptions stay as they were agreed",
                    found.agreed,
                ),
                detail=_("At a price of their own, or in another currency"),
            )
        )
    told = _("Each customer is written to") if form.tell else _("Nobody is written to")
    return ChangePlan(
        title=(await _place(scope, price)).title,
        button=_("Apply to %(many)s", many=many) if found.count else _("Nothing to apply"),
        parts=[
            PlanPart(title=_("Subscriptions"), lines=lines),
            PlanPart(title=_("Messages"), lines=[PlanLine(text=told, detail=_("The words are among the templates."))]),
        ],
    )


HANDLERS = (show_application, carry_out_application)
