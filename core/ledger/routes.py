"""Settings of currencies: official rates of exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response

from core.errors import Invalid
from core.hooks import Permission
from core.ledger import actions, pages, queries
from core.texts import N_, _
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.web.view import PageView

PERMISSIONS: Final = (Permission("currencies.edit", N_("Set exchange rates")),)


@get("/settings/currencies", permission="settings.view")
async def show_currencies(view: View) -> Response[str]:
    return await _currencies_page(view, {})


@post("/settings/currencies", permission="currencies.edit")
async def set_fx_rate(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        form = await view.form(pages.FxRateForm)
        await actions.set_fx_rate(view.scope, pages.new_fx_rate(form, view.scope.tenant.currency))
    except Invalid as error:
        return await _currencies_page(view, errors_by_field(error), status=422)
    return view.go("/settings/currencies", _("Rate set. What is booked keeps its own."))


async def _currencies_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    scope = view.scope
    base, today = scope.tenant.currency, scope.today()
    missing = await queries.currencies_without_rate(base, today)
    return view.page(
        "ledger/currencies.html",
        status=status,
        base=base,
        rates=pages.fx_rate_items(await queries.list_fx_rates(), today, scope.locale),
        missing=missing,
        currencies=pages.currency_choices(scope.locale, base),
        values=view.shown(
            from_currency=missing[0] if missing else "EUR" if base == "USD" else "USD",
            rate="",
            valid_on=today.isoformat(),
        ),
        errors=errors,
        may_edit=scope.may("currencies.edit"),
    )


HANDLERS = (show_currencies, set_fx_rate)
