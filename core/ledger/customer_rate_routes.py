"""The exchange rates agreed with a customer, on its page."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.customers.head import head_values
from core.errors import Invalid
from core.ledger import customer_rates, pages
from core.ledger.schemas import NewCustomerFxRate
from core.texts import _, pgettext
from core.web.amounts import Fields
from core.web.forms import checked
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.ledger.schemas import CustomerFxRateRow
    from core.web.view import PageView


class RateForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    from_currency: Annotated[str, Meta(min_length=3, max_length=3)]
    rate: Annotated[str, Meta(min_length=1, max_length=20)]
    valid_from: date
    valid_to: date | None = None


class RateItem(Struct, frozen=True, kw_only=True):
    """A rate as it is listed. `state`: live, new (to come), ended."""

    id: int
    from_currency: str
    to_currency: str
    rate: str
    valid_from: date
    valid_to: date | None
    state: str


def _items(found: list[CustomerFxRateRow], today: date) -> list[RateItem]:
    items, live = [], set[tuple[str, str]]()
    for each in found:
        pair = (each.from_currency, each.to_currency)
        over = each.valid_to is not None and each.valid_to <= today
        state = "new" if each.valid_from > today else "ended" if over or pair in live else "live"
        if state == "live":
            live.add(pair)
        items.append(
            RateItem(
                id=each.id,
                from_currency=each.from_currency,
                to_currency=each.to_currency,
                rate=pages.rate_text(each.rate_e10),
                valid_from=each.valid_from,
                valid_to=each.valid_to,
                state=state,
            )
        )
    return items


@get("/customers/{customer_id:int}/fx-rates", permission="customers.view")
async def show_rates(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _page(view, customer_id, {})


@post("/customers/{customer_id:int}/fx-rates", permission="currencies.edit")
async def set_rate(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        form = await view.form(RateForm)
        with Fields() as read:
            rate = read("rate", pages.typed_rate, form.rate, default=0)
        given = {
            "from_currency": form.from_currency.upper(),
            "valid_from": form.valid_from,
            "valid_to": form.valid_to,
            "rate_e10": rate,
        }
        await customer_rates.set_customer_rate(view.scope, customer_id, checked(NewCustomerFxRate, given))
    except Invalid as error:
        return await _page(view, customer_id, errors_by_field(error), status=422)
    return view.go(f"/customers/{customer_id}/fx-rates", _("Rate agreed. Terms that start from now on use it."))


@post("/customers/{customer_id:int}/fx-rates/{rate_id:int}/removal", permission="currencies.edit")
async def remove_rate(view: View, customer_id: FromPath[int], rate_id: FromPath[int]) -> Response[str]:
    await view.read()
    await customer_rates.remove_customer_rate(view.scope, customer_id, rate_id)
    return view.go(f"/customers/{customer_id}/fx-rates", _("Rate removed. Your own converts from now on."))


async def _page(view: PageView, customer_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    scope = view.scope
    head = await head_values(view, customer_id, _("General"))
    customer, base = head["customer"], scope.tenant.currency
    return view.page(
        "ledger/customer_rates.html",
        status=status,
        **{**head, "may_edit": scope.may("currencies.edit")},
        rates=_items(await customer_rates.list_customer_rates(scope, customer_id), scope.today()),
        currencies=pages.currency_choices(scope.locale, customer.currency),
        heading=pgettext("exchange", "Set a rate"),
        values=view.shown(
            from_currency=base if base != customer.currency else "USD" if base != "USD" else "EUR",
            rate="",
            valid_from=scope.today().isoformat(),
            valid_to="",
        ),
        errors=errors,
    )


HANDLERS: Final = (show_rates, set_rate, remove_rate)
