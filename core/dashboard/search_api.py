"""What the search on top of every page finds, over JSON."""

from __future__ import annotations

from typing import Annotated, Final

from litestar.params import QueryParameter
from msgspec import Struct

from core import hookspecs
from core.customers import queries as customers
from core.texts import _
from core.web.jsonapi import Call, api_get
from core.web.routing import SIGNED_IN

SHORTEST: Final = 2
Words = Annotated[str, QueryParameter(min_length=SHORTEST, max_length=200, description="What is looked for")]
Most = Annotated[int, QueryParameter(ge=1, le=50, description="Of each kind, at most")]


class Found(Struct, frozen=True):
    """Something that was found; `href` is its page."""

    kind: str
    label: str
    href: str
    detail: str


@api_get(
    "/search",
    permission=SIGNED_IN,
    summary="Find anything by its name, number or address",
    description="Customers, documents, products, staff and what plugins know, each where the token may see it. The"
    " first of each kind: the lists have all of them (`q`).",
)
async def search(call: Call, q: Words, limit: Most = 8) -> list[Found]:
    scope, text = call.scope, q.replace("\0", "").strip()
    found: list[Found] = []
    if len(text) < SHORTEST:
        return found
    if scope.may("customers.view"):
        found = [
            Found(_("Customers"), one.full_name, f"/customers/{one.id}", one.city)
            for one in await customers.search_customers(scope, text, limit=limit)
        ]
    for answer in await scope.hooks.ask(hookspecs.search_results, scope=scope, text=text, limit=limit):
        told: dict[str, int] = {}
        for hit in answer.value or ():
            told[hit.kind] = told.get(hit.kind, 0) + 1
            if told[hit.kind] <= limit:
                found.append(Found(hit.kind, hit.label, hit.href, hit.detail))
    return found


HANDLERS: Final = (search,)
