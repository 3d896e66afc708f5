"""Opening balances of imports: what customers had or owed in the system before is booked against 9100 (row 35).

Credit becomes a credit entry of the source `opening`; a debt a document of the kind `opening`, under its old number,
which no series counts. Booked set by set; taken back by counter postings, one by one, as long as nobody has used it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import record, record_set
from core.billing.actions.allocation import allocate_credit, lock_balance, open_credit, use_credit
from core.billing.actions.setup import default_seller, snapshot_of
from core.billing.events import OpeningBalanceBooked, OpeningBalanceReversed
from core.billing.settings import BillingSettings
from core.billing.staging import json_object
from core.billing.writing import buyer_as_json, retain_until
from core.database import dialect, execute, execute_many, rows, value, values
from core.errors import Invalid
from core.hooks import ImportedRows, ImportField, ImportLine, ImportPreview, ImportRefusal, ImportStep
from core.ledger.accounts import Code
from core.ledger.fx import convert, find_rate
from core.ledger.posting import credit, debit, post
from core.money import format_amount
from core.settings.queries import load_settings
from core.texts import gettext as _

if TYPE_CHECKING:
    from core.billing.actions.setup import Seller
    from core.scope import Scope

EARLIEST: Final = date(2000, 1, 1)
LATEST_DUE: Final = 366 * 3
"""Days ahead."""


def step_of_openings() -> ImportStep:
    return ImportStep(
        key="openings",
        label=_("Opening balances"),
        verb=_("Book opening balances"),
        text=_(
            "Credit becomes the customer’s credit, a debt a document that payments settle; both against account"
            " %(account)s, Opening balances.",
            account=str(Code.OPENING),
        ),
        permission="documents.credit",
        where="r.opening_minor <> 0",
        preview=preview,
        take=book,
        undo=reverse,
        place=10,
    )


class _Sum(Struct, frozen=True):
    currency: str
    here: bool
    credits: int
    credit_minor: int
    debts: int
    debt_minor: int


async def preview(scope: Scope, wanted: ImportedRows, choices: Mapping[str, str]) -> ImportPreview:
    """Per currency: how much credit, how much debt, and what cannot be booked."""
    fields, days = _fields(scope, choices)
    found = await rows(
        _Sum,
        "SELECT q.currency, q.customer_id IS NOT NULL AS here,"
        " CAST(sum(CASE WHEN q.opening_minor > 0 THEN 1 ELSE 0 END) AS bigint) AS credits,"
        " CAST(sum(CASE WHEN q.opening_minor > 0 THEN q.opening_minor ELSE 0 END) AS bigint) AS credit_minor,"
        " CAST(sum(CASE WHEN q.opening_minor < 0 THEN 1 ELSE 0 END) AS bigint) AS debts,"
        " CAST(sum(CASE WHEN q.opening_minor < 0 THEN -q.opening_minor ELSE 0 END) AS bigint) AS debt_minor"
        f" FROM ({wanted.select}) AS q GROUP BY q.currency, q.customer_id IS NOT NULL ORDER BY 1, 2",
        **wanted.values,
    )
    lines, ready, refused = [], 0, 0
    for each in found:
        count = each.credits + each.debts
        if not each.here:
            refused += count
            lines.append(ImportLine(text=_("Not booked: the customer is no longer here"), count=count))
            continue
        rate = await find_rate(each.currency, scope.tenant.currency, days["booked_on"])
        if rate is None:
            refused += count
            why = _no_rate(scope, each.currency, days["booked_on"])
            lines.append(ImportLine(text=_("Not booked"), count=count, detail=why, currency=each.currency))
            continue
        ready += count
        if each.credits:
            text = _("Credit of customers, %(from)s to %(to)s", **{"from": "9100", "to": "2000"})
            lines.append(
                ImportLine(text=text, count=each.credits, amount_minor=each.credit_minor, currency=each.currency)
            )
        if each.debts:
            text = _("Owed by customers, %(from)s to %(to)s", **{"from": "1100", "to": "9100"})
            lines.append(ImportLine(text=text, count=each.debts, amount_minor=each.debt_minor, currency=each.currency))
    return ImportPreview(ready=ready, lines=tuple(lines), fields=fields, refused=refused)


def _fields(scope: Scope, choices: Mapping[str, str]) -> tuple[tuple[ImportField, ...], dict[str, date]]:
    """The two dates, with what is wrong about them; a wrong one counts as today until it is mended."""
    today = scope.today()
    days, fields = {}, []
    for name, label, help_text in (
        ("booked_on", _("Booked on"), _("The day of the books on which the other system’s balances count")),
        ("due_on", _("Due on"), _("Of what is owed")),
    ):
        typed = choices.get(name, "").strip() or today.isoformat()
        error = ""
        try:
            day = date.fromisoformat(typed)
        except ValueError:
            day, error = today, _("Type a date.")
        if not error and name == "booked_on" and not EARLIEST <= day <= today:
            day, error = today, _("Choose today or a day before, from 2000 on.")
        if not error and name == "due_on" and not (day >= EARLIEST and (day - today).days <= LATEST_DUE):
            day, error = today, _("Choose a day from 2000 on, at most three years ahead.")
        days[name] = day
        fields.append(ImportField(name=name, label=label, kind="date", value=typed, help=help_text, error=error))
    return tuple(fields), days


def _no_rate(scope: Scope, currency: str, on: date) -> str:
    return _(
        "There is no rate from %(currency)s to %(base)s on %(day)s. Enter it under Settings, Currencies.",
        currency=currency,
        base=scope.tenant.currency,
        day=on,
    )


class _Left(Struct, frozen=True):
    record: int
    currency: str
    opening_minor: int
    customer_id: int | None = None


class _Abroad(Struct, frozen=True):
    row_id: int
    currency: str
    amount_minor: int


_CHUNK: Final = "({select}) AS q CROSS JOIN opening_balance o"
"""What is booked of a chunk, in this order: where q.row_id = o.row_id."""


async def book(scope: Scope, wanted: ImportedRows, choices: Mapping[str, str]) -> Sequence[ImportRefusal]:
    """Book a chunk, each record once for ever. What has no customer or no rate of exchange is refused."""
    fields, days = _fields(scope, choices)
    if wrong := [field for field in fields if field.error]:
        raise Invalid(wrong[0].error, field=wrong[0].name)
    seller, base = await default_seller(scope), scope.tenant.currency
    currencies = [
        str(each) for each in await values(f"SELECT DISTINCT q.currency FROM ({wanted.select}) AS q", **wanted.values)
    ]
    rates = {each: await find_rate(each, base, days["booked_on"]) for each in currencies}
    known = [currency for currency, rate in rates.items() if rate is not None]
    await _insert(wanted, known, days)
    await _convert(wanted, base, {currency: rate for currency, rate in rates.items() if rate and currency != base})
    given = {**wanted.values, **days, "book_id": seller.book_id}
    of_chunk = _CHUNK.format(select=wanted.select)
    for statement in (_CREDITS, _POSTINGS, _TRANSACTIONS, _STATES):
        sql = statement.format(chunk=of_chunk)
        await execute(sql, **{name: each for name, each in given.items() if f":{name}" in sql})
    await _write_documents(scope, seller, of_chunk, given)
    record_set(scope, OpeningBalanceBooked, _BOOKED.format(chunk=of_chunk), **wanted.values)
    return [
        ImportRefusal(
            record=each.record,
            field=wanted.columns.get("balance") or wanted.columns.get("owes", ""),
            value=format_amount(each.opening_minor, each.currency),
            message=_("The customer is no longer here.")
            if each.customer_id is None
            else _no_rate(scope, each.currency, days["booked_on"]),
        )
        for each in await rows(
            _Left,
            "SELECT q.record, q.currency, q.opening_minor, q.customer_id"
            f" FROM ({wanted.select}) AS q WHERE q.customer_id IS NULL OR q.currency NOT IN :known",
            known=known,
            **wanted.values,
        )
    ]


async def _insert(wanted: ImportedRows, known: Sequence[str], days: Mapping[str, date]) -> None:
    """Each record with the ids that its credit or document and its ledger transaction will have."""
    picked = (
        "SELECT q.row_id, q.record, q.customer_id, q.currency, q.opening_minor, q.opening_number,"
        " {columns}"
        f" FROM ({wanted.select}) AS q WHERE q.customer_id IS NOT NULL AND q.currency IN :known"
    )
    given: dict[str, Any] = {"known": list(known), "batch_id": wanted.batch_id, **days, **wanted.values}
    if dialect() == "sqlite":  # the transaction holds the one write lock
        columns = (
            "CASE WHEN q.opening_minor < 0 THEN :document + row_number() OVER (PARTITION BY q.opening_minor < 0"
            " ORDER BY q.record) END AS document_id,"
            " CASE WHEN q.opening_minor > 0 THEN :entry + row_number() OVER (PARTITION BY q.opening_minor < 0"
            " ORDER BY q.record) END AS entry_id,"
            " :transaction + row_number() OVER (ORDER BY q.record) AS transaction_id"
        )
        for name, table in (("document", "document"), ("entry", "credit_entry")):
            given[name] = await value(
                "SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = :table), 0)", table=table
            )
        given["transaction"] = await value("SELECT coalesce(max(id), 0) FROM ledger_transaction")
    else:
        columns = (
            "CASE WHEN q.opening_minor < 0 THEN nextval('document_id_seq') END AS document_id,"
            " CASE WHEN q.opening_minor > 0 THEN nextval('credit_entry_id_seq') END AS entry_id,"
            " nextval('ledger_transaction_id_seq') AS transaction_id"
        )
    await execute(
        "INSERT INTO opening_balance (row_id, batch_id, record, customer_id, currency, amount_minor, base_minor,"
        " number, booked_on, due_on, document_id, credit_entry_id, transaction_id)"
        " SELECT p.row_id, :batch_id::bigint, p.record, p.customer_id, p.currency, p.opening_minor, p.opening_minor,"
        " CASE WHEN p.opening_number <> '' THEN p.opening_number"
        " ELSE 'OB-' || CAST(:batch_id::bigint AS text) || '-' || CAST(p.record AS text) END,"
        " :booked_on::date, :due_on::date, p.document_id, p.entry_id, p.transaction_id"
        f" FROM ({picked.format(columns=columns)}) AS p",
        **given,
    )


async def _convert(wanted: ImportedRows, base: str, rates: Mapping[str, int]) -> None:
    """What is in another currency than the books, by the official rate of the day."""
    if not rates:
        return
    abroad = await rows(
        _Abroad,
        f"SELECT o.row_id, o.currency, o.amount_minor FROM {_CHUNK.format(select=wanted.select)}"
        " WHERE o.row_id = q.row_id AND o.currency IN :currencies",
        currencies=sorted(rates),
        **wanted.values,
    )
    await execute_many(
        "UPDATE opening_balance SET base_minor = :base, rate_e10 = :rate WHERE row_id = :id",
        [
            {"id": each.row_id, "rate": rate, "base": convert(each.amount_minor, each.currency, base, rate)}
            for each in abroad
            for rate in [rates[each.currency]]
        ],
    )


_CREDITS: Final = """
INSERT INTO credit_entry (id, customer_id, currency, source_kind, source_id, reason, amount_minor, base_minor,
    left_minor, base_left_minor, created_on)
SELECT o.credit_entry_id, o.customer_id, o.currency, 'opening', o.row_id, '', o.amount_minor, o.base_minor,
       o.amount_minor, o.base_minor, o.booked_on
FROM {chunk} WHERE o.row_id = q.row_id AND o.amount_minor > 0
"""
_POSTINGS: Final = f"""
INSERT INTO posting (transaction_id, line, account_id, customer_id, booked_on, currency, amount_minor, base_minor)
SELECT o.transaction_id, side.line, a.id, CASE WHEN side.line = 0 THEN o.customer_id END, o.booked_on, o.currency,
       side.sign * o.amount_minor, side.sign * o.base_minor
FROM {{chunk}}
CROSS JOIN (SELECT 0 AS line, -1 AS sign UNION ALL SELECT 1, 1) side
CROSS JOIN account a
WHERE o.row_id = q.row_id AND a.book_id = :book_id AND a.code = CASE WHEN side.line = 1 THEN '{Code.OPENING}'
    WHEN o.amount_minor > 0 THEN '{Code.CUSTOMER_CREDIT}' ELSE '{Code.RECEIVABLE}' END
"""
_TRANSACTIONS: Final = """
INSERT INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on)
SELECT o.transaction_id, :book_id::bigint, 'opening',
       CASE WHEN o.amount_minor > 0 THEN 'credit_entry' ELSE 'document' END,
       coalesce(o.credit_entry_id, o.document_id), o.booked_on
FROM {chunk} WHERE o.row_id = q.row_id
"""
_STATES: Final = """
INSERT INTO document_state (document_id, payer_id, due_on, currency, open_minor, base_open_minor)
SELECT o.document_id, o.customer_id, o.due_on, o.currency, -o.amount_minor, -o.base_minor
FROM {chunk} WHERE o.row_id = q.row_id AND o.amount_minor < 0
"""
_BOOKED: Final = """
SELECT o.customer_id AS subject_id, o.customer_id,
       '{{"customer_id":' || CAST(o.customer_id AS text) || ',"amount_minor":' || CAST(o.amount_minor AS text)
       || ',"currency":"' || o.currency || '"}}' AS facts
FROM {chunk} WHERE o.row_id = q.row_id
"""


async def _write_documents(scope: Scope, seller: Seller, of_chunk: str, given: Mapping[str, Any]) -> None:
    """The buyers first: an issued document takes nothing more."""
    where = "WHERE o.row_id = q.row_id AND o.amount_minor < 0"
    debts = f"FROM {of_chunk} CROSS JOIN customer c {where} AND c.id = o.customer_id"
    if not await value(f"SELECT 1 FROM {of_chunk} {where} LIMIT 1", **_of(given)):
        return
    settings = await load_settings(BillingSettings)
    await execute(
        f"INSERT INTO document_party (document_id, role, snapshot, retain_until)"
        f" SELECT o.document_id, 'buyer', {json_object(**buyer_as_json('c'))}, :retain_until::date {debts}",
        retain_until=retain_until(given["booked_on"], settings.retain_years),
        **_of(given),
    )
    await execute(
        "INSERT INTO document (id, kind, state, number, payer_id, seller_id, seller_snapshot_id, book_id, issued_on,"
        " due_on, currency, net_minor, total_minor, fx_rate_e10, language, created_at, issued_at)"
        " SELECT o.document_id, 'opening', 'issued', o.number, o.customer_id, :seller_id::bigint, :snapshot_id::bigint,"
        " :book_id::bigint, o.booked_on, o.due_on, o.currency, -o.amount_minor, -o.amount_minor, o.rate_e10,"
        f" c.language, :now::timestamptz, :now::timestamptz {debts}",
        seller_id=seller.id,
        snapshot_id=await snapshot_of(seller),
        book_id=seller.book_id,
        now=scope.now(),
        **_of(given),
    )


def _of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the chunk itself asks for."""
    return {name: each for name, each in given.items() if name not in {"booked_on", "due_on", "book_id"}}


# Taking back


class _Booked(Struct, frozen=True):
    row_id: int
    record: int
    customer_id: int
    currency: str
    amount_minor: int
    base_minor: int
    document_id: int | None
    credit_entry_id: int | None
    number: str
    still_minor: int


async def reverse(scope: Scope, wanted: ImportedRows) -> Sequence[ImportRefusal]:
    """Counter postings for what nobody has used. Every customer concerned stays: the ledger keeps its postings."""
    seller, staying = await default_seller(scope), []
    for each in await rows(
        _Booked,
        "SELECT o.row_id, o.record, o.customer_id, o.currency, o.amount_minor, o.base_minor, o.document_id,"
        " o.credit_entry_id, o.number, coalesce(e.left_minor, s.open_minor, 0) AS still_minor"
        f" FROM {_CHUNK.format(select=wanted.select)} LEFT JOIN credit_entry e ON e.id = o.credit_entry_id"
        " LEFT JOIN document_state s ON s.document_id = o.document_id"
        " WHERE o.row_id = q.row_id AND o.reversed_on IS NULL ORDER BY o.record",
        **wanted.values,
    ):
        amount = format_amount(abs(each.amount_minor), each.currency)
        whole = f"{amount} {each.currency}"
        if each.still_minor != abs(each.amount_minor):
            left = f"{format_amount(each.still_minor, each.currency)} {each.currency}"
            why = (
                _(
                    "Its opening credit of %(whole)s was used, %(left)s are left. It stays.",
                    whole=whole,
                    left=left,
                )
                if each.amount_minor > 0
                else _("Of its opening debt of %(whole)s only %(left)s are open. It stays.", whole=whole, left=left)
            )
        else:
            await _counter(scope, seller, each)
            why = _(
                "Its opening balance of %(whole)s was reversed. The books keep it, and so the customer.", whole=whole
            )
        staying.append(ImportRefusal(record=each.record, message=why))
    return staying


async def _counter(scope: Scope, seller: Seller, booked: _Booked) -> None:
    """The mirror of row 35. A debt is settled by a credit of the same source: a document is never taken away."""
    today, of = scope.today(), {"customer_id": booked.customer_id}
    amount, base = abs(booked.amount_minor), abs(booked.base_minor)
    await lock_balance(booked.customer_id, booked.currency)
    if booked.credit_entry_id is not None:
        await use_credit(scope, booked.credit_entry_id, "reversal", booked.row_id, amount, base)
        entries = [
            debit(Code.CUSTOMER_CREDIT, amount, booked.currency, base, **of),
            credit(Code.OPENING, amount, booked.currency, base),
        ]
        source, source_id, entry_id = "credit_entry", booked.credit_entry_id, None
    else:
        assert booked.document_id is not None
        entry_id = await open_credit(
            scope,
            booked.customer_id,
            currency=booked.currency,
            source_kind="opening",
            source_id=booked.row_id,
            amount_minor=amount,
            base_minor=base,
            reason=_("Import undone"),
        )
        entries = [
            debit(Code.OPENING, amount, booked.currency, base),
            credit(Code.CUSTOMER_CREDIT, amount, booked.currency, base, **of),
        ]
        source, source_id = "document", booked.document_id
    await post(
        entries,
        kind="opening_reversed",
        source_kind=source,
        source_id=source_id,
        booked_on=today,
        book_id=seller.book_id,
    )
    if entry_id is not None and booked.document_id is not None:
        await allocate_credit(
            scope, booked.customer_id, booked.currency, named=[booked.document_id], entries=[entry_id]
        )
    await execute("UPDATE opening_balance SET reversed_on = :today WHERE row_id = :id", today=today, id=booked.row_id)
    record(
        scope,
        OpeningBalanceReversed(
            customer_id=booked.customer_id, amount_minor=booked.amount_minor, currency=booked.currency
        ),
    )
