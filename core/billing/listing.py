"""Lists of documents as pages: all of them, or one customer's; searched by number and customer, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.billing import pages
from core.billing.queries import _DOCUMENT as DOCUMENT
from core.billing.queries import _FROM as FROM
from core.billing.schemas import DocumentRow
from core.billing.tables import Document
from core.database import within
from core.ids import sort_key
from core.texts import N_, _, pgettext
from core.web.keyset import Slice, address, counted, pager_of, row_id, slice_of
from core.web.parts import Chip, FilterChoice, Head, TabItem

if TYPE_CHECKING:
    from core.scope import Scope
    from core.web.view import View

PATH: Final = "/invoices"
KINDS: Final = {"invoice": N_("Invoices"), "credit_note": N_("Credit notes")}
_STATE_SQL: Final = {
    "draft": "document.state = 'draft'",
    "open": "s.open_minor > 0",
    "overdue": "s.open_minor > 0 AND s.due_on < :today",
    "settled": "document.state = 'issued' AND document.kind <> 'credit_note' AND s.open_minor = 0",
}


def states() -> dict[str, str]:
    """What the list can be filtered by, and how it reads."""
    return {
        "draft": _("Draft"),
        "open": pgettext("invoice", "Open"),
        "overdue": _("Overdue"),
        "settled": _("Settled"),
    }


async def page_values(view: View) -> dict[str, Any]:
    """The values of billing/_list.html for the address that was asked for."""
    scope, asked = view.scope, view.query
    q = asked.get("q", "").strip()[:200]
    state = asked.get("status", "") if asked.get("status", "") in _STATE_SQL else ""
    kind = asked.get("kind", "") if asked.get("kind", "") in KINDS else ""
    kept = {"q": q, "status": state, "kind": kind}
    conditions, values = _conditions(scope, q, state, kind)
    page = await page_of(scope, conditions, values, after=asked.get("after", ""), before=asked.get("before", ""))
    currency = scope.tenant.currency
    one_currency = all(each.currency == currency for each in page.found)
    return {
        "items": [pages.item_of(each, scope.today()) for each in page.found],
        "totals": pages.totals_of(page.found),
        "heads": heads(currency if one_currency else "", customer=True),
        "one_currency": one_currency,
        "q": q,
        "chips": [
            *(
                [Chip(field=_("Status"), relation=_("is"), value=states()[state], off=address(PATH, kept, status=""))]
                if state
                else []
            ),
            *(
                [Chip(field=_("Kind"), relation=_("is"), value=_(KINDS[kind]), off=address(PATH, kept, kind=""))]
                if kind
                else []
            ),
        ],
        "filters": [
            FilterChoice(label=_("Status"), choices=_choices(kept, "status", states(), state)),
            FilterChoice(label=_("Kind"), choices=_choices(kept, "kind", KINDS, kind)),
        ],
        "kept": {name: text for name, text in kept.items() if text and name != "q"},
        "pager": pager_of(PATH, kept, page, await _count(conditions, values)),
        "filtered": bool(q or state or kind),
    }


def heads(currency: str, *, customer: bool) -> list[Head]:
    """Heads of a table of documents; the currency stands in them where it is the same everywhere."""
    return [
        Head(label=_("Number"), cls="c-name"),
        Head(label=_("Kind")),
        *([Head(label=_("Customer"))] if customer else []),
        Head(label=_("Issued")),
        Head(label=_("Due"), cls="c-meta"),
        Head(label=_("Status"), cls="c-status"),
        Head(label=_("Amount, %(currency)s", currency=currency) if currency else _("Amount"), number=True),
        Head(
            label=_("Open, %(currency)s", currency=currency) if currency else pgettext("invoice", "Open"),
            number=True,
            cls="c-amount",
        ),
    ]


def _choices(kept: dict[str, str], name: str, labels: dict[str, str], current: str) -> list[TabItem]:
    return [
        TabItem(label=_(label), href=address(PATH, kept, **{name: key}), current=key == current)
        for key, label in labels.items()
    ]


async def of_customer(scope: Scope, payer_id: int, *, after: str, before: str) -> tuple[Slice[DocumentRow], int]:
    """A page of one payer's documents, and how many there are."""
    conditions = ":within AND document.payer_id = :payer_id"
    values = {"within": within(Document, scope.actor.reach), "payer_id": payer_id, "today": scope.today()}
    page = await page_of(scope, conditions, values, after=after, before=before)
    return page, await _count(conditions, values)


async def page_of(
    scope: Scope, conditions: str, values: dict[str, Any], *, after: str, before: str
) -> Slice[DocumentRow]:
    return await slice_of(
        DocumentRow,
        f"{DOCUMENT} {FROM}",
        conditions,
        {**values, "today": scope.today()},
        key="document.id",
        id_of=lambda row: row.id,
        after=row_id(after),
        before=row_id(before),
    )


async def _count(conditions: str, values: dict[str, Any]) -> int:
    used = {name: each for name, each in values.items() if name != "today" or ":today" in conditions}
    return await counted(
        "document JOIN customer ON customer.id = document.payer_id"
        " LEFT JOIN document_state s ON s.document_id = document.id",
        conditions,
        used,
    )


def _conditions(scope: Scope, q: str, state: str, kind: str) -> tuple[str, dict[str, Any]]:
    conditions, values = [":within"], dict[str, Any](within=within(Document, scope.actor.reach), today=scope.today())
    if state:
        conditions.append(_STATE_SQL[state])
    if kind:
        conditions.append("document.kind = :kind")
        values["kind"] = kind
    if q:
        key = sort_key(q)
        values.update(text=key, end=key + "\U0010ffff", number=q, number_end=q + "\U0010ffff")
        conditions.append(
            "((customer.name_key >= :text AND customer.name_key < :end)"
            " OR (document.number >= :number AND document.number < :number_end))"
        )
    return " AND ".join(conditions), values
