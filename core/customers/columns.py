"""Columns that plugins add to the list of customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core import hookspecs
from core.lists.columns import ListChoice, ListColumn, Loaded
from core.lists.drawing import NOTHING

if TYPE_CHECKING:
    from core.hooks import CellValue, Column
    from core.scope import Scope


async def further_columns(scope: Scope) -> list[ListColumn]:
    """What enabled plugins declare, behind the list's own."""
    return [
        _as_declared(column)
        for answer in await scope.hooks.ask(hookspecs.customer_columns, scope=scope)
        for column in answer.value or ()
    ]


def _as_declared(column: Column) -> ListColumn:
    """A flag cannot be filtered by; a choice is shown by its label."""
    choices = [ListChoice(key, label, key) for key, label in column.choices]
    labels = dict(column.choices)
    return ListColumn(
        key=column.key,
        label=column.label,
        kind=column.kind,
        expr=column.expr,
        by=column.expr if column.kind == "text" else "",  # of text that may be NULL none is empty, too
        sorts=column.sorts,
        shown=column.shown,
        load=load_values,
        offers=(lambda scope: choices) if choices else None,
        cell=(lambda row, given: labels.get(given.value, given.value or NOTHING)) if choices else None,
    )


async def load_values(scope: Scope, customer_ids: Sequence[int], keys: Sequence[str]) -> Loaded:
    """One question a plugin, whatever the number of rows. Where it fails, its columns say so with the id."""
    values: dict[str, Mapping[int, CellValue]] = {}
    failed: dict[str, str] = {}
    for answer in await scope.hooks.ask(
        hookspecs.customer_column_values, scope=scope, customer_ids=customer_ids, keys=keys
    ):
        values.update(answer.value or {})
        if answer.error is not None:
            failed.update({key: answer.error_id for key in keys if key.startswith(f"{answer.plugin}.")})
    return Loaded(values, failed)
