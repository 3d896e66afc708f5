"""What follows for subscriptions from a customer's status: they end, rest, or are charged and served again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.asking import nothing_kept
from core.customers.status import ENDING, StatusKind
from core.database import row, rows
from core.errors import Conflict
from core.hooks import Effect
from core.jobs.actions import enqueue_set
from core.subscriptions import queries
from core.subscriptions.actions import (
    charge_arrears,
    end_contract,
    rest,
    rest_all,
    resume,
    suspend,
    terminate,
    uncharged_days,
    undo_cancellation,
    wake,
)
from core.subscriptions.status import StateReason
from core.texts import _, ngettext
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from core.scope import Scope

AT_ONCE: Final = 100
"""So many subscriptions are brought along with their status in one commit; of more, each has a job of its own."""


class _Target(Struct, frozen=True):
    kind: str
    bill: bool


async def plan_change(scope: Scope, customer_id: int, status_key: str, on: date) -> list[Effect]:
    """Days up to the one on which a customer is billed no more are charged; the days behind it never are.

    With a contract that is over its subscriptions end. Another status that ends suspends what is active; a live one
    takes up again what a status suspended or left unbilled.
    """
    target = await row(_Target, "SELECT kind, bill FROM status WHERE key = :key", key=status_key)
    if target is None:
        return []
    effects: list[Effect] = []
    day = written(on, scope.locale)
    ending = status_key in ENDING
    if not target.bill:
        effects += await _arrears(scope, customer_id, on, ending=ending)
        if not ending and await queries.is_charged(customer_id):
            text = _("No days from %(day)s on are charged", day=day)
            effects.append(Effect(text=text, kind="money", apply=partial(rest, customer_id=customer_id)))
    if ending:
        effects += [
            Effect(
                text=_("%(name)s ends on %(day)s, the first day without service", name=each.label, day=day),
                kind="service",
                inputs=f"{each.id}:{each.version}",
                apply=partial(end_contract, subscription_id=each.id, day=on),
            )
            for each in await queries.started_ones(customer_id)
        ]
    elif target.kind == StatusKind.ENDED:
        effects += [
            Effect(
                text=_("%(name)s is suspended", name=each.label),
                kind="service",
                inputs=str(each.id),
                apply=partial(suspend, subscription_id=each.id, reason=StateReason.STATUS),
            )
            for each in await queries.active_ones(customer_id)
        ]
    if target.kind == StatusKind.LIVE:
        effects += [
            Effect(
                text=_("%(name)s goes on", name=each.label)
                if each.suspended
                else _("%(name)s is charged again", name=each.label),
                kind="service",
                inputs=str(each.id),
                apply=partial(resume if each.suspended else wake, subscription_id=each.id),
            )
            for each in await queries.resting_ones(customer_id)
        ]
    return effects


async def _arrears(scope: Scope, customer_id: int, on: date, *, ending: bool) -> list[Effect]:
    """What is charged for the days up to one, with its net amount. Subscriptions that end charge it as they do."""
    effects: list[Effect] = []
    for subscription_id in await uncharged_days(customer_id, on):
        owed = await _owed(scope, subscription_id, on, final=ending)
        if owed is None:
            continue
        effects.append(
            Effect(
                text=_(
                    "%(name)s: the days before %(day)s that are not charged yet",
                    name=owed.label,
                    day=written(on, scope.locale),
                ),
                kind="money",
                amount_minor=owed.amount_minor,
                currency=None if owed.amount_minor is None else owed.currency,
                inputs=str(subscription_id),
                apply=None if ending else partial(charge_arrears, subscription_id=subscription_id, day=on),
            )
        )
    return effects


class _Owed(Struct, frozen=True):
    label: str
    currency: str
    amount_minor: int | None


async def _owed(scope: Scope, subscription_id: int, on: date, *, final: bool) -> _Owed | None:
    """Worked out by the deed itself, which is taken back; without an amount where runs will have charged much of it."""
    found: list[_Owed] = []
    sql = (
        "SELECT CASE WHEN u.label <> '' THEN u.label ELSE p.name END AS label, t.currency,"
        " (SELECT CAST(sum(k.amount_minor) AS bigint) FROM charge k WHERE k.subscription_id = u.id"
        "  AND k.kind = 'recurring' AND k.id > :last) AS amount_minor"
        " FROM subscription u JOIN product p ON p.id = u.product_id"
        " JOIN subscription_term t ON t.subscription_id = u.id WHERE u.id = :id ORDER BY t.id LIMIT 1"
    )
    last = await rows(_Last, "SELECT coalesce(max(id), 0) AS id FROM charge")
    try:
        async with nothing_kept():
            await charge_arrears(scope, subscription_id, on, final=final)
            found = await rows(_Owed, sql, id=subscription_id, last=last[0].id)
    except Conflict:
        if on <= scope.today():
            raise
        return (await rows(_Owed, sql, id=subscription_id, last=last[0].id))[0]
    return found[0] if found and found[0].amount_minor is not None else None


class _Last(Struct, frozen=True):
    id: int


async def plan_date(scope: Scope, customer_id: int, status_key: str, on: date | None) -> list[Effect]:
    """A contract that will be over ends its subscriptions on that day already now, so that no day behind it is billed;
    where it is given up, they go on."""
    if on is None:
        return [
            Effect(
                text=_("%(name)s goes on, its end is dropped", name=each.label),
                kind="service",
                inputs=f"{each.id}:{each.version}",
                apply=partial(undo_cancellation, subscription_id=each.id),
            )
            for each in await queries.ones_ending_by_status(customer_id)
        ]
    if status_key not in ENDING:
        return []
    return [
        Effect(
            text=_(
                "The end of %(name)s is set to %(day)s now: nothing behind it is billed any more",
                name=each.label,
                day=written(on, scope.locale),
            ),
            kind="when",
            inputs=f"{each.id}:{each.version}",
            apply=partial(terminate, subscription_id=each.id, on=on, reason=StateReason.STATUS),
        )
        for each in await queries.endless_ones(customer_id, on)
    ]


# -- other effects of a status, for all who have it -------------------------------------------------------------------


class Owing(Struct, frozen=True):
    """A subscription whose customer's status is billed no more, and the day from which on it is not."""

    subscription_id: int
    day: date


class Resting(Struct, frozen=True):
    """A subscription whose customer's status is billed again."""

    subscription_id: int


async def plan_effects_change(
    scope: Scope, status_id: int, before: Mapping[str, bool], after: Mapping[str, bool]
) -> list[Effect]:
    effects: list[Effect] = []
    found = await queries.count_of_status(status_id)
    if before["serve"] != after["serve"] and found.served:
        text = (
            ngettext("%(num)s service is served again", "%(num)s services are served again", found.served)
            if after["serve"]
            else ngettext(
                "%(num)s service is not served any more", "%(num)s services are not served any more", found.served
            )
        )
        effects.append(Effect(text=text, kind="service", inputs=str(status_id)))
    if before["bill"] and not after["bill"]:
        effects += await _plan_rest(scope, status_id, found.charged)
    if after["bill"] and not before["bill"]:
        effects += await _plan_wake(scope, status_id)
    return effects


class _Found(Struct, frozen=True):
    id: int
    customer_id: int


async def _plan_rest(scope: Scope, status_id: int, charged: int) -> list[Effect]:
    today = scope.today()
    owed = await rows(_Found, queries.OWED_OF_STATUS, status_id=status_id, day=today)
    effects: list[Effect] = []
    if owed:
        text = ngettext(
            "Days before today that are not charged yet are charged, of %(num)s subscription",
            "Days before today that are not charged yet are charged, of %(num)s subscriptions",
            len(owed),
        )
        effects.append(
            Effect(text=text, kind="money", inputs=str(status_id), apply=partial(_charge_owed, status_id=status_id))
        )
    if charged or owed:
        text = ngettext(
            "No days from today on are charged, of %(num)s subscription",
            "No days from today on are charged, of %(num)s subscriptions",
            max(charged, len(owed)),
        )
        effects.append(
            Effect(text=text, kind="money", inputs=str(status_id), apply=partial(_rest, status_id=status_id))
        )
    return effects


async def _charge_owed(scope: Scope, status_id: int) -> None:
    today = scope.today()
    owed = await rows(_Found, queries.OWED_OF_STATUS, status_id=status_id, day=today)
    if len(owed) <= AT_ONCE:
        for each in owed:
            await charge_arrears(scope, each.id, today)
        return
    await enqueue_set(
        scope,
        "subscriptions.charge_owed",
        "SELECT '{\"subscription_id\":' || CAST(id AS text) || ',\"day\":\"' || :day_text || '\"}' AS payload,"
        " 'charge-owed:' || CAST(id AS text) || ':' || :now AS dedupe_key, customer_id"
        f" FROM ({queries.OWED_OF_STATUS}) AS owed",
        status_id=status_id,
        day=today,
        day_text=today.isoformat(),
        now=scope.now().isoformat(),
    )


async def _rest(scope: Scope, status_id: int) -> None:
    await rest_all(scope, status_id)


async def _plan_wake(scope: Scope, status_id: int) -> list[Effect]:
    resting = await rows(_Found, queries.RESTING_OF_STATUS, status_id=status_id)
    if not resting:
        return []
    text = ngettext(
        "%(num)s subscription is charged again from today on; the days before never are",
        "%(num)s subscriptions are charged again from today on; the days before never are",
        len(resting),
    )
    return [Effect(text=text, kind="money", inputs=str(status_id), apply=partial(_wake, status_id=status_id))]


async def _wake(scope: Scope, status_id: int) -> None:
    resting = await rows(_Found, queries.RESTING_OF_STATUS, status_id=status_id)
    if len(resting) <= AT_ONCE:
        for each in resting:
            await wake(scope, each.id)
        return
    await enqueue_set(
        scope,
        "subscriptions.wake",
        "SELECT '{\"subscription_id\":' || CAST(id AS text) || '}' AS payload,"
        " 'wake:' || CAST(id AS text) || ':' || :now AS dedupe_key, customer_id"
        f" FROM ({queries.RESTING_OF_STATUS}) AS resting",
        status_id=status_id,
        now=scope.now().isoformat(),
    )
