"""What lists keep of searches for somebody who is to be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_plus

from msgspec import Struct

from core.activity.actions import empty_values_that
from core.activity.unit import unit_of_work
from core.database import execute, stream
from core.ids import says_one_of
from core.lists.bulk_queries import RUN, RunRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from core.scope import Scope

SHORTEST: Final = 5
"""Letters of a search that is taken for one for somebody."""


class _Said(Struct, frozen=True):
    id: int
    text: str


async def forget_searches(scope: Scope, texts: Collection[str]) -> None:
    """Views that name one of these texts are deleted. Reports on many rows, of whatever list, and the activity of
    views and exports forget the filter they had where it names one of the texts, or is a part of one.
    """
    plain = {text.casefold() for text in texts}
    says, known = says_one_of(plain), "\n".join(plain)

    def names(said: str) -> bool:
        return says(unquote_plus(said).casefold())

    def seeks(sought: Iterable[tuple[str, str]]) -> bool:
        return any(len(one) >= SHORTEST and one in known for one in (value.strip().casefold() for _, value in sought))

    async with unit_of_work(scope):
        views = stream(_Said, "SELECT id, name || '&' || address AS text FROM list_view")
        if gone := [view.id async for view in views if names(view.text)]:
            await execute("DELETE FROM list_view WHERE id IN :ids", ids=gone)
        runs = stream(RunRow, f"{RUN} WHERE state IN ('chosen', 'planned', 'done')")
        if gone := [
            run.id async for run in runs if names(f"{run.address} {run.form} {run.plan}") or seeks(run.filters.items())
        ]:
            await execute(
                "UPDATE bulk_run SET form = '{}', plan = '{}', state = 'done',"
                " address = CASE WHEN address IS NULL THEN NULL ELSE '{}' END WHERE id IN :ids",
                ids=gone,
            )
        await empty_values_that(scope, ("list", "list_view"), lambda said: names(said) or seeks(parse_qsl(said)))
