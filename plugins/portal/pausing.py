"""Customers pause a service by themselves: what they may, what is left of it, and what it does before it is done."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from core.billing.actions.pausing import pause
from core.database import value
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.money import format_money
from core.settings.queries import load_settings
from core.subscriptions.actions.pausing import FURTHEST, drop_pause, end_pause, list_pauses
from core.subscriptions.actions.shared import get_buyer
from core.subscriptions.offers import changes_ahead
from core.subscriptions.pages import period_words
from core.subscriptions.plans import Told, carried_out
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewPause
from core.texts import N_, _, ngettext
from core.web.changes import PlanLine
from core.web.templating import written
from plugins.portal.actions import PAUSE
from plugins.portal.settings import PortalSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.scope import Scope
    from core.subscriptions.schemas import SubscriptionRow
    from core.web.changes import ChangePlan
    from plugins.portal.schemas import OwnPause

_STATES: Final = {
    "pending": N_("It has not begun yet."),
    "trial": N_("It is on trial."),
    "suspended": N_("It is suspended."),
    "paused": N_("It is paused already."),
    "ended": N_("It has ended."),
    "withdrawn": N_("It has ended."),
}


def require_pause(scope: Scope) -> None:
    if PAUSE not in scope.actor.permissions:
        raise Forbidden(_("Your role may not pause services of customers."))


async def may_pause(scope: Scope) -> bool:
    """Whether whoever looks finds pauses here at all."""
    return PAUSE in scope.actor.permissions and (await load_settings(PortalSettings)).pause


def can_pause(mine: SubscriptionRow) -> bool:
    """Whether a pause of it is offered; what stands against one is said when it is asked for."""
    return mine.state == "active" and mine.pause_from is None and mine.bundle_id is None


def can_take_back(mine: SubscriptionRow) -> bool:
    """A pause that the customer planned, and that has not begun."""
    return mine.state == "active" and mine.pause_from is not None and mine.pause_by_customer


def can_end(mine: SubscriptionRow) -> bool:
    """A pause that the customer planned, and that runs."""
    return mine.state == "paused" and mine.pause_from is not None and mine.pause_by_customer and mine.bundle_id is None


def longest(settings: PortalSettings) -> int:
    return max(settings.pause_least_days, settings.pause_most_days)


async def days_left(settings: PortalSettings, subscription_id: int, first: date, last: date) -> Mapping[int, int]:
    """By calendar year that the days fall into, how many more the customer may pause then."""
    mine = [each for each in await list_pauses(subscription_id) if each.by_customer and each.state != "dropped"]
    return {
        year: max(
            settings.pause_days_a_year
            - sum(_days_in(year, each.from_on, each.resumed_on or each.to_on) for each in mine),
            0,
        )
        for year in range(first.year, last.year + 1)
    }


def _days_in(year: int, first: date, end: date) -> int:
    return max((min(end, date(year + 1, 1, 1)) - max(first, date(year, 1, 1))).days, 0)


async def plan_own_pause(scope: Scope, subscription_id: int, data: OwnPause) -> ChangePlan:
    """Plan it, in the unit of work that is open, and say what that did. Refused with what stands against it."""
    settings = await _allowed(scope)
    mine = await get_subscription(scope, subscription_id)
    buyer = await get_buyer(scope, mine.customer_id)
    fee = settings.pause_fee_minor
    if not buyer.may_order:
        raise Conflict(_("While you are %(status)s, nothing can be paused.", status=_(buyer.status_label)))
    await _refuse(scope, mine, fee)
    today = scope.today()
    first = data.from_on or today
    if not today <= first <= today + FURTHEST:
        raise Invalid(_("Choose a day from today on, within three years."), field="from_on")
    if data.to_on is None:
        raise Invalid(_("Fill this in."), field="to_on")
    _check_length(settings, first, data.to_on)
    left = await _check_year(settings, mine.id, first, data.to_on)
    to_on = data.to_on

    async def act() -> Told:
        try:
            await pause(scope, mine.id, NewPause(from_on=first, to_on=to_on, hold_minor=fee), by_customer=True)
        except (Conflict, NotFound) as error:
            raise Conflict(_("It cannot be paused on these days by itself. Ask us, and we look into it.")) from error
        return _told(scope, mine, first, to_on, fee, left)

    return await carried_out(scope, mine.id, title_of(mine), act)


def title_of(mine: SubscriptionRow) -> str:
    return _("Pause %(name)s", name=mine.label or mine.product)


async def _allowed(scope: Scope) -> PortalSettings:
    require_pause(scope)
    settings = await load_settings(PortalSettings)
    if not settings.pause:
        raise NotFound("Pauses are not left to customers.")
    return settings


async def _refuse(scope: Scope, mine: SubscriptionRow, fee: int) -> None:
    """What is the operator's to do, in words for who has it."""
    if mine.state != "active":
        raise Conflict(_(_STATES[mine.state]))
    if mine.pause_from is not None:
        raise Conflict(_("A pause of it is planned already."))
    if mine.bundle_id is not None:
        raise Conflict(_asking(_("It is part of a bundle, and is not paused alone.")))
    if mine.payer_id != mine.customer_id:
        raise Conflict(_asking(_("Somebody else pays for it.")))
    if mine.id in await changes_ahead([mine.id]):
        raise Conflict(_asking(_("A change of it is on its way.")))
    if fee and mine.currency != scope.tenant.currency:
        raise Conflict(_asking(_("What is billed in %(currency)s is not paused here.", currency=mine.currency)))


def _asking(why: str) -> str:
    return _both(why, _("Ask us, and we look into it."))


def _both(first: str, then: str) -> str:
    return f"{first} {then}"


def _check_length(settings: PortalSettings, first: date, end: date) -> None:
    days, least, most = (end - first).days, settings.pause_least_days, longest(settings)
    if days < least:
        raise Invalid(
            ngettext("A pause lasts at least %(num)s day.", "A pause lasts at least %(num)s days.", least),
            field="to_on",
        )
    if days > most:
        raise Invalid(
            ngettext("A pause lasts at most %(num)s day.", "A pause lasts at most %(num)s days.", most), field="to_on"
        )


async def _check_year(settings: PortalSettings, subscription_id: int, first: date, end: date) -> Mapping[int, int]:
    """What is left of each year afterwards; Invalid where a year has too few days for it."""
    left = await days_left(settings, subscription_id, first, end - timedelta(days=1))
    for year, days in left.items():
        wanted = _days_in(year, first, end)
        if wanted > days:
            limit = ngettext(
                "It may be paused for %(num)s day a year.",
                "It may be paused for %(num)s days a year.",
                settings.pause_days_a_year,
            )
            rest = (
                ngettext(
                    "In %(year)s %(num)s day is left, this would take %(wanted)s.",
                    "In %(year)s %(num)s days are left, this would take %(wanted)s.",
                    days,
                    year=str(year),
                    wanted=wanted,
                )
                if days
                else _("In %(year)s none is left.", year=str(year))
            )
            raise Invalid(_both(limit, rest), field="to_on")
    return {year: days - _days_in(year, first, end) for year, days in left.items()}


def _told(scope: Scope, mine: SubscriptionRow, first: date, end: date, fee: int, left: Mapping[int, int]) -> Told:
    locale = scope.locale
    lines = [
        PlanLine(
            text=_("Not served and not billed"),
            detail=period_words(first, end, locale),
            value=ngettext("%(num)s day", "%(num)s days", (end - first).days),
        ),
        PlanLine(text=_("Goes on by itself, on"), value=written(end, locale)),
        PlanLine(
            text=_("Hold fee, on the next invoice"),
            value=format_money(fee, mine.currency, locale) if fee else _("free"),
        ),
        *_left_lines(left),
    ]
    if first <= scope.today():
        return Told(button=_("Pause now"), lines=lines)
    return Told(
        button=_("Pause from %(day)s", day=written(first, locale, year=False)),
        lines=lines,
        warnings=[
            _("Days that are charged ahead are credited when the pause begins. You can take it back until then.")
        ],
    )


def _left_lines(left: Mapping[int, int]) -> list[PlanLine]:
    return [
        PlanLine(
            text=_("Left for pauses in %(year)s", year=str(year)), value=ngettext("%(num)s day", "%(num)s days", days)
        )
        for year, days in left.items()
    ]


async def take_back(scope: Scope, subscription_id: int) -> ChangePlan:
    """Undo a pause of one's own that has not begun, in the unit of work that is open, and say what that did."""
    require_pause(scope)
    mine = await get_subscription(scope, subscription_id)
    if mine.state == "active" and mine.pause_from is not None and not mine.pause_by_customer:
        raise Conflict(_("We planned this pause. Ask us, and we look into it."))
    if not can_take_back(mine):
        raise Conflict(_("No pause is planned for it."))

    async def act() -> Told:
        await drop_pause(scope, mine.id)
        was = period_words(mine.pause_from, mine.pause_to, scope.locale) if mine.pause_from and mine.pause_to else ""
        return Told(button=_("Take the pause back"), lines=[PlanLine(text=_("Pause"), before=was, value=_("nothing"))])

    return await carried_out(scope, mine.id, title_of_take_back(mine), act)


async def end_own_pause(scope: Scope, subscription_id: int) -> ChangePlan:
    """End a pause of one's own that runs, in the unit of work that is open, and say what that did. Not before the
    shortest pause is over: it would be a way around it."""
    settings = await _allowed(scope)
    mine = await get_subscription(scope, subscription_id)
    first, end, today = mine.pause_from, mine.pause_to, scope.today()
    if mine.state != "paused" or first is None or end is None:
        raise Conflict(_("It is not paused."))
    if not mine.pause_by_customer:
        raise Conflict(_("We planned this pause. Ask us, and we look into it."))
    if mine.bundle_id is not None:
        raise Conflict(_asking(_("It is part of a bundle, and does not go on alone.")))
    if mine.payer_id != mine.customer_id:
        raise Conflict(_asking(_("Somebody else pays for it.")))
    buyer = await get_buyer(scope, mine.customer_id)
    if not buyer.may_order:
        raise Conflict(_asking(_("While you are %(status)s, nothing goes on.", status=_(buyer.status_label))))
    earliest = min(first + timedelta(days=settings.pause_least_days), end)
    if today < earliest:
        least = ngettext(
            "A pause lasts at least %(num)s day.", "A pause lasts at least %(num)s days.", settings.pause_least_days
        )
        when = _("From %(day)s on it can be ended.", day=written(earliest, scope.locale))
        raise Conflict(_asking(_both(least, when)))

    async def act() -> Told:
        await end_pause(scope, mine.id)
        left = await days_left(settings, mine.id, first, end - timedelta(days=1))
        lines = [
            PlanLine(
                text=_("Served and billed again from"),
                before=written(end, scope.locale) if end > today else "",
                value=written(today, scope.locale),
            ),
            *await _charged_again(scope, mine, today, end),
            *_left_lines(left),
        ]
        return Told(button=_("Go on today"), lines=lines)

    return await carried_out(scope, mine.id, title_of_end(mine), act)


async def _charged_again(scope: Scope, mine: SubscriptionRow, first: date, end: date) -> list[PlanLine]:
    """What was credited for the days that are left of the pause."""
    minor = await value(
        "SELECT CAST(sum(amount_minor) AS bigint) FROM charge WHERE subscription_id = :id AND state = 'open'"
        " AND component LIKE 'resumed:%' AND period_end > :first AND period_start < :end",
        id=mine.id,
        first=first,
        end=end,
    )
    if not minor:
        return []
    return [
        PlanLine(
            text=_("Charged again with the next invoice, as it was credited"),
            detail=period_words(first, end, scope.locale),
            value=format_money(int(minor), mine.currency, scope.locale),
        )
    ]


def title_of_end(mine: SubscriptionRow) -> str:
    return _("End the pause of %(name)s", name=mine.label or mine.product)


def title_of_take_back(mine: SubscriptionRow) -> str:
    return _("Take back the pause of %(name)s", name=mine.label or mine.product)
