"""What billing does in the background: the daily run, and the PDF and e-mail of every document that is issued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.billing.actions.dunning import DunningReport, run_dunning
from core.billing.dunning import DunningSettings
from core.billing.erasing import erase_retained
from core.billing.mailing import document_file, send_document
from core.billing.recognition import recognise
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.settings import BillingSettings
from core.billing.trial_mail import tell_trials
from core.billing.vat_asking import CHECK, CheckReport, ToCheck, check_due, check_now
from core.billing.verify import verify
from core.billing.writing import queue_documents
from core.errors import Conflict, Unavailable
from core.jobs.actions import enqueue_set
from core.jobs.kinds import Job, JobKind, of_crowd
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.settings.queries import load_settings
from core.texts import N_, _

if TYPE_CHECKING:
    from core.scope import Scope


class ToBill(Struct, frozen=True):
    """A run that a person asked for. `confirmed`: the question that it asks is answered."""

    as_of: date
    confirmed: bool = False


class ToPreview(Struct, frozen=True):
    as_of: date


class ToDeliver(Struct, frozen=True):
    """`again`: staff want it sent, whether it was before or not. Without `send` its PDF is made, and that is all."""

    document_id: int
    again: bool = False
    send: bool = True


class Delivered(Struct, frozen=True):
    """The stored file, and the message that carries it; none where the customer gets no mail."""

    file_id: int
    message_id: int | None


class Verified(Struct, frozen=True):
    """Nothing was found wrong on this day."""

    on: date


async def bill_daily(scope: Scope, job: Job[Scheduled]) -> RunReport | None:
    """The tenant's day. Nothing is billed while the books are wrong: a person must look."""
    if not (await load_settings(BillingSettings)).run_daily:
        return None
    if wrong := await verify(scope):
        raise Conflict(
            _(
                "Billing stopped: %(rule)s (%(count)s times, first at %(example)s).",
                rule=wrong[0].rule,
                count=wrong[0].count,
                example=wrong[0].example,
            )
        )
    return await run_billing(scope, job.payload.on, progress=job.progress, job_id=job.id)


async def verify_daily(scope: Scope, job: Job[Scheduled]) -> Verified:
    """All that `tenantry verify` asks, also what is too much for each run: files, references, the last run again."""
    wrong = await verify(scope, thorough=True)
    if wrong:
        told = "; ".join(f"{one.key} {one.rule} ({one.count} times, first at {one.example})" for one in wrong)
        raise Conflict(_("The books are not right: %(told)s.", told=told))
    return Verified(job.payload.on)


class Earned(Struct, frozen=True):
    """Months whose revenue was recognised."""

    months: list[date]


async def recognise_revenue(scope: Scope, job: Job[Scheduled]) -> Earned:
    """Once a month there is something to do; a month that was missed is made up for."""
    return Earned([each.month for each in await recognise(scope)])


class Erased(Struct, frozen=True):
    """How many documents lost their buyer."""

    documents: int


async def erase(scope: Scope, job: Job[Scheduled]) -> Erased:
    """Documents of anonymised customers that need not be kept any longer."""
    return Erased(await erase_retained(scope))


async def dun_daily(scope: Scope, job: Job[Scheduled]) -> DunningReport | None:
    """The steps of the tenant's day, behind its billing: new invoices and the credit that pays them come first."""
    if not (await load_settings(DunningSettings)).enabled:
        return None
    return await run_dunning(scope, progress=job.progress)


class Told(Struct, frozen=True):
    """How many customers were written."""

    customers: int


async def tell_trials_daily(scope: Scope, job: Job[Scheduled]) -> Told:
    """By day, not at the hour of the billing: it is read by people."""
    return Told(await tell_trials(scope, job.payload.on))


async def bill(scope: Scope, job: Job[ToBill]) -> RunReport:
    return await run_billing(
        scope, job.payload.as_of, confirmed=job.payload.confirmed, progress=job.progress, job_id=job.id
    )


async def preview(scope: Scope, job: Job[ToPreview]) -> RunReport:
    """What a run would do, kept as the job's result: of many payers it takes longer than a page may."""
    return await run_billing(scope, job.payload.as_of, preview=True, progress=job.progress)


async def deliver(scope: Scope, job: Job[ToDeliver]) -> Delivered:
    document_id, again = job.payload.document_id, job.payload.again
    file = await document_file(scope, document_id)
    if not job.payload.send:
        return Delivered(file.id, None)
    once = f"document:{document_id}:job:{job.id}"
    return Delivered(file.id, await send_document(scope, document_id, again=again, once=once))


class VatChecked(Struct, frozen=True):
    """`valid` is none where the service did not answer, or the customer has another VAT id by now."""

    valid: bool | None


CHECK_ATTEMPTS: Final = 6
AGAIN_AFTER: Final = 900
"""Seconds until a service for VAT ids that was silent is asked again."""


async def check_vat_id(scope: Scope, job: Job[ToCheck]) -> VatChecked:
    """Silent to the end, it is left to the daily round: no person need look."""
    try:
        return VatChecked(await check_now(scope, job.payload.customer_id, job.payload.vat_id))
    except Unavailable as error:
        if job.attempt >= CHECK_ATTEMPTS:
            return VatChecked(None)
        raise Unavailable(error.message, retry_after=AGAIN_AFTER) from error


async def check_vat_ids(scope: Scope, job: Job[Scheduled]) -> CheckReport | None:
    """Before the day's billing."""
    return await check_due(scope, job.progress)


VERIFY_DAILY: Final = JobKind(
    "verify_daily", Scheduled, verify_daily, limit=None, attempts=1, label=N_("Daily check of the books")
)
RECOGNISE: Final = JobKind(
    "recognise_revenue", Scheduled, recognise_revenue, limit=None, label=N_("Deferred revenue becomes revenue")
)
BILL_DAILY: Final = JobKind("billing_daily", Scheduled, bill_daily, limit=None, label=N_("Daily billing run"))
BILL: Final = JobKind("billing_run", ToBill, bill, limit=None, label=N_("Billing run"))
PREVIEW: Final = JobKind("billing_preview", ToPreview, preview, limit=None, label=N_("Preview of a billing run"))
ERASE: Final = JobKind(
    "erase_retained", Scheduled, erase, limit=None, label=N_("Erasing documents whose time to keep is over")
)
DUN_DAILY: Final = JobKind("dunning_daily", Scheduled, dun_daily, limit=None, label=N_("Daily dunning"))
TELL_TRIALS: Final = JobKind(
    "trial_notices", Scheduled, tell_trials_daily, limit=None, label=N_("Test times that end soon")
)
DELIVER: Final = JobKind("deliver_document", ToDeliver, deliver, label=N_("Document as PDF and e-mail"))
CHECK_VAT_ID: Final = JobKind(CHECK, ToCheck, check_vat_id, attempts=CHECK_ATTEMPTS, label=N_("Check of a VAT id"))
CHECK_VAT_IDS: Final = JobKind(
    "check_vat_ids", Scheduled, check_vat_ids, limit=None, label=N_("Daily check of VAT ids")
)


async def queue_delivery(scope: Scope, select: str, parameters: Mapping[str, Any]) -> None:
    """In the unit of work that issues: one job for each document; those of a billing run are a crowd. A proforma goes
    out when staff say so."""
    await enqueue_set(
        scope,
        DELIVER,
        "SELECT '{\"document_id\":' || CAST(document_id AS text)"
        " || CASE WHEN kind = 'proforma' THEN ',\"send\":false}' ELSE '}' END AS payload,"
        " 'document:' || CAST(document_id AS text) AS dedupe_key, payer_id AS customer_id"
        f" FROM ({select}) AS issued WHERE kind IN ('invoice', 'credit_note', 'proforma')",
        crowd=of_crowd.get(),
        **parameters,
    )


queue_documents(queue_delivery)

JOBS: Final = (
    RECOGNISE,
    VERIFY_DAILY,
    BILL_DAILY,
    BILL,
    PREVIEW,
    DELIVER,
    ERASE,
    DUN_DAILY,
    TELL_TRIALS,
    CHECK_VAT_ID,
    CHECK_VAT_IDS,
)
SCHEDULES: Final = (
    Schedule("recognise_revenue", RECOGNISE, DailyAt(0, 30)),
    Schedule("check_vat_ids", CHECK_VAT_IDS, DailyAt(1)),
    Schedule("verify_daily", VERIFY_DAILY, DailyAt(2)),
    Schedule("billing_daily", BILL_DAILY, DailyAt(3)),
    Schedule("erase_retained", ERASE, DailyAt(4)),
    Schedule("dunning_daily", DUN_DAILY, DailyAt(6)),
    Schedule("trial_notices", TELL_TRIALS, DailyAt(9)),
)
