"""Columns that features and plugins add to the list of customers, ready to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from core import hookspecs
from core.hooks import CellValue, Column
from core.money import Money, format_amount
from core.texts import _, number
from core.web.templating import written

if TYPE_CHECKING:
    from core.scope import Scope

NUMBERS: Final = frozenset({"number", "amount"})


class ShownColumn(Struct, frozen=True):
    """A column behind the list's own, with the text of its cells by customer. A cell may be missing."""

    label: str
    is_number: bool
    cells: Mapping[int, str]


async def shown_columns(scope: Scope, customer_ids: Sequence[int]) -> list[ShownColumn]:
    """Two questions a plugin, whatever the number of rows. Where one fails, the column's head says so with the id."""
    columns = [
        (answer.plugin, column)
        for answer in await scope.hooks.ask(hookspecs.customer_columns, scope=scope)
        for column in answer.value or ()
    ]
    if not columns or not customer_ids:
        return []
    values: dict[str, Mapping[int, CellValue]] = {}
    failed: dict[str, str] = {}
    keys = [column.key for _, column in columns]
    for answer in await scope.hooks.ask(
        hookspecs.customer_column_values, scope=scope, customer_ids=customer_ids, keys=keys
    ):
        values.update(answer.value or {})
        if answer.error is not None:
            failed[answer.plugin] = answer.error_id
    return [_shown(scope, column, values.get(column.key, {}), failed.get(plugin, "")) for plugin, column in columns]


def _shown(scope: Scope, column: Column, values: Mapping[int, CellValue], error_id: str) -> ShownColumn:
    return ShownColumn(
        _("%(label)s (failed, %(error)s)", label=column.label, error=error_id) if error_id else column.label,
        column.kind in NUMBERS,
        {customer_id: cell_text(scope, value) for customer_id, value in values.items()},
    )


def cell_text(scope: Scope, value: CellValue) -> str:
    """As the list writes it: dates in words, in the tenant's zone, figures with their thousands apart."""
    match value:
        case None | False:
            return ""
        case True:
            return _("Yes")
        case int():
            return number(value)
        case Money():
            return format_amount(value.minor, value.currency)
        case str():
            return value
        case datetime():
            here = value.astimezone(ZoneInfo(scope.tenant.time_zone))
            return f"{written(here.date(), scope.locale)} {here:%H:%M}"
        case _:
            return written(value, scope.locale)
