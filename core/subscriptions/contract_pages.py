"""A contract in words: on the page of its subscription, and in each drawer that ends it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from core.catalog.pages import cycle_words
from core.money import format_money
from core.subscriptions.contracts import bound_until, earliest_end
from core.texts import _, ngettext
from core.web.parts import Field
from core.web.templating import written

if TYPE_CHECKING:
    from core.subscriptions.schemas import SubscriptionRow


def contract_words(mine: SubscriptionRow, today: date, locale: str) -> str:
    """What binds it; empty where nothing does."""
    parts: list[str] = []
    bound = bound_until(mine, today)
    if bound is not None and bound > today:
        parts.append(_("bound until %(day)s", day=written(bound, locale)))
    if mine.notice_days:
        parts.append(ngettext("%(num)s day of notice", "%(num)s days of notice", mine.notice_days))
    if bound is not None and mine.renew_unit is not None and mine.renew_count is not None:
        parts.append(_("then renews by %(cycle)s", cycle=cycle_words(mine.renew_unit, mine.renew_count)))
    if not parts:
        return ""
    if mine.termination_minor and bound is not None and bound > today:
        fee = format_money(mine.termination_minor, mine.currency, locale)
        parts.append(_("leaving early costs %(fee)s", fee=fee))
    terms = ", ".join(parts)
    if mine.state == "trial":
        return _("Contract, once the test time is over: %(terms)s", terms=terms)
    return _("Contract: %(terms)s", terms=terms)


def ending_words(mine: SubscriptionRow, today: date, locale: str) -> list[str]:
    """For a drawer that ends it: the contract, and the first day on which it may end."""
    words = contract_words(mine, today, locale)
    if not words or mine.state == "trial":
        return []
    day = written(earliest_end(mine, today), locale)
    return [_("%(contract)s. With notice today it may end on %(day)s.", contract=words, day=day)]


def fee_words(fee_minor: int, currency: str, locale: str) -> str:
    """What an end costs that the contract does not allow yet."""
    amount = format_money(fee_minor, currency, locale)
    return _("Leaving early: %(amount)s without tax, with the next invoice.", amount=amount)


def fee_option(mine: SubscriptionRow, today: date, locale: str) -> list[Field]:
    """Waiving the fee, where there is one."""
    bound = bound_until(mine, today)
    if not mine.termination_minor or bound is None or bound <= today or mine.state == "trial":
        return []
    return [
        Field(
            name="waive_fee",
            label=_("Waive the early termination fee"),
            kind="check",
            help=_(
                "%(fee)s with the next invoice, for an end before %(day)s",
                fee=format_money(mine.termination_minor, mine.currency, locale),
                day=written(bound, locale),
            ),
        )
    ]
