"""What the catalogue puts on pages below it: the step of setting up, and products in the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.catalog import queries
from core.hooks import FirstStep, SearchHit, hookimpl
from core.ids import sort_key
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


@hookimpl
async def first_steps(scope: Scope) -> Sequence[FirstStep]:
    if not scope.may("catalog.edit"):
        return ()
    return (
        FirstStep(
            done=bool(await queries.list_products()),
            title=_("Products"),
            text=_("Plans, modules and services with their prices by cycle."),
            label=_("New product"),
            href="/products/new",
        ),
    )


@hookimpl
async def search_results(scope: Scope, text: str, limit: int) -> Sequence[SearchHit]:
    if not scope.may("catalog.view"):
        return ()
    key = sort_key(text)
    found = [product for product in await queries.list_products() if key in sort_key(f"{product.name} {product.code}")]
    return [
        SearchHit(kind=_("Products"), label=product.name, href=f"/products/{product.id}", detail=product.code)
        for product in found[:limit]
    ]
