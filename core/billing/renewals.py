"""What became of prepaid renewals: noted as they are tried, and put to the run that tried them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import all_of, execute, value

if TYPE_CHECKING:
    from core.scope import Scope


class Asked(Struct, frozen=True):
    """A renewal that is tried: of the period from a day on, at what it costs with tax. `in_run`: for a billing run."""

    subscription_id: int
    customer_id: int
    payer_id: int
    period_start: date
    currency: str
    total_minor: int
    in_run: bool


async def note_short(scope: Scope, asked: Asked, missing_minor: int) -> None:
    """The balance does not cover it: one row for each renewal, however often it is tried."""
    await execute(
        "INSERT INTO prepaid_renewal (subscription_id, customer_id, payer_id, period_start, currency, total_minor,"
        " missing_minor, short_on, awaits_run) VALUES (:subscription_id, :customer_id, :payer_id, :period_start,"
        " :currency, :total_minor, :missing, :today, :in_run)"
        " ON CONFLICT (subscription_id, period_start) WHERE renewed_on IS NULL DO UPDATE SET"
        " payer_id = excluded.payer_id, currency = excluded.currency, total_minor = excluded.total_minor,"
        " missing_minor = excluded.missing_minor, awaits_run = excluded.awaits_run",
        missing=missing_minor,
        today=scope.today(),
        **_values(asked),
    )


async def note_renewed(scope: Scope, asked: Asked, document_id: int | None) -> None:
    """The balance paid for it: what was short before is so no more."""
    given = {**_values(asked), "today": scope.today(), "document_id": document_id}
    if await execute(
        "UPDATE prepaid_renewal SET renewed_on = :today, document_id = :document_id, total_minor = :total_minor,"
        " payer_id = :payer_id, currency = :currency, missing_minor = 0, awaits_run = :in_run"
        " WHERE subscription_id = :subscription_id AND period_start = :period_start AND renewed_on IS NULL",
        **given,
    ):
        return
    await execute(
        "INSERT INTO prepaid_renewal (subscription_id, customer_id, payer_id, period_start, currency, total_minor,"
        " renewed_on, document_id, awaits_run) VALUES (:subscription_id, :customer_id, :payer_id, :period_start,"
        " :currency, :total_minor, :today, :document_id, :in_run)",
        **given,
    )


def _values(asked: Asked) -> dict[str, object]:
    return {name: getattr(asked, name) for name in Asked.__struct_fields__}


async def anything_new() -> bool:
    """Whether renewals without a run brought something that no run has told of yet."""
    return bool(
        await value(
            "SELECT 1 FROM prepaid_renewal WHERE awaits_run AND (renewed_on IS NOT NULL OR first_short_run_id IS NULL)"
            " LIMIT 1"
        )
    )


async def put_to_run(scope: Scope, run_id: int | None, payer_id: int | None = None) -> None:
    """The renewals that were tried for a run are that one's, or those of a payer; without a run nothing but old news
    was tried."""
    if not await value("SELECT 1 FROM prepaid_renewal WHERE awaits_run LIMIT 1"):
        return
    async with unit_of_work(scope):
        if run_id is None:
            await execute("UPDATE prepaid_renewal SET awaits_run = FALSE WHERE awaits_run")
            return
        await execute(
            "UPDATE prepaid_renewal SET awaits_run = FALSE,"
            " renewed_run_id = CASE WHEN renewed_on IS NOT NULL THEN :run_id::bigint ELSE renewed_run_id END,"
            " first_short_run_id = CASE WHEN renewed_on IS NULL THEN coalesce(first_short_run_id, :run_id::bigint)"
            "  ELSE first_short_run_id END,"
            " last_short_run_id = CASE WHEN renewed_on IS NULL THEN :run_id::bigint ELSE last_short_run_id END"
            f" WHERE {all_of('awaits_run', payer_id is not None and 'payer_id = :payer_id')}",
            run_id=run_id,
            payer_id=payer_id,
        )
        await execute(
            "UPDATE billing_run SET"
            " renewed = (SELECT count(*) FROM prepaid_renewal WHERE renewed_run_id = :run_id),"
            " not_covered = (SELECT count(*) FROM prepaid_renewal"
            "  WHERE last_short_run_id >= :run_id AND first_short_run_id <= :run_id)"
            " WHERE id = :run_id",
            run_id=run_id,
        )
