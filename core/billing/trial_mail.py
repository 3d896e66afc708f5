"""What customers are written some days before their test time is over (P5)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.settings import BillingSettings
from core.customers.queries import document_recipients, get_customer
from core.customers.status import Documents
from core.database import rows
from core.messages.actions import queue
from core.messages.kinds import MessageKind, Words
from core.money import Money
from core.settings.queries import load_settings
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class TrialNotice(Struct, frozen=True, kw_only=True):
    """What the words of this notice may use. `goes_on`: on account, with `price` for a cycle. `by_invoice`: once an
    invoice over that is paid. Neither: it ends."""

    customer: str
    company: str
    product: str
    last_day: date
    goes_on: bool
    by_invoice: bool
    price: Money
    tax_included: bool


TRIAL_ENDS: Final = MessageKind(
    key="trial_ends",
    label=N_("A test time ends"),
    about=N_("Sent once for each test time, so many days before it is over as the billing settings say"),
    fields=TrialNotice,
    sample=TrialNotice(
        customer="Siobhán Kavanagh-Reyes",
        company="Marlbeck Net",
        product="Fibre 300",
        last_day=date(2026, 12, 14),
        goes_on=True,
        by_invoice=False,
        price=Money(4500, "EUR"),
        tax_included=False,
    ),
    words={
        "en": Words(
            subject="{{ company }}: your test time of {{ product }} ends on {{ last_day }}",
            body="Dear {{ customer }},\n\nyour test time of {{ product }} lasts until {{ last_day }}."
            "{% if goes_on %} It goes on from the day after, for {{ price }}"
            "{% if not tax_included %} plus tax{% endif %}, unless you cancel it before."
            "{% elif by_invoice %} You get an invoice of {{ price }}{% if not tax_included %} plus tax{% endif %} then,"
            " and it goes on once that is paid."
            "{% else %} It ends then, and costs you nothing.{% endif +%}\n\nKind regards\n{{ company }}",
        ),
        "de": Words(
            subject="{{ company }}: Ihre Testzeit von {{ product }} endet am {{ last_day }}",
            body="Guten Tag {{ customer }},\n\nIhre Testzeit von {{ product }} läuft bis {{ last_day }}."
            "{% if goes_on %} Am Tag danach geht es weiter, für {{ price }}"
            "{% if not tax_included %} zuzüglich Steuer{% endif %}, wenn Sie nicht vorher kündigen."
            "{% elif by_invoice %} Dann erhalten Sie eine Rechnung über {{ price }}"
            "{% if not tax_included %} zuzüglich Steuer{% endif %}; ist sie bezahlt, geht es weiter."
            "{% else %} Dann endet es und kostet Sie nichts.{% endif +%}\n\nFreundliche Grüße\n{{ company }}",
        ),
    },
    names={
        "product": N_("What is tried"),
        "last_day": N_("The last day of the test time"),
        "goes_on": N_("Whether it goes on by itself, on account"),
        "by_invoice": N_("Whether it goes on once its invoice is paid"),
        "price": N_("What a cycle costs then"),
        "tax_included": N_("Whether tax is in that price"),
    },
)
MESSAGE_KINDS: Final = (TRIAL_ENDS,)


class _Ending(Struct, frozen=True):
    id: int
    customer_id: int
    name: str
    trial_ends_on: date
    at_trial_end: str
    cycle_minor: int
    currency: str
    tax_inclusive: bool


async def tell_trials(scope: Scope, day: date) -> int:
    """Write to whose test time is over within the days of the settings, once for each; gives how many were written.

    Who has cancelled it or paid for it knows. Free time that was given up to a day is no test time.
    """
    days = (await load_settings(BillingSettings)).trial_notice_days
    if not days:
        return 0
    told = 0
    for each in await rows(
        _Ending,
        "SELECT u.id, u.customer_id, CASE WHEN u.label <> '' THEN u.label ELSE p.name END AS name, u.trial_ends_on,"
        " u.at_trial_end, t.cycle_minor, t.currency, t.tax_inclusive FROM subscription u"
        " JOIN product p ON p.id = u.product_id JOIN customer c ON c.id = u.customer_id"
        " JOIN status st ON st.id = c.status_id AND st.notify"
        " JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force AND t.valid_from <= u.trial_ends_on"
        "  AND (t.valid_to IS NULL OR t.valid_to > u.trial_ends_on)"
        " WHERE u.state = 'trial' AND u.trial_ends_on > :day AND u.trial_ends_on <= :last"
        " AND (u.ends_on IS NULL OR u.at_trial_end = 'end')"
        " AND EXISTS (SELECT 1 FROM unbilled_span s WHERE s.subscription_id = u.id AND s.reason = 'trial')"
        " AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.subscription_id = u.id AND k.kind = 'recurring'"
        "  AND k.state IN ('open', 'invoiced'))"
        " AND NOT EXISTS (SELECT 1 FROM message m WHERE m.dedupe_key = 'trial_ends:' || CAST(u.id AS text) || ':'"
        "  || CAST(u.trial_ends_on AS text))"
        " ORDER BY u.trial_ends_on, u.id",
        day=day,
        last=day + timedelta(days=days),
    ):
        async with unit_of_work(scope):
            told += await _tell(scope, each)
    return told


async def _tell(scope: Scope, trial: _Ending) -> int:
    customer = await get_customer(scope, trial.customer_id)
    recipients = await document_recipients(scope, customer, Documents.REMINDERS)
    if not recipients.to:
        return 0
    await queue(
        scope,
        TRIAL_ENDS,
        to=recipients.to,
        cc=recipients.cc,
        fields=TrialNotice(
            customer=customer.full_name,
            company=scope.tenant.name,
            product=trial.name,
            last_day=trial.trial_ends_on - timedelta(days=1),
            goes_on=trial.at_trial_end == "convert",
            by_invoice=trial.at_trial_end == "invoice_first",
            price=Money(trial.cycle_minor, trial.currency),
            tax_included=trial.tax_inclusive,
        ),
        customer_id=trial.customer_id,
        dedupe_key=f"trial_ends:{trial.id}:{trial.trial_ends_on}",
        language=customer.language,
    )
    return 1
