"""Why amounts and states are so, beside them on their pages."""

from __future__ import annotations

from typing import Final

from litestar import Response
from litestar.params import FromPath

from core.billing import queries, whys
from core.customers.queries import get_customer
from core.customers.whys import why_page
from core.web.routing import get
from core.web.view import View


@get("/customers/{customer_id:int}/balance/why", permission="documents.view")
async def why_balance(view: View, customer_id: FromPath[int]) -> Response[str]:
    await get_customer(view.scope, customer_id)
    if not view.is_htmx:
        return view.go(f"/customers/{customer_id}")
    return why_page(view, await whys.why_balance(view.scope, customer_id))


@get("/invoices/{invoice_id:int}/why", permission="documents.view")
async def why_document(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await queries.get_document(view.scope, invoice_id)
    if not view.is_htmx:
        return view.go(f"/invoices/{invoice_id}")
    return why_page(view, await whys.why_document(view.scope, document))


HANDLERS: Final = (why_balance, why_document)
