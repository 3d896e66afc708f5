"""What customers who are to be forgotten were invoiced: what is open comes first; the law keeps the rest a while."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.actions import empty_values
from core.activity.unit import unit_of_work
from core.billing.plan import VAT_CHECK_COUNTS
from core.database import execute, rows, value, value_as, values
from core.documents.formats import write_day
from core.hooks import Effect, Erasure
from core.jobs.actions import erase_jobs
from core.money import format_money
from core.texts import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from core.scope import Scope

PIECE: Final = 200
"""Documents that are erased in one commit."""


class _Owed(Struct, frozen=True):
    customer_id: int
    what: str
    currency: str
    minor: int


async def plan_erasure(scope: Scope, customer_ids: Sequence[int]) -> Erasure:
    """Nothing open, no draft, no free credit; issued documents and their PDFs stay until their time is over."""
    refused: dict[int, str] = {}
    for one in await rows(
        _Owed,
        "SELECT payer_id AS customer_id, 'open' AS what, currency, CAST(sum(open_minor) AS bigint) AS minor"
        " FROM document_state WHERE open_minor > 0 AND payer_id IN :ids GROUP BY payer_id, currency"
        " UNION ALL SELECT customer_id, 'credit', currency, CAST(sum(left_minor) AS bigint) FROM credit_entry"
        " WHERE left_minor > 0 AND customer_id IN :ids GROUP BY customer_id, currency"
        " UNION ALL SELECT payer_id, 'draft', '', count(*) FROM document WHERE state = 'draft' AND payer_id IN :ids"
        " GROUP BY payer_id ORDER BY 1, 2, 3",
        ids=customer_ids,
    ):
        refused.setdefault(one.customer_id, _reason(scope, one))
    kept = await values(
        "SELECT CAST(f.path AS bigint) FROM document_file f JOIN document d ON d.id = f.document_id"
        " WHERE d.payer_id IN :ids AND f.path <> '' ORDER BY 1",
        ids=customer_ids,
    )
    effects = [Effect(kind="data", text=_("Reasons of credits and losses"), apply=partial(_erase, customer_ids))]
    issued = int(
        await value("SELECT count(*) FROM document WHERE state = 'issued' AND payer_id IN :ids", ids=customer_ids)
    )
    if issued:
        until = await value_as(
            date,
            "SELECT max(p.retain_until) FROM document_party p JOIN document d ON d.id = p.document_id"
            " WHERE d.payer_id IN :ids",
            ids=customer_ids,
        )
        told = ngettext(
            "%(num)s issued document stays as it is until %(day)s, as the law asks; then its buyer is erased too",
            "%(num)s issued documents stay as they are until %(day)s, as the law asks; then their buyer is erased too",
            issued,
            day=write_day(until, scope.locale) if until else "",
        )
        effects.append(Effect(kind="document", text=told))
    return Erasure(refused=refused, effects=effects, kept_files=[int(each) for each in kept])


def _reason(scope: Scope, owed: _Owed) -> str:
    if owed.what == "draft":
        return ngettext(
            "It has a draft of an invoice. Issue or delete it first.",
            "It has %(num)s drafts of invoices. Issue or delete them first.",
            owed.minor,
        )
    amount = format_money(owed.minor, owed.currency, scope.locale)
    if owed.what == "open":
        return _("It owes %(amount)s. Have it paid or written off first.", amount=amount)
    return _("It has a credit of %(amount)s. Pay it back or use it up first.", amount=amount)


async def _erase(customer_ids: Sequence[int], scope: Scope) -> None:
    async with unit_of_work(scope):
        await execute(
            "UPDATE credit_entry SET reason = '' WHERE reason <> '' AND customer_id IN :ids", ids=customer_ids
        )
        for table, words in (
            ("write_off", "reason"),
            ("tax_relief", "reason"),
            ("promise", "note"),
            ("dispute", "reason"),
            ("dispute", "answer"),
        ):
            await execute(
                f"UPDATE {table} SET {words} = '' WHERE {words} <> ''"
                " AND document_id IN (SELECT id FROM document WHERE payer_id IN :ids)",
                ids=customer_ids,
            )
        await execute("UPDATE billing_parked SET detail = '' WHERE detail <> '' AND payer_id IN :ids", ids=customer_ids)
        # With an invoice they prove why it has no tax: they go with the last of them.
        nobodys = await rows(
            _HasId,
            "SELECT id, vat_id FROM customer WHERE id IN :ids"
            " AND NOT EXISTS (SELECT 1 FROM document WHERE payer_id = customer.id AND state = 'issued')",
            ids=customer_ids,
        )
        await _erase_checks([one.id for one in nobodys], {one.vat_id for one in nobodys})


class _HasId(Struct, frozen=True):
    id: int
    vat_id: str


async def _erase_checks(customer_ids: Sequence[int], vat_ids: Collection[str]) -> None:
    """What was asked about VAT ids for these, or about ids that these had. Whose id another has for whom it counts, it
    is that one's; so is what an invoice of another rests on, as long as its buyer is kept. What was asked for who is
    gone waits for the night, which erases it from the activity too."""
    if not customer_ids:
        return
    others = "(SELECT vat_id FROM customer WHERE vat_id <> '' AND id NOT IN :ids)"
    heirs = f"FROM customer c WHERE c.vat_id = v.vat_id AND c.vat_id <> '' AND c.id NOT IN :ids AND {VAT_CHECK_COUNTS}"
    await execute(
        f"UPDATE vat_check AS v SET customer_id = (SELECT min(c.id) {heirs})"
        f" WHERE customer_id IN :ids AND EXISTS (SELECT 1 {heirs})",
        ids=customer_ids,
    )
    resting = (
        "FROM document_vat_check p JOIN document d ON d.id = p.document_id"
        " WHERE p.vat_check_id = v.id AND d.payer_id NOT IN :ids"
    )
    await execute(
        f"UPDATE vat_check AS v SET customer_id = (SELECT min(d.payer_id) {resting})"
        f" WHERE customer_id IN :ids AND EXISTS (SELECT 1 {resting})",
        ids=customer_ids,
    )
    await execute(
        f"DELETE FROM vat_check AS v WHERE customer_id IN :ids OR (vat_id IN :vat_ids AND vat_id NOT IN {others}"
        f" AND NOT EXISTS (SELECT 1 {resting})"
        " AND (customer_id IS NULL OR EXISTS (SELECT 1 FROM customer k WHERE k.id = v.customer_id)))",
        ids=customer_ids,
        vat_ids=sorted({each for each in vat_ids if each}),
    )


# -- when the time is over --------------------------------------------------------------------------------------------


class _Over(Struct, frozen=True):
    """A document whose time is over; `bought`: its own buyer is anonymised, else somebody whom a line names is."""

    document_id: int
    payer_id: int
    bought: bool
    snapshot: str
    path: str


async def erase_retained(scope: Scope) -> int:
    """Documents of anonymised customers whose time is over lose buyer, words and PDF; numbers and amounts stay. Gives
    how many there were."""
    erased = 0
    while True:
        async with unit_of_work(scope):
            over = await rows(_Over, _OVER, today=scope.today(), limit=PIECE)
            if over:
                await _erase_documents(over)
        erased += len(over)
        if len(over) < PIECE:
            break
    await _erase_checks_of_nobody(scope)
    return erased


_OVER: Final = """
SELECT d.id AS document_id, d.payer_id, c.anonymised_at IS NOT NULL AS bought, p.snapshot, coalesce(f.path, '') AS path
FROM document_party p
JOIN document d ON d.id = p.document_id
JOIN customer c ON c.id = d.payer_id
LEFT JOIN document_file f ON f.document_id = d.id AND f.path <> ''
WHERE p.retain_until < :today AND p.role = 'buyer' AND d.state = 'issued'
  AND ((p.snapshot <> '' AND c.anonymised_at IS NOT NULL)
    OR (c.anonymised_at IS NULL AND EXISTS (
        SELECT 1 FROM document_line l JOIN customer b ON b.id = l.beneficiary_id
        WHERE l.document_id = d.id AND b.anonymised_at IS NOT NULL AND (l.description <> '' OR f.path <> ''))))
ORDER BY d.id LIMIT :limit
"""


async def _erase_checks_of_nobody(scope: Scope) -> None:
    """What was asked for customers whom nobody erased and who are gone: those of an import that was undone."""
    gone = "v.customer_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM customer c WHERE c.id = v.customer_id)"
    while True:
        async with unit_of_work(scope):
            found = await values(
                f"SELECT DISTINCT v.customer_id FROM vat_check v WHERE {gone} ORDER BY 1 LIMIT :limit", limit=PIECE
            )
            if ids := [int(each) for each in found]:
                await _erase_checks(ids, ())
                await erase_jobs(scope, ids, ())
                await empty_values(scope, *ids)
        if len(ids) < PIECE:
            return


async def _erase_documents(over: Sequence[_Over]) -> None:
    ids, bought = [one.document_id for one in over], [one.document_id for one in over if one.bought]
    files = [int(one.path) for one in over if one.path]
    await execute("UPDATE document_file SET path = '' WHERE document_id IN :ids", ids=ids)
    await execute("DELETE FROM message_file WHERE file_id IN :files", files=files)
    await execute("DELETE FROM stored_file WHERE id IN :files", files=files)
    await execute("UPDATE document_party SET snapshot = '' WHERE document_id IN :bought", bought=bought)
    await execute(
        "UPDATE document SET note = '', reference = '' WHERE id IN :bought AND (note <> '' OR reference <> '')",
        bought=bought,
    )
    await execute(
        "UPDATE document_line SET description = '' WHERE document_id IN :ids AND (document_id IN :bought OR"
        " beneficiary_id IN (SELECT id FROM customer WHERE anonymised_at IS NOT NULL))",
        ids=ids,
        bought=bought,
    )
    await execute("DELETE FROM document_vat_check WHERE document_id IN :bought", bought=bought)
    done = await values(
        "SELECT id FROM customer WHERE id IN :payers AND NOT EXISTS (SELECT 1 FROM document d"
        " JOIN document_party p ON p.document_id = d.id AND p.role = 'buyer' AND p.snapshot <> ''"
        " WHERE d.payer_id = customer.id AND d.state = 'issued')",
        payers=sorted({one.payer_id for one in over if one.bought}),
    )
    of_done = [one for one in over if one.bought and one.payer_id in done]
    await _erase_checks(
        [int(each) for each in done],
        {msgspec.json.decode(one.snapshot, type=dict[str, Any]).get("vat_id", "") for one in of_done},
    )
