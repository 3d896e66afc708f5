"""Asking a service about VAT ids, where a plugin brings one: now, soon, and anew before an answer gets too old.

It is asked outside every unit of work. What it answers is kept as any check is; where it does not answer nothing is
written, the last answer goes on to count, and it is asked again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core import hookspecs, outbound
from core.activity.unit import unit_of_work
from core.billing.plan import VAT_CHECK_COUNTS
from core.billing.vat_checks import homes_in_eu, keep_check, refuse_wrong_id
from core.catalog.rates import EU
from core.customers.queries import get_customer
from core.database import rows, value
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.hooks import VatAnswer, VatChecker
from core.jobs.actions import enqueue_set
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

ANEW_AFTER: Final = timedelta(days=30)
"""How old an answer is when it is asked for anew: that leaves sixty days to get one."""
MOST_A_DAY: Final = 500
"""Ids that are asked about in a day: of more, the others have their turn on the next."""
MOST_SOON: Final = 20
"""Ids that are asked about soon, of those that are new at once: an import's others wait for the daily round."""
PAUSE_SECONDS: Final = 0.5
"""Between two questions of the daily round: services refuse who asks too fast."""
SILENT_AFTER: Final = 3
"""A member whose service has not answered so often is left for the next day."""
CHECK: Final = "check_vat_id"
"""Name of the job kind, declared in `jobs`."""


class ToCheck(Struct, frozen=True):
    """`vat_id` is the one that it was about: where the customer has another one by then, there is a job for that."""

    customer_id: int
    vat_id: str


class CheckReport(Struct, frozen=True):
    """What a round came to."""

    valid: int = 0
    not_valid: int = 0
    no_answer: int = 0
    left: int = 0
    """Not asked about: a service that was silent before, or too many for a day."""
    silence: str = ""
    """What was said instead of the last answer that is missing."""


async def find_checker(scope: Scope) -> tuple[str, VatChecker] | None:
    """The service that is asked, with the plugin that brings it."""
    for answer in await scope.hooks.ask(hookspecs.vat_checkers, scope=scope):
        if answer.error is None:
            for checker in answer.value or ():
                return answer.plugin, checker
    return None


async def check_now(scope: Scope, customer_id: int, vat_id: str = "") -> bool | None:
    """Ask about the customer's VAT id and keep the answer; gives whether it is valid. None where it has another id than
    `vat_id` by now, or is gone: nothing is kept then.

    Raises Invalid where there is nothing to ask about, Conflict where nobody can be asked, Unavailable without answer.
    """
    customer = await _who_has(scope, customer_id, vat_id)
    if customer is None:
        return None
    scope.refuse_on_test_clock()
    await refuse_wrong_id(scope, customer)
    found = await find_checker(scope)
    if found is None:
        raise Conflict(_("No plugin is switched on that asks about VAT ids. Note the answer by hand."))
    plugin, checker = found
    said = await _answer_of(plugin, checker, lambda: checker.ask(scope, customer.vat_id))
    async with unit_of_work(scope):
        await value("SELECT id FROM customer WHERE id = :id FOR NO KEY UPDATE", id=customer_id)
        now = await _who_has(scope, customer_id, vat_id)
        if now is None:
            return None
        if now.vat_id != customer.vat_id:
            raise Conflict(_("The customer's VAT id was changed meanwhile. Check the new one."))
        await keep_check(
            scope,
            now,
            scope.now(),
            valid=said.valid,
            consultation=_line(said.consultation, 60),
            source=plugin,
            trader_name=_line(said.name, 200),
            trader_address=_line(", ".join(said.address.splitlines()), 500),
        )
    return said.valid


async def _who_has(scope: Scope, customer_id: int, vat_id: str) -> CustomerDetail | None:
    """None where it does not have `vat_id` any more, if that is given, or is gone."""
    try:
        customer = await get_customer(scope, customer_id)
    except NotFound:
        if vat_id:
            return None
        raise
    return None if vat_id and customer.vat_id != vat_id else customer


async def _answer_of(plugin: str, checker: VatChecker, question: Callable[[], Awaitable[VatAnswer]]) -> VatAnswer:
    silence = _("%(service)s does not answer. Nothing was changed, try again later.", service=_(checker.label))
    return await outbound.answer_of(plugin, "service for VAT ids", question, silence)


def _line(text: str, most: int) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:most]


# -- which are asked about, and when ----------------------------------------------------------------------------------


_DECIDES: Final = """
    c.kind = 'company' AND c.vat_id <> '' AND c.tax_profile = 'standard' AND c.anonymised_at IS NULL
    AND (c.payer_id IS NULL OR c.payer_id = c.id) AND c.country IN :eu AND substr(c.vat_id, 1, 2) IN :eu_in_ids
    AND EXISTS (SELECT 1 FROM seller s WHERE s.country IN :eu AND s.country <> c.country
        AND CASE s.country WHEN 'GR' THEN 'EL' ELSE s.country END <> substr(c.vat_id, 1, 2))
    AND NOT EXISTS (SELECT 1 FROM status WHERE status.id = c.status_id AND status.kind = 'ended')
"""
"""Customers whose tax a check of their VAT id decides on documents of a seller, as `plan.stage_lines` has it."""
_ASKED: Final = f"(SELECT max(v.checked_at) FROM vat_check v WHERE v.vat_id = c.vat_id AND {VAT_CHECK_COUNTS})"


async def _values(scope: Scope) -> dict[str, Any] | None:
    """None where no seller is in the EU: no check decides about anything."""
    if not await homes_in_eu(scope):
        return None
    return {
        "eu": sorted(EU),
        "eu_in_ids": sorted("EL" if each == "GR" else each for each in EU),
        "before": scope.now() - ANEW_AFTER,
    }


async def ask_soon(scope: Scope, customer_ids: Sequence[int]) -> int:
    """Leave a job for each of these whose VAT id decides about its tax and was not asked about for thirty days; of many
    at once the daily round asks about the rest. Gives how many were new. For a plugin that hears of new and changed
    customers."""
    given = await _values(scope)
    if given is None or scope.tenant.test_clock:
        return 0
    return await enqueue_set(
        scope,
        CHECK,
        "SELECT '{\"customer_id\":' || CAST(c.id AS text) || ',\"vat_id\":\"' || c.vat_id || '\"}' AS payload,"
        " 'vat_check:' || CAST(c.id AS text) || ':' || CAST(c.version AS text) || ':' || :on AS dedupe_key,"
        " c.id AS customer_id"
        f" FROM customer c WHERE c.id IN :ids AND {_DECIDES} AND coalesce({_ASKED} < :before, TRUE)"
        " ORDER BY c.id LIMIT :most",
        ids=list(customer_ids),
        most=MOST_SOON,
        on=scope.today().isoformat(),
        **given,
    )


class _Due(Struct, frozen=True):
    customer_id: int
    vat_id: str


async def check_due(scope: Scope, progress: Callable[[int, int], Awaitable[None]]) -> CheckReport | None:
    """The daily round: every id whose answer is thirty days old or was never given, one by one, the oldest answers
    first and those never asked about behind them. None where there is nobody to ask."""
    if scope.tenant.test_clock or await find_checker(scope) is None or (given := await _values(scope)) is None:
        return None
    due = await rows(
        _Due,
        f"SELECT min(c.id) AS customer_id, c.vat_id FROM customer c WHERE {_DECIDES}"
        f" AND coalesce({_ASKED} < :before, TRUE) GROUP BY c.vat_id"
        f" ORDER BY min(CASE WHEN {_ASKED} IS NULL THEN 1 ELSE 0 END), min({_ASKED}), min(c.id) LIMIT :most",
        most=MOST_A_DAY * 10,
        **given,
    )
    answers: dict[bool | None, int] = Counter()  # none where there is no one to ask about any more
    silent = Counter[str]()
    asked, left, no_answer, silence = 0, 0, 0, ""
    for place, each in enumerate(due):
        member = each.vat_id[:2]
        if asked == MOST_A_DAY or silent[member] == SILENT_AFTER:
            left += 1
            continue
        await progress(place, len(due))
        if asked:
            await asyncio.sleep(PAUSE_SECONDS)
        asked += 1
        try:
            answers[await check_now(scope, each.customer_id, each.vat_id)] += 1
        except Invalid:  # it was never one to be asked about
            left += 1
        except (Unavailable, Conflict) as error:
            silent[member] += 1
            no_answer += 1
            silence = error.message
        else:
            silent[member] = 0
    return CheckReport(answers[True], answers[False], no_answer, left, silence)
