"""Dunning at work: the steps of a day, the policy, promises to pay and disputes."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, savepoint, unit_of_work
from core.billing.actions.allocation import allocate_credit, lock_balance
from core.billing.dunning import DunningSettings, NextStep, Step, StepFields, each_due, list_steps, overdue_of
from core.billing.dunning_mail import remind
from core.billing.events import (
    DisputeClosed,
    DunningStepDone,
    DunningStepsChanged,
    InvoiceDisputed,
    PaymentPromised,
    PromiseBroken,
    PromiseWithdrawn,
)
from core.billing.settings import BillingSettings
from core.billing.tables import DocumentState
from core.customers.actions import change_status
from core.customers.status import StatusKind, StatusReason
from core.database import execute, row, rows, value, values, within
from core.errors import Conflict, DomainError, Invalid, NotFound, TryAgain
from core.ledger.fx import convert, official_rate
from core.settings.queries import load_settings
from core.subscriptions.actions import add_charge
from core.subscriptions.actions.shared import payers_language
from core.subscriptions.schemas import NewCharge
from core.texts import _, speaking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from core.scope import Scope

MOST_DAYS_PROMISED: Final = 366
PAUSE: Final = 0.02


class DunningReport(Struct, kw_only=True):
    """What a day of dunning did. `failed` counts payers whose steps were taken back; the next day tries again."""

    looked_at: int = 0
    steps: int = 0
    messages: int = 0
    moved: int = 0
    fees: int = 0
    broken: int = 0
    failed: int = 0
    rested: bool = False


async def run_dunning(
    scope: Scope,
    *,
    pause: float = PAUSE,
    progress: Callable[[int, int, str], Awaitable[None] | None] | None = None,
) -> DunningReport:
    """The steps of today, each payer in a commit of its own. Repeated, killed, or run twice at once: each step of an
    invoice is done once, ever."""
    report, today = DunningReport(), scope.today()
    settings = await load_settings(DunningSettings)
    report.broken = await _break_promises(scope, today)
    if settings.rests_on(today):
        report.rested = True
        return report
    steps = await list_steps(in_force=False)
    seen: set[int] = set()
    async for looked, due in each_due(scope, steps, today):
        report.looked_at += looked
        for payer_id in dict.fromkeys(each.document.payer_id for each in due):
            if payer_id in seen:
                continue
            seen.add(payer_id)
            await _dun_payer(scope, payer_id, steps, settings, report)
            await asyncio.sleep(pause)
        if progress is not None:
            told = progress(report.looked_at, report.looked_at, _("%(count)s steps", count=report.steps))
            if told is not None:
                await told
    return report


async def _dun_payer(
    scope: Scope, payer_id: int, steps: Sequence[Step], settings: DunningSettings, report: DunningReport
) -> None:
    """All steps of one payer in one commit; one payer that fails does not keep the others waiting."""
    for attempt in range(3):
        made = msgspec.structs.replace(report)
        try:
            async with unit_of_work(scope):
                # Payments lock the balances first, too: whoever pays now has paid, or pays after this.
                for currency in await values(
                    "SELECT currency FROM customer_balance WHERE customer_id = :id ORDER BY currency", id=payer_id
                ):
                    await lock_balance(payer_id, currency)
                for due in await overdue_of(payer_id, steps, scope.today()):
                    await _take_step(scope, due, settings, made)
        except TryAgain:
            if attempt == 2:
                report.failed += 1
            continue
        except DomainError:
            report.failed += 1
            return
        for name in ("steps", "messages", "moved", "fees"):
            setattr(report, name, getattr(made, name))
        return


async def _take_step(scope: Scope, due: NextStep, settings: DunningSettings, report: DunningReport) -> None:
    document, step = due.document, due.step
    event_id = await value(
        "INSERT INTO dunning_event (document_id, step_id, payer_id, done_on, counted_on, currency)"
        " VALUES (:document, :step, :payer, :today, :counted, :currency)"
        " ON CONFLICT (document_id, step_id) DO NOTHING RETURNING id",
        document=document.document_id,
        step=step.id,
        payer=document.payer_id,
        today=scope.today(),
        counted=due.counted_on,
        currency=document.currency,
    )
    if event_id is None:
        return
    effect, refused = await _move(scope, due, settings) if step.effect else ("", "")
    charge_id, fee = await _charge_fee(scope, due) if step.fee_minor else (None, 0)
    message = step.message
    if message == "service_blocked" and not effect:
        message = "payment_reminder"  # what was not done is not told
    message_id = await remind(scope, due, message, fee) if message and document.notify else None
    await execute(
        "UPDATE dunning_event SET days = :days, effect = :effect, refused = :refused, message = :message,"
        " message_id = :message_id, charge_id = :charge, fee_minor = :fee WHERE id = :id",
        days=step.days,
        effect=effect,
        refused=refused,
        message=message if message_id is not None else "",
        message_id=message_id,
        charge=charge_id,
        fee=fee,
        id=event_id,
    )
    await execute(
        "UPDATE document_state SET last_step = :days WHERE document_id = :id", days=step.days, id=document.document_id
    )
    record(
        scope,
        DunningStepDone(invoice_id=document.document_id, customer_id=document.payer_id, days=step.days, effect=effect),
    )
    report.steps += 1
    report.messages += message_id is not None
    report.moved += bool(effect)
    report.fees += charge_id is not None


async def _move(scope: Scope, due: NextStep, settings: DunningSettings) -> tuple[str, str]:
    """The payer, and where it is so set those it pays for on this invoice; gives the status set, or why none was."""
    document, to = due.document, due.step.effect
    status = await row(_Standing, f"{_STANDING} WHERE c.id = :id", id=document.payer_id)
    assert status is not None
    if status.key == to:
        effect, refused = (to, "") if status.reason == StatusReason.DUNNING else ("", _("It has this status already."))
    elif not status.movable:
        effect, refused = "", _("Its status was not set by dunning: it stays.")
    else:
        effect, refused = await _change(scope, document.payer_id, to)
    if effect and settings.block_children:
        for child in await rows(
            _Standing,
            f"{_STANDING} WHERE c.id IN (SELECT l.beneficiary_id FROM document_line l WHERE l.document_id = :document)"
            " AND c.id <> :payer ORDER BY c.id",
            document=document.document_id,
            payer=document.payer_id,
        ):
            if not child.never_block and child.movable and child.key != to:
                await _change(scope, child.id, to)
    return effect, refused


class _Standing(Struct, frozen=True):
    """A customer's status as it is now: steps of other invoices may have moved it a moment ago."""

    id: int
    key: str
    kind: str
    reason: str
    never_block: bool

    @property
    def movable(self) -> bool:
        """Whether dunning may set another: a block that a person has set stays, and so does whatever has ended."""
        return self.kind == StatusKind.LIVE or (self.kind == StatusKind.BLOCKED and self.reason == StatusReason.DUNNING)


_STANDING: Final = (
    "SELECT c.id, st.key, st.kind, c.status_reason AS reason, c.never_block"
    " FROM customer c JOIN status st ON st.id = c.status_id"
)


async def _change(scope: Scope, customer_id: int, to: str) -> tuple[str, str]:
    try:
        async with savepoint():
            await change_status(scope, customer_id, to, reason=StatusReason.DUNNING)
    except (Conflict, Invalid) as error:
        return "", error.message
    return to, ""


async def _charge_fee(scope: Scope, due: NextStep) -> tuple[int | None, int]:
    """The fee on the payer's next invoice, outside VAT or with the tax in it that the tenant says; none on what is a
    fee itself, none without a rate."""
    document = due.document
    fees = await value(
        "SELECT CAST(coalesce(sum(l.net_minor + l.tax_minor), 0) + max(d.rounding_minor) AS bigint)"
        " FROM document d LEFT JOIN document_line l ON l.document_id = d.id AND l.kind = 'fee' WHERE d.id = :id",
        id=document.document_id,
    )
    if document.open_minor <= int(fees):
        return None, 0
    currency = str(await value("SELECT currency FROM customer WHERE id = :id", id=document.payer_id))
    rate = await official_rate(scope.tenant.currency, scope.tenant.currency, currency, scope.today())
    if rate is None or currency != document.currency:
        return None, 0
    fee = convert(due.step.fee_minor, scope.tenant.currency, currency, rate)
    category = (await load_settings(BillingSettings)).fee_tax
    with speaking(await payers_language(scope, document.payer_id)):
        description = _("Late fee for invoice %(number)s", number=document.number)
    charge_id = await add_charge(
        scope,
        NewCharge(
            customer_id=document.payer_id,
            description=description,
            amount_minor=fee,
            kind="fee",
            tax_category=category,
            tax_inclusive=category != "outside",
            source_key=f"dunning:{document.document_id}:{due.step.id}",
        ),
    )
    return charge_id, fee


# -- the policy -------------------------------------------------------------------------------------------------------


def _check(fields: StepFields) -> None:
    if not (fields.message or fields.effect or fields.fee_minor):
        raise Invalid(_("A step sends a message, changes the status, or costs something."), field="message")


async def save_step(scope: Scope, fields: StepFields, step_id: int | None = None) -> int:
    """Add a step, or change one; invoices that had it do not have it again. Gives its id."""
    _check(fields)
    async with unit_of_work(scope):
        taken = await value(
            "SELECT id FROM dunning_step WHERE days = :days AND in_force AND id <> :id",
            days=fields.days,
            id=step_id or 0,
        )
        if taken is not None:
            raise Invalid(_("There is a step on this day already."), field="days")
        given = {name: getattr(fields, name) for name in StepFields.__struct_fields__}
        before: Step | None = None
        if step_id is None:
            step_id = int(
                await value(
                    "INSERT INTO dunning_step (days, message, effect, fee_minor)"
                    " VALUES (:days, :message, :effect, :fee_minor) RETURNING id",
                    **given,
                )
            )
        else:
            before = await get_step(step_id)
            await execute(
                "UPDATE dunning_step SET days = :days, message = :message, effect = :effect, fee_minor = :fee_minor"
                " WHERE id = :id",
                id=step_id,
                **given,
            )
        changes = {name: (getattr(before, name, None), each) for name, each in given.items()}
        changed = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
        if changed:
            record(scope, DunningStepsChanged(dunning_step_id=step_id), changes=changed)
        return step_id


async def get_step(step_id: int) -> Step:
    found = next((step for step in await list_steps() if step.id == step_id), None)
    if found is None:
        raise NotFound(f"dunning step {step_id}")
    return found


async def remove_step(scope: Scope, step_id: int) -> None:
    """No invoice has it any more; those that had it keep it in their history."""
    async with unit_of_work(scope):
        step = await get_step(step_id)
        await execute("UPDATE dunning_step SET in_force = FALSE WHERE id = :id", id=step_id)
        record(scope, DunningStepsChanged(dunning_step_id=step_id), changes={"days": (step.days, None)})


# -- what pauses it ---------------------------------------------------------------------------------------------------


class NewPromise(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The day by which it will be paid; dunning rests until it is over."""

    until_on: date
    note: Annotated[str, Meta(max_length=500)] = ""


class NewDispute(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the customer says is wrong with it."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Closed(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What came of the dispute."""

    answer: Annotated[str, Meta(min_length=1, max_length=500)]


class _Open(Struct, frozen=True):
    payer_id: int
    open_minor: int
    kind: str
    disputed: bool
    promise_on: date | None


async def _lock(scope: Scope, document_id: int) -> _Open:
    found = await row(
        _Open,
        "SELECT s.payer_id, s.open_minor, d.kind, s.disputed, s.promise_on FROM document_state s"
        " JOIN document d ON d.id = s.document_id WHERE s.document_id = :id AND :within FOR UPDATE OF s",
        id=document_id,
        within=within(DocumentState, scope.actor.reach, alias="s"),
    )
    if found is None or found.kind not in ("invoice", "opening"):
        raise NotFound(f"invoice {document_id}")
    return found


async def promise(scope: Scope, document_id: int, data: NewPromise) -> None:
    """The customer says by when an invoice is paid; another promise takes the place of one that is open."""
    async with unit_of_work(scope):
        found = await _lock(scope, document_id)
        today = scope.today()
        if not found.open_minor:
            raise Conflict(_("Nothing is open on it."))
        if not today <= data.until_on <= today + timedelta(days=MOST_DAYS_PROMISED):
            raise Invalid(_("Choose today or a day within a year."), field="until_on")
        await _close_promise(document_id, "replaced", today)
        await execute(
            "INSERT INTO promise (document_id, until_on, note, made_by, made_on)"
            " VALUES (:id, :until, :note, :by, :today)",
            id=document_id,
            until=data.until_on,
            note=data.note.strip(),
            by=scope.actor.name,
            today=today,
        )
        await execute(
            "UPDATE document_state SET promise_on = :until WHERE document_id = :id", until=data.until_on, id=document_id
        )
        record(
            scope,
            PaymentPromised(invoice_id=document_id, customer_id=found.payer_id, until_on=data.until_on.isoformat()),
            changes={
                "promise_on": (found.promise_on, data.until_on),
                **({"note": (None, data.note.strip())} if data.note.strip() else {}),
            },
        )


async def withdraw_promise(scope: Scope, document_id: int) -> None:
    """It is dunned on from today."""
    async with unit_of_work(scope):
        found = await _lock(scope, document_id)
        if not await _close_promise(document_id, "withdrawn", scope.today()):
            raise Conflict(_("Nothing is promised for it."))
        await execute("UPDATE document_state SET promise_on = NULL WHERE document_id = :id", id=document_id)
        record(
            scope,
            PromiseWithdrawn(invoice_id=document_id, customer_id=found.payer_id),
            changes={"promise_on": (found.promise_on, None)},
        )


async def _close_promise(document_id: int, state: str, today: date) -> int:
    return await execute(
        "UPDATE promise SET state = :state, closed_on = :today WHERE document_id = :id AND state = 'open'",
        state=state,
        today=today,
        id=document_id,
    )


class _Broken(Struct, frozen=True):
    document_id: int
    payer_id: int


async def _break_promises(scope: Scope, today: date, most: int = 500) -> int:
    """Promises whose day is over while something is open; gives how many there were."""
    broken = 0
    while True:
        async with unit_of_work(scope):
            found = await rows(
                _Broken,
                "SELECT p.document_id, s.payer_id FROM promise p JOIN document_state s ON s.document_id = p.document_id"
                " WHERE p.state = 'open' AND p.until_on < :today ORDER BY p.until_on, p.id LIMIT :most FOR UPDATE OF s",
                today=today,
                most=most,
            )
            ids = [each.document_id for each in found]
            if ids:
                await execute(
                    "UPDATE promise SET state = 'broken', closed_on = :today"
                    " WHERE state = 'open' AND until_on < :today AND document_id IN :ids",
                    today=today,
                    ids=ids,
                )
                await execute(
                    "UPDATE document_state SET promise_on = NULL WHERE document_id IN :ids AND promise_on < :today",
                    ids=ids,
                    today=today,
                )
            for each in found:
                record(scope, PromiseBroken(invoice_id=each.document_id, customer_id=each.payer_id))
        broken += len(found)
        if len(found) < most:
            return broken


async def open_dispute(scope: Scope, document_id: int, data: NewDispute) -> None:
    """The customer says that an invoice is wrong: it is not dunned, and credit does not pay it by itself."""
    async with unit_of_work(scope):
        found = await _lock(scope, document_id)
        if not found.open_minor:
            raise Conflict(_("Nothing is open on it."))
        if found.disputed:
            raise Conflict(_("It is disputed already."))
        if not data.reason.strip():
            raise Invalid(_("Say what is disputed."), field="reason")
        await execute(
            "INSERT INTO dispute (document_id, reason, made_by, made_on) VALUES (:id, :reason, :by, :today)",
            id=document_id,
            reason=data.reason.strip(),
            by=scope.actor.name,
            today=scope.today(),
        )
        await execute("UPDATE document_state SET disputed = TRUE WHERE document_id = :id", id=document_id)
        record(
            scope,
            InvoiceDisputed(invoice_id=document_id, customer_id=found.payer_id),
            changes={"reason": (None, data.reason.strip())},
        )


class _Payer(Struct, frozen=True):
    payer_id: int
    currency: str


async def close_dispute(scope: Scope, document_id: int, data: Closed) -> None:
    """It is settled between the two of them; the invoice is dunned on from today, and free credit pays it again."""
    async with unit_of_work(scope):
        payer = await row(
            _Payer, "SELECT payer_id, currency FROM document_state WHERE document_id = :id", id=document_id
        )
        if payer is not None:
            await lock_balance(payer.payer_id, payer.currency)
        found = await _lock(scope, document_id)
        if not data.answer.strip():
            raise Invalid(_("Say what came of it."), field="answer")
        closed = await execute(
            "UPDATE dispute SET state = 'closed', answer = :answer, closed_on = :today"
            " WHERE document_id = :id AND state = 'open'",
            answer=data.answer.strip(),
            today=scope.today(),
            id=document_id,
        )
        if not closed:
            raise Conflict(_("It is not disputed."))
        await execute("UPDATE document_state SET disputed = FALSE WHERE document_id = :id", id=document_id)
        record(
            scope,
            DisputeClosed(invoice_id=document_id, customer_id=found.payer_id),
            changes={"answer": (None, data.answer.strip())},
        )
        if payer is not None and (await load_settings(BillingSettings)).use_credit:
            await allocate_credit(scope, payer.payer_id, payer.currency)
