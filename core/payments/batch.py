"""Many payments at once: rows as typed or pasted, matched to customers and invoices, then booked by one job."""

from __future__ import annotations

import csv
import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import again, unit_of_work
from core.billing.tables import Document
from core.customers.tables import Customer
from core.database import dialect, execute, row, rows, within
from core.errors import Conflict, DomainError, FieldError, Invalid, NotFound
from core.ids import new_uuid
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.jobs.queries import get_job
from core.money import parse_amount
from core.payments.actions import find_method, receive
from core.payments.schemas import AmountMinor, NewPayment, Reference
from core.payments.suspense import NewReceipt, receive_unidentified
from core.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

MOST_ROWS: Final = 2_000
PROVIDER: Final = "batch"
Mode = Literal["all", "skip_bad", "suspense"]
"""What of bad rows: nothing is booked; they are left out; those of nobody known wait in suspense."""


class BatchRow(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A payment of a batch: `who` is an invoice's number, a customer's id or log-in name; else its reference says."""

    received_on: date | None = None
    who: Annotated[str, Meta(max_length=200)] = ""
    amount_minor: AmountMinor
    reference: Reference = ""


class NewBatch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Payments to be booked by one job, each once for ever; by one method."""

    rows: Annotated[list[BatchRow], Meta(min_length=1, max_length=MOST_ROWS)]
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    mode: Mode = "all"


class Matched(Struct, frozen=True):
    """Whose a row is: the customer, and the invoice that it pays first."""

    customer_id: int
    customer: str
    currency: str
    document_id: int | None = None
    number: str = ""


class TypedRow(Struct, frozen=True, kw_only=True):
    """A row as it was typed."""

    at: int
    received_on: str = ""
    who: str = ""
    amount: str = ""
    reference: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.received_on or self.who or self.amount or self.reference)


class CheckedRow(Struct, frozen=True, kw_only=True):
    """A row that was looked at: whose it is and what it says, or what is wrong with which of its fields."""

    typed: TypedRow
    received_on: date
    amount_minor: int = 0
    currency: str = ""
    matched: Matched | None = None
    errors: dict[str, str] = {}
    booked_id: int | None = None
    """A payment of this customer, day and amount that is there already."""
    in_batch: int | None = None
    """The job of a batch that says the same and is not over."""
    repeats: bool = False
    """Another row before it says the same."""

    @property
    def seems_booked(self) -> bool:
        return self.booked_id is not None or self.in_batch is not None or self.repeats

    @property
    def is_good(self) -> bool:
        return not self.errors

    @property
    def waits(self) -> bool:
        """Nothing is wrong with it but that nobody was found."""
        return set(self.errors) == {"who"} and self.matched is None


# -- matching ---------------------------------------------------------------------------------------------------------

_MATCHED: Final = "SELECT customer.id AS customer_id, customer.full_name AS customer, customer.currency"
_NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9/_.-]{2,39}")


async def match(scope: Scope, who: str, reference: str) -> Matched | None:
    """Whose money it is: by an invoice's number, a customer's id or log-in name, else a number in the reference."""
    who = who.strip()
    if who:
        return await _by_number(scope, [who]) or await _by_customer(scope, who)
    words = list(dict.fromkeys(_NUMBER.findall(reference)))[:20]
    return await _by_number(scope, [word for word in words if any(one.isdigit() for one in word)])


async def _by_number(scope: Scope, numbers: Sequence[str]) -> Matched | None:
    if not numbers:
        return None
    found = await rows(
        Matched,
        f"{_MATCHED.replace('customer.currency', 'document.currency')}, document.id AS document_id, document.number"
        " FROM document JOIN customer ON customer.id = document.payer_id"
        " WHERE document.number IN :numbers AND document.state = 'issued' AND document.kind IN ('invoice', 'opening',"
        " 'proforma') AND :within ORDER BY document.id DESC LIMIT 2",
        numbers=list(numbers),
        within=within(Document, scope.actor.reach),
    )
    return found[0] if len(found) == 1 else None


async def _by_customer(scope: Scope, who: str) -> Matched | None:
    number = int(who) if who.isdecimal() and len(who) < 19 else 0
    return await row(
        Matched,
        f"{_MATCHED} FROM customer WHERE (id = :id OR (login_key = :login AND login_key <> '' AND :by_name))"
        " AND :within LIMIT 1",
        id=number,
        login=who.casefold(),
        by_name=not number,
        within=within(Customer, scope.actor.reach),
    )


async def check_rows(scope: Scope, typed: Sequence[TypedRow]) -> list[CheckedRow]:
    """Each row that was filled in, with whose it is or what is wrong with it."""
    filled = [each for each in typed if not each.is_empty]
    if len(filled) > MOST_ROWS:
        raise Invalid(_("A batch has at most %(most)s rows.", most=MOST_ROWS), field="")
    return await compared([await _check(scope, each) for each in filled])


class _Same(Struct, frozen=True):
    payer_id: int
    received_on: date
    currency: str
    amount_minor: int
    id: int


_Said = tuple[int, date, str, int]


async def lock_batches() -> None:
    """Batches are looked at and left for the worker one at a time, till the end of the transaction."""
    if dialect() == "postgresql":
        await execute("SELECT pg_catalog.pg_advisory_xact_lock(hashtext('batches ' || current_schema()))")


async def compared(checked: Sequence[CheckedRow]) -> list[CheckedRow]:
    """With what seems to be booked already, is being booked, or stands twice among them: a statement is easily pasted
    again."""
    said = {at: each for at, each in enumerate(checked) if each.matched is not None and each.is_good}
    kept = await rows(
        _Same,
        "SELECT payer_id, received_on, currency, amount_minor, CAST(max(id) AS bigint) AS id FROM payment"
        " WHERE payer_id IN :payers AND received_on IN :days AND state = 'received'"
        " GROUP BY payer_id, received_on, currency, amount_minor",
        payers=sorted({each.matched.customer_id for each in said.values() if each.matched is not None}),
        days=sorted({each.received_on for each in said.values()}),
    ) if said else []  # fmt: skip
    booked: dict[_Said, int] = {(one.payer_id, one.received_on, one.currency, one.amount_minor): one.id for one in kept}
    before: set[tuple[_Said, str]] = set()
    found = list(checked)
    for at, each in said.items():
        assert each.matched is not None
        key = (each.matched.customer_id, each.received_on, each.currency, each.amount_minor)
        again_here = (key, each.typed.reference) in before
        before.add((key, each.typed.reference))
        found[at] = msgspec.structs.replace(each, booked_id=booked.get(key), repeats=again_here)
    waiting = await _waiting()
    return [
        msgspec.structs.replace(
            each, in_batch=waiting.get((each.received_on, each.typed.who, each.amount_minor, each.typed.reference))
        )
        for each in found
    ]


class _Waiting(Struct, frozen=True):
    id: int
    payload: str


async def _waiting() -> dict[tuple[date | None, str, int, str], int]:
    """Rows of batches that are not over, with the job that books them."""
    found = await rows(
        _Waiting,
        " UNION ALL ".join(
            f"SELECT id, payload FROM job WHERE kind = :kind AND {state}"
            for state in (  # as the indexes say it
                "state = 'waiting'",
                "state IN ('running', 'sending')",
                "state IN ('failed', 'unknown', 'held') AND state = 'held'",
            )
        ),
        kind=BOOK.name,
    )
    return {
        (each.received_on, each.who, each.amount_minor, each.reference): job.id
        for job in found
        for each in msgspec.json.decode(job.payload, type=ToBook).batch.rows
    }


async def _check(scope: Scope, typed: TypedRow) -> CheckedRow:
    errors: dict[str, str] = {}
    today = scope.today()
    received_on = today
    try:
        received_on = _typed_day(typed.received_on) if typed.received_on else today
        if received_on > today:
            errors["received_on"] = _("Money cannot be received in the future.")
    except ValueError:
        errors["received_on"] = _("Type a date as year, month, day: 2026-11-30.")
    matched = await match(scope, typed.who, typed.reference)
    if matched is None:
        errors["who"] = _("Nobody was found by this. Type an invoice's number, or a customer's id.")
    currency = matched.currency if matched is not None else scope.tenant.currency
    amount = 0
    try:
        amount = parse_amount(typed.amount, currency, scope.locale)
        if amount <= 0:
            errors["amount"] = _("Type an amount above zero.")
    except Invalid as error:
        errors["amount"] = error.errors[0].message if error.errors else error.message
    return CheckedRow(
        typed=typed, received_on=received_on, amount_minor=amount, currency=currency, matched=matched, errors=errors
    )


_DAYS: Final = (
    (re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})"), (0, 1, 2)),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), (2, 1, 0)),
)


def _typed_day(text: str) -> date:
    for pattern, order in _DAYS:
        found = pattern.fullmatch(text.strip())
        if found:
            year, month, day = (int(found.groups()[at]) for at in order)
            return date(year, month, day)
    raise ValueError(text)


_WHOLE: Final = re.compile(r"[^\d,]*(\d+|\d{1,3}([.' ]\d{3})+)")
_CENTS: Final = re.compile(r"\d\d")
LONGEST_LINE: Final = 100_000
"""Letters of a pasted line that are looked at: what reads it takes no more than a little above."""


def pasted_rows(text: str, after: int) -> list[TypedRow]:
    """Rows out of a spreadsheet: date, customer or invoice, amount, reference; parted by tabs, semicolons or commas.

    No line and nothing of it is left out: what follows the fourth cell belongs to the reference, and where commas part
    the cells, two digits behind an amount that has no cents to the amount, which was cut at its decimal comma.
    """
    lines = [line[:LONGEST_LINE] for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    parted = next((mark for mark in ("\t", ";") if mark in lines[0]), ",")
    found: list[TypedRow] = []
    for cells in _cut(lines, parted):
        day, who, amount, *more = [cell.strip()[:200] for cell in cells] + [""] * (4 - len(cells))
        if parted == "," and _WHOLE.fullmatch(amount) and _CENTS.fullmatch(more[0]):
            amount = f"{amount},{more.pop(0)}"
        said = (", " if parted == "," else " ").join(filter(None, more))[:200]
        found.append(TypedRow(at=after + len(found), received_on=day, who=who, amount=amount, reference=said))
    return found


def _cut(lines: list[str], parted: str) -> list[list[str]]:
    """The cells of the lines. A quotation mark that is not closed, or stands elsewhere than around a cell, is a letter
    of its line: it takes nothing of the next one."""
    try:
        return list(csv.reader(lines, delimiter=parted, strict=True))
    except csv.Error:
        if len(lines) == 1:
            return list(csv.reader(lines, delimiter=parted, quoting=csv.QUOTE_NONE))
        return [cells for line in lines for cells in _cut([line], parted)]


# -- booking ----------------------------------------------------------------------------------------------------------


class ToBook(Struct, frozen=True, kw_only=True):
    """A batch that a worker books; `key` makes each of its rows known for ever."""

    key: str
    batch: NewBatch


class Refused(Struct, frozen=True):
    """A row that was not booked, counted from 1, and why."""

    row: int
    reason: str


class Booked(Struct, frozen=True, kw_only=True):
    """What a batch came to."""

    booked: int
    waiting: int = 0
    """Of those booked, how many wait in suspense."""
    refused: list[Refused] = []
    payment_ids: list[int] = []


async def start_batch(scope: Scope, batch: NewBatch) -> int:
    """Have a worker book it; gives the job's id. A bad row of a batch that is booked as a whole is named at once."""
    await find_method(batch.method)
    if batch.mode == "all":
        errors = [
            FieldError(f"rows.{at}.{name}", message)
            for at, each in enumerate(batch.rows)
            for name, message in (await _faults(scope, each)).items()
        ]
        if errors:
            raise Invalid(errors=errors)
    return await enqueue(scope, BOOK, ToBook(key=str(new_uuid()), batch=batch))


async def _faults(scope: Scope, each: BatchRow) -> dict[str, str]:
    faults: dict[str, str] = {}
    if each.received_on is not None and each.received_on > scope.today():
        faults["received_on"] = _("Money cannot be received in the future.")
    if await match(scope, each.who, each.reference) is None:
        faults["who"] = _("Nobody was found by this. Type an invoice's number, or a customer's id.")
    return faults


async def book(scope: Scope, job: Job[ToBook]) -> Booked:
    """Each row in a unit of its own, or all in one where the batch is booked as a whole."""
    batch, key = job.payload.batch, job.payload.key
    made: list[int] = []
    waiting = 0
    refused: list[Refused] = []
    if batch.mode == "all":

        async def whole() -> None:
            made.clear()
            async with unit_of_work(scope):
                await job.check_claim()
                for at, each in enumerate(batch.rows):
                    try:
                        made.append((await _book_one(scope, batch, each, f"{key}:{at}"))[0])
                    except DomainError as error:
                        raise Conflict(
                            _("Row %(row)s: %(why)s Nothing was booked.", row=at + 1, why=error.message)
                        ) from None

        await again(whole)
        return Booked(booked=len(made), payment_ids=made)
    for at, each in enumerate(batch.rows):
        try:
            payment_id, unknown = await again(lambda at=at, each=each: _row(scope, job, batch, each, f"{key}:{at}"))  # type: ignore[misc]  # bound now
            made.append(payment_id)
            waiting += unknown
        except DomainError as error:
            refused.append(Refused(at + 1, error.message))
        await job.progress(at + 1, len(batch.rows))
    return Booked(booked=len(made), waiting=waiting, refused=refused, payment_ids=made)


async def _row(scope: Scope, job: Job[ToBook], batch: NewBatch, each: BatchRow, key: str) -> tuple[int, bool]:
    async with unit_of_work(scope):
        await job.check_claim()
        return await _book_one(scope, batch, each, key)


async def _book_one(scope: Scope, batch: NewBatch, each: BatchRow, key: str) -> tuple[int, bool]:
    """The payment, and whether it waits in suspense."""
    matched = await match(scope, each.who, each.reference)
    if matched is None:
        if batch.mode != "suspense":
            raise Invalid(_("Nobody was found by this. Type an invoice's number, or a customer's id."), field="who")
        receipt = NewReceipt(
            amount_minor=each.amount_minor,
            method=batch.method,
            received_on=each.received_on,
            reference=each.reference or each.who,
            provider=PROVIDER,
            event_id=key,
        )
        return await receive_unidentified(scope, receipt), True
    payment = NewPayment(
        payer_id=matched.customer_id,
        amount_minor=each.amount_minor,
        currency=matched.currency,
        method=batch.method,
        received_on=each.received_on,
        reference=each.reference,
        document_id=matched.document_id,
        provider=PROVIDER,
        event_id=key,
    )
    return await receive(scope, payment), False


class _Result(Struct, frozen=True):
    result: str | None


async def batch_of(scope: Scope, job_id: int) -> Booked | None:
    """What a job of a batch came to, none while it is not over. NotFound for another kind of job."""
    await get_job(scope, job_id)
    found = await row(_Result, "SELECT result FROM job WHERE id = :id AND kind = :kind", id=job_id, kind=BOOK.name)
    if found is None:
        raise NotFound(f"batch of payments {job_id}")
    return msgspec.json.decode(found.result, type=Booked) if found.result else None


BOOK: Final = JobKind("book_payments", ToBook, book, limit=None, label=N_("Book a batch of payments"))
JOBS: Final = (BOOK,)
