"""The list of all subscriptions as a page: searched by customer, filtered by state and kind, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.catalog.pages import KINDS_MANY
from core.database import within
from core.ids import sort_key
from core.subscriptions import pages
from core.subscriptions.queries import _SUBSCRIPTION as SUBSCRIPTION
from core.subscriptions.schemas import SubscriptionRow
from core.subscriptions.tables import Subscription
from core.texts import _
from core.web.keyset import address, counted, pager_of, row_id, slice_of
from core.web.parts import Chip, FilterChoice, Head, TabItem

if TYPE_CHECKING:
    from core.web.view import View

PATH: Final = "/subscriptions"


def _heads() -> list[Head]:
    return [
        Head(label=_("Subscription"), cls="c-name"),
        Head(label=_("Id")),
        Head(label=_("Customer"), cls="c-meta"),
        Head(label=_("Status"), cls="c-status"),
        Head(label=_("Price agreed"), number=True, cls="c-amount"),
        Head(label=_("Per")),
        Head(label=_("Started")),
        Head(label=_("Next")),
    ]


async def page_values(view: View) -> dict[str, Any]:
    """The values of subscriptions/_list.html for the address that was asked for."""
    scope, asked = view.scope, view.query
    q = asked.get("q", "").strip()[:200]
    state = asked.get("status", "") if asked.get("status", "") in pages.PILLS else ""
    kind = asked.get("kind", "") if asked.get("kind", "") in KINDS_MANY else ""
    conditions, values = _conditions(view, q, state, kind)
    tables = (
        "subscription JOIN customer ON customer.id = subscription.customer_id"
        " JOIN product ON product.id = subscription.product_id"
    )
    page = await slice_of(
        SubscriptionRow,
        SUBSCRIPTION,
        conditions,
        {**values, "today": scope.today()},
        key="subscription.id",
        id_of=lambda row: row.id,
        after=row_id(asked.get("after", "")),
        before=row_id(asked.get("before", "")),
    )
    kept = {"q": q, "status": state, "kind": kind}
    return {
        "items": [pages.item_of(each, scope.today(), scope.locale) for each in page.found],
        "heads": _heads(),
        "q": q,
        "chips": [
            *(
                [
                    Chip(
                        field=_("Status"),
                        relation=_("is"),
                        value=_(pages.PILLS[state].label),
                        off=_without(kept, "status"),
                    )
                ]
                if state
                else []
            ),
            *(
                [Chip(field=_("Kind"), relation=_("is"), value=_(KINDS_MANY[kind]), off=_without(kept, "kind"))]
                if kind
                else []
            ),
        ],
        "filters": [
            FilterChoice(
                label=_("Status"),
                choices=[
                    TabItem(
                        label=_(each.label), href=address(PATH, kept, status=each.value), current=each.value == state
                    )
                    for each in pages.STATES
                ],
            ),
            FilterChoice(
                label=_("Kind"),
                choices=[
                    TabItem(label=_(label), href=address(PATH, kept, kind=key), current=key == kind)
                    for key, label in KINDS_MANY.items()
                    if key != "one_off"
                ],
            ),
        ],
        "kept": {name: text for name, text in kept.items() if text and name != "q"},
        "pager": pager_of(PATH, kept, page, await counted(tables, conditions, values)),
        "filtered": bool(q or state or kind),
    }


def _without(kept: dict[str, str], name: str) -> str:
    return address(PATH, kept, **{name: ""})


def _conditions(view: View, q: str, state: str, kind: str) -> tuple[str, dict[str, Any]]:
    conditions, values = [":within"], dict[str, Any](within=within(Subscription, view.scope.actor.reach))
    if state:
        conditions.append("subscription.state = :state")
        values["state"] = state
    if kind:
        conditions.append("product.kind = :kind")
        values["kind"] = kind
    if q:
        key = sort_key(q)
        values["text"], values["end"] = key, key + "\U0010ffff"
        ways = ["(customer.name_key >= :text AND customer.name_key < :end)"]
        if q.isdecimal() and len(q) <= 18:
            ways.append("subscription.id = :number")
            values["number"] = int(q)
        conditions.append(f"({' OR '.join(ways)})")
    return " AND ".join(conditions), values
