"""Checks of a customer's VAT id on its page: what VIES said, what follows for its tax, and an answer noted by hand."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing import vat_asking, vat_checks
from core.billing.plan import VAT_CHECK_LASTS
from core.billing.vat_checks import VatStanding, counts_until, last_day, told
from core.clock import date_in
from core.customers.head import head_values
from core.customers.queries import get_customer
from core.errors import Conflict, Invalid, Unavailable
from core.hooks import Fact
from core.texts import N_, _
from core.web.forms import checked
from core.web.parts import Choice, Pill, spoken
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.scope import Scope
    from core.web.view import PageView

ANSWERS: Final = (Choice("yes", N_("Valid")), Choice("no", N_("Not valid")))
PILLS: Final = {
    "valid": (N_("Reverse charge until %(day)s"), "live"),
    "not_checked": (N_("Not checked"), "warn"),
    "too_old": (N_("Check is over"), "warn"),
    "not_valid": (N_("Not valid"), "blocked"),
}


class CheckForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    valid: Literal["yes", "no"]
    checked_on: date | None = None
    consultation: Annotated[str, Meta(max_length=60)] = ""
    vat_id: Annotated[str, Meta(max_length=60)] = ""


class CheckItem(Struct, frozen=True, kw_only=True):
    """A check as it is listed. `until`: the last day on which it counts; none where another decides."""

    vat_id: str
    on: date
    answer: Pill
    consultation: str
    by: str
    trader: str
    until: date | None
    current: bool


@get("/customers/{customer_id:int}/vat-checks", permission="customers.view")
async def show_checks(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _page(view, customer_id, {})


@post("/customers/{customer_id:int}/vat-checks", permission="customers.edit")
async def note_check(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        form = await view.form(CheckForm)
        given = {
            "valid": form.valid == "yes",
            "checked_on": form.checked_on,
            "consultation": form.consultation,
            "vat_id": form.vat_id,
        }
        await vat_checks.note_check(view.scope, customer_id, checked(vat_checks.NewVatCheck, given))
    except Invalid as error:
        return await _page(view, customer_id, _of_form(error), status=422)
    return view.go(_at(customer_id), _("Check noted."))


@post("/customers/{customer_id:int}/vat-checks/now", permission="customers.edit")
async def check_now(view: View, customer_id: FromPath[int]) -> Response[str]:
    """Asked while staff wait: what it says stands on the page, or that it said nothing."""
    await view.read()
    try:
        valid = await vat_asking.check_now(view.scope, customer_id)
    except (Invalid, Conflict, Unavailable) as error:
        return await _page(view, customer_id, {}, status=error.status, failed=error.message)
    return view.go(_at(customer_id), _("The VAT id is valid.") if valid else _("The VAT id is not valid."))


@get("/customers/{customer_id:int}/vat-checks/standing", permission="customers.view")
async def show_standing(view: View, customer_id: FromPath[int]) -> Response[str]:
    """Beside the VAT id among the billing settings, asked for when the page is there."""
    customer = await get_customer(view.scope, customer_id)
    if not view.is_htmx:
        return view.go(_at(customer_id))
    standing = await vat_checks.standing_of(view.scope, customer)
    return view.page("billing/_vat_standing.html", customer=customer, pill=_pill(view.scope, standing))


@get("/customers/{customer_id:int}/vat-checks/why", permission="customers.view")
async def why_standing(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await get_customer(scope, customer_id)
    if not view.is_htmx:
        return view.go(_at(customer_id))
    standing = await vat_checks.standing_of(scope, customer)
    zone = scope.tenant.time_zone
    facts = [
        Fact(
            label=_("Rule"),
            value=_(
                "A company of another member of the EU owes the tax itself for %(days)s days from the day on which its"
                " VAT id was found valid. The latest answer decides; where VIES gives none, the one before.",
                days=VAT_CHECK_LASTS.days,
            ),
        ),
        Fact(label=_("So"), value=told(standing.reason, standing.vat_id)),
    ]
    last = next((each for each in standing.checks if each.vat_id == standing.vat_id), None)
    if last is not None:
        answer = _("Valid") if last.valid else _("Not valid")
        facts.append(
            Fact(label=_("Last check"), value=f"{written(date_in(last.checked_at, zone), scope.locale)}, {answer}")
        )
        if last.consultation:
            facts.append(Fact(label=_("Number"), value=last.consultation))
    if standing.counts_until is not None:
        facts.append(Fact(label=_("Counts until"), value=written(last_day(standing.counts_until, zone), scope.locale)))
    return view.page("_partials/why.html", title=standing.vat_id or _("VAT id"), reasons=facts)


def _of_form(error: Invalid) -> dict[str, str]:
    """By field; what is wrong with the id stands over the form, which does not ask for it."""
    errors = errors_by_field(error)
    return {"": errors["vat_id"]} if [*errors] == ["vat_id"] else errors


def _at(customer_id: int) -> str:
    return f"/customers/{customer_id}/vat-checks"


def _pill(scope: Scope, standing: VatStanding) -> Pill | None:
    if standing.reason not in PILLS:
        return None
    label, kind = PILLS[standing.reason]
    until = standing.counts_until
    day = written(last_day(until, scope.tenant.time_zone), scope.locale) if until is not None else ""
    return Pill(_(label, day=day) if "%" in label else _(label), kind)


def _items(scope: Scope, standing: VatStanding, labels: Mapping[str, str]) -> list[CheckItem]:
    zone, items = scope.tenant.time_zone, []
    decides = next((each.id for each in standing.checks if each.vat_id == standing.vat_id), None)
    for each in standing.checks:
        until = counts_until(each.checked_at, zone)
        items.append(
            CheckItem(
                vat_id=each.vat_id,
                on=date_in(each.checked_at, zone),
                answer=Pill(_("Valid"), "live") if each.valid else Pill(_("Not valid"), "blocked"),
                consultation=each.consultation,
                by=labels.get(each.source, each.source) or _("By hand"),
                trader=", ".join(filter(None, (each.trader_name, each.trader_address))),
                until=last_day(until, zone) if each.valid and each.id == decides else None,
                current=each.id == decides,
            )
        )
    return items


async def _page(
    view: PageView, customer_id: int, errors: dict[str, str], *, status: int = 200, failed: str = ""
) -> Response[str]:
    scope = view.scope
    head = await head_values(view, customer_id, _("General"))
    customer = head["customer"]
    standing = await vat_checks.standing_of(scope, customer)
    found = await vat_asking.find_checker(scope)
    may_note = scope.may("customers.edit") and await vat_checks.can_be_checked(scope, customer)
    return view.page(
        "billing/vat_checks.html",
        status=status,
        may_note=may_note,
        service=_(found[1].label) if found is not None and may_note else "",
        failed=failed,
        **head,
        standing=standing,
        said=told(standing.reason, standing.vat_id),
        pill=_pill(scope, standing),
        checks=_items(scope, standing, {found[0]: _(found[1].label)} if found is not None else {}),
        answers=spoken(ANSWERS),
        values=view.shown(valid="yes", checked_on=scope.today().isoformat(), consultation="", vat_id=customer.vat_id),
        errors=errors,
    )


HANDLERS: Final = (show_checks, note_check, check_now, show_standing, why_standing)
