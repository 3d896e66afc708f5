"""Work on customers that takes a while."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import again, unit_of_work
from core.catalog import queries as catalog
from core.customers.actions import (
    LINK_LASTS,
    MAIL_EMAIL_CHANGE,
    carry_out_planned,
    due_planned_statuses,
    make_email_link,
)
from core.customers.actions.anonymise import FINISH, Finish, finish_erasing, forget_the_anonymised
from core.customers.importing import actions, steps
from core.customers.importing.actions import Mode
from core.customers.importing.files import count_lines, file_of, forget_file, forget_named
from core.customers.importing.queries import get_batch
from core.customers.schemas import EmailConfirmMail, EmailNoticeMail, MailEmailChange
from core.customers.statuses import get_planned
from core.documents.files import sweep_files
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.messages.actions import queue, write_message
from core.staff.queries import find_known
from core.texts import N_, _, speaking

if TYPE_CHECKING:
    from core.scope import Scope


NEVER_GIVES_UP: Final = 10_000
"""Attempts, of which all but the first few are an hour apart: more than a year."""


class OfBatch(Struct, frozen=True):
    """An import that the work is about."""

    batch_id: int
    mode: Mode = "skip-bad"
    language: str = ""
    """Of whoever asked for it: what is wrong with a file is told in it. The tenant's where it is left out."""


class OfStep(Struct, frozen=True):
    """What is made of an import's records: its step."""

    batch_id: int
    step: str
    language: str = ""


class Imported(Struct, frozen=True):
    """What came of it."""

    records: int
    customers: int


async def check(scope: Scope, job: Job[OfBatch]) -> Imported:
    """Read the file and judge its records; nobody becomes a customer yet."""
    batch = await get_batch(scope, job.payload.batch_id)
    path = file_of(scope, batch)
    lines = await count_lines(path)

    async def told(records: int) -> None:
        await job.progress(records, max(lines, records) if lines else 0, _("Reading and checking"))

    with speaking(job.payload.language or scope.locale):
        report = await actions.stage_import(
            scope, path, batch.matched(), name=batch.file_name, plans=await plan_names(), told=told
        )
    return Imported(report.records, 0)


async def take(scope: Scope, job: Job[OfBatch]) -> Imported:
    """Make the customers."""

    async def progress(done: int, total: int, text: str) -> None:
        await job.progress(done, total, text)

    with speaking(job.payload.language or scope.locale):
        report = await actions.take_over(scope, job.payload.batch_id, mode=job.payload.mode, progress=progress)
    await forget_file(scope, await get_batch(scope, job.payload.batch_id))
    return Imported(report.records, report.imported)


async def undo(scope: Scope, job: Job[OfBatch]) -> Imported:
    """Take the customers of an import away again."""

    async def progress(done: int, total: int, text: str) -> None:
        await job.progress(done, total, text)

    with speaking(job.payload.language or scope.locale):
        return Imported(0, await actions.undo_import(scope, job.payload.batch_id, progress=progress))


async def take_step(scope: Scope, job: Job[OfStep]) -> Imported:
    """Make what a step makes of the records of an import: book balances, make subscriptions."""
    with speaking(job.payload.language or scope.locale):
        done = await steps.take_step(scope, job.payload.batch_id, job.payload.step, progress=job.progress)
    return Imported(done.total, done.taken)


async def forget(scope: Scope, job: Job[Scheduled]) -> None:
    """Staged records and files that are no longer needed."""
    for name in await actions.forget_old_imports(scope):
        await forget_named(scope, name)


async def finish(scope: Scope, job: Job[Finish]) -> None:
    """What customers were called is taken out of the files of the database too, and their files from the disk."""
    await sweep_files(scope)
    await finish_erasing(scope)


async def forget_anonymised(scope: Scope, job: Job[Scheduled]) -> None:
    """Jobs that were still to do when their customer was anonymised say nothing any more."""
    await forget_the_anonymised(scope)


class PlannedDone(Struct, frozen=True):
    """How many planned changes were made, and how many were refused."""

    done: int
    refused: int


async def change_planned(scope: Scope, job: Job[Scheduled]) -> PlannedDone:
    """Changes of status whose day has begun, each in a commit of its own: what is done stays done."""
    done = refused = 0
    due = await due_planned_statuses(job.payload.on)
    for place, planned_id in enumerate(due):
        refusal = await again(partial(_change_one, scope, job, planned_id))
        refused += refusal is not None
        done += refusal is None
        await job.progress(place + 1, len(due))
    return PlannedDone(done, refused)


async def _change_one(scope: Scope, job: Job[Scheduled], planned_id: int) -> str | None:
    async with unit_of_work(scope):
        await job.check_claim()
        refusal = await carry_out_planned(scope, planned_id)
        if refusal is not None:
            await _tell_planner(scope, planned_id, refusal)
        return refusal


async def _tell_planner(scope: Scope, planned_id: int, refusal: str) -> None:
    """Whoever planned it reads of the refusal; the customer's page and the dashboard tell everybody."""
    planned = await get_planned(scope, planned_id)
    kind, _id, number = planned.planned_by.partition(":")
    known = await find_known(int(number)) if kind == "staff" and number.isdecimal() else None
    if known is None:
        return
    with speaking(known.language or scope.tenant.language):
        subject = _("The planned change of %(name)s was refused", name=planned.customer)
        text = _(
            "%(name)s was to become %(status)s on %(day)s. This was refused: %(why)s\n\n%(address)s",
            name=planned.customer,
            status=planned.label,
            day=planned.happens_on,
            why=refusal,
            address=f"{scope.tenant.address}/customers/{planned.customer_id}",
        )
    await write_message(scope, planned.customer_id, subject=subject, text=text, to=[known.email])


async def mail_email_change(scope: Scope, job: Job[MailEmailChange]) -> None:
    """Mail the link to the new address of a user, and tell the old one, once. Nothing is mailed for what was confirmed
    or given up meanwhile. A second attempt mails a new link: the first one stopped working."""
    async with unit_of_work(scope):
        made = await make_email_link(scope, job.payload.change_id)
        if made is None:
            return
        pending, company = made.pending, scope.tenant.name
        await queue(
            scope,
            "user_email_confirm",
            to=[pending.email],
            fields=EmailConfirmMail(
                name=pending.name.strip(),
                company=company,
                email=pending.email,
                link=f"{scope.tenant.address}/email/{made.token}",
                minutes=int(LINK_LASTS.total_seconds() // 60),
            ),
            customer_id=pending.customer_id,
            dedupe_key=f"email-confirm:{job.id}:{job.attempt}",
            language=pending.language,
        )
        await queue(
            scope,
            "user_email_notice",
            to=[pending.old],
            fields=EmailNoticeMail(name=pending.name.strip(), company=company, old=pending.old, new=pending.email),
            customer_id=pending.customer_id,
            dedupe_key=f"email-notice:{pending.id}",
            language=pending.language,
        )


async def plan_names() -> dict[str, str]:
    """Codes of products by the names that a file may call them."""
    products = await catalog.list_products()
    return {product.name: product.code for product in products} | {product.code: product.code for product in products}


CHECK_IMPORT: Final = JobKind(
    "customers.check_import", OfBatch, check, limit=None, label=N_("Checking a file of customers")
)
TAKE_IMPORT: Final = JobKind("customers.take_import", OfBatch, take, limit=None, label=N_("Importing customers"))
UNDO_IMPORT: Final = JobKind("customers.undo_import", OfBatch, undo, limit=None, label=N_("Undoing an import"))
TAKE_STEP: Final = JobKind(
    "customers.take_import_step", OfStep, take_step, limit=None, label=N_("Going on with an import")
)
FORGET_IMPORTS: Final = JobKind("customers.forget_imports", Scheduled, forget, label=N_("Forgetting old imports"))

FINISH_ERASING: Final = JobKind(
    FINISH, Finish, finish, attempts=NEVER_GIVES_UP, limit=None, label=N_("Erasing what anonymising left")
)
FORGET_ANONYMISED: Final = JobKind(
    "customers.forget_anonymised", Scheduled, forget_anonymised, label=N_("Forgetting anonymised customers")
)
CHANGE_PLANNED: Final = JobKind(
    "customers.change_planned", Scheduled, change_planned, limit=None, label=N_("Planned changes of status")
)

MAIL_CHANGE: Final = JobKind(
    MAIL_EMAIL_CHANGE, MailEmailChange, mail_email_change, label=N_("Mailing a link to confirm an e-mail by")
)

JOBS: Final[tuple[JobKind[Any], ...]] = (
    MAIL_CHANGE,
    CHECK_IMPORT,
    TAKE_IMPORT,
    UNDO_IMPORT,
    TAKE_STEP,
    FORGET_IMPORTS,
    CHANGE_PLANNED,
    FINISH_ERASING,
    FORGET_ANONYMISED,
)
SCHEDULES: Final = (
    Schedule("planned_statuses", CHANGE_PLANNED, DailyAt(0)),
    Schedule("forget_imports", FORGET_IMPORTS, DailyAt(4, 30)),
    Schedule("forget_anonymised", FORGET_ANONYMISED, DailyAt(4, 40)),
)
