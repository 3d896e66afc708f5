"""The list of customers as a page: sorted, searched, filtered by status, page by page in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from core.customers import queries
from core.customers.columns import shown_columns
from core.customers.schemas import CustomerItem
from core.customers.tables import Customer
from core.database import rows, value, within
from core.ids import sort_key
from core.web.jsonapi import decode_cursor, encode_cursor
from core.web.parts import Chip, FilterChoice, Head, Pager, TabItem

if TYPE_CHECKING:
    from core.web.view import View

SIZE: Final = 50
COUNTED: Final = 1000

SORTS: Final[dict[str, tuple[str, str, type[Any]]]] = {
    "name": ("Name", "customer.name_key", str),
    "id": ("Id", "customer.id", int),
    "phone": ("Phone", "customer.phone_e164", str),
    "email": ("E-mail", "customer.email_key", str),
    "city": ("City", "customer.city_key", str),
    "joined": ("Joined", "customer.joined_on", str),
    "services": ("Services", "customer.live_subscriptions", int),
    "status": ("Status", "customer.status_id", int),
}


async def page_values(view: View) -> dict[str, Any]:
    """The values of customers/_list.html for the address that was asked for."""
    asked = view.query
    q = asked.get("q", "").strip()[:200]
    status = asked.get("status", "")
    sort, descending = asked.get("sort", "name").lstrip("-"), asked.get("sort", "").startswith("-")
    if sort not in SORTS:
        sort, descending = "name", False
    statuses = await queries.list_statuses()
    chosen = next((one for one in statuses if one.key == status), None)
    conditions, values = _conditions(view, q, chosen.id if chosen else None)
    found, before, after = await _page(
        conditions, values, sort, descending, asked.get("after", ""), asked.get("before", "")
    )
    more = await shown_columns(view.scope, [one.id for one in found])
    kept = {name: asked[name] for name in ("sort", "status") if asked.get(name)}
    count = await _count(conditions, values)
    said = f"{len(found):,} of {count:,}" if count <= COUNTED else f"{len(found):,} of {COUNTED:,}+"
    return {
        "rows": found,
        "more": more,
        "heads": [
            *(_head(key, sort, descending, {**kept, **({"q": q} if q else {})}) for key in SORTS),
            *(Head(label=column.label, number=column.is_number) for column in more),
        ],
        "q": q,
        "chips": [Chip(field="Status", relation="is", value=chosen.label, off=_address({**kept, "q": q}, status=""))]
        if chosen
        else [],
        "filters": [
            FilterChoice(
                label="Status",
                choices=[
                    TabItem(label=one.label, href=_address({**kept, "q": q}, status=one.key), current=one.key == status)
                    for one in statuses
                ],
            )
        ],
        "pager": Pager(
            said=said,
            range=f"Ids {found[0].id} to {found[-1].id}" if found else "",
            first=_address({**kept, "q": q}) if before else "",
            previous=_address({**kept, "q": q}, before=before) if before else "",
            next=_address({**kept, "q": q}, after=after) if after else "",
        ),
        "filtered": bool(q or chosen),
        "kept": kept,
        "none_text": _none_text(q, chosen.label if chosen else ""),
        "without": None,
        "clear_filters": _address({"q": q}),
        "clear_all": "/customers",
        "balances": {},
        "balance_head": None,
        "views": [],
        "may_import": view.scope.may("customers.create"),
    }


def _none_text(q: str, status: str) -> str:
    searched = f"Nothing is found for “{q}”" if q else "Nothing is found"
    return f"{searched} with the status {status}." if status else f"{searched}."


def _conditions(view: View, q: str, status_id: int | None) -> tuple[str, dict[str, Any]]:
    conditions, values = [":within"], dict[str, Any](within=within(Customer, view.scope.actor.reach))
    if status_id is not None:
        conditions.append("customer.status_id = :status_id")
        values["status_id"] = status_id
    if q:
        key = sort_key(q)
        values["text"], values["end"] = key, key + "\U0010ffff"
        ways = [
            f"customer.{column} >= :text AND customer.{column} < :end"
            for column in ("name_key", "login_key", "email_key")
        ]
        digits = "".join(each for each in q if each.isdecimal())
        if digits and len(digits) <= 18:
            ways.append("customer.id = :number")
            values["number"] = int(digits)
        conditions.append("(" + " OR ".join(f"({way})" for way in ways) + ")")
    return " AND ".join(conditions), values


async def _count(conditions: str, values: dict[str, Any]) -> int:
    """Up to one more than is said."""
    return int(
        await value(
            f"SELECT count(*) FROM (SELECT 1 FROM customer WHERE {conditions} LIMIT {COUNTED + 1}) AS counted", **values
        )
    )


async def _page(
    conditions: str, values: dict[str, Any], sort: str, descending: bool, after: str, before: str
) -> tuple[list[CustomerItem], str, str]:
    """A page, and the cursors before its first and after its last row (empty where there is nothing)."""
    _, column, kind = SORTS[sort]
    backwards = bool(before) and not after
    down = descending is not backwards
    cursor = before if backwards else after
    keyset = ""
    if cursor:
        at, row_id = decode_cursor(cursor, tuple[kind, int])  # type: ignore[valid-type]  # the sort column's type
        values = {**values, "at": at, "row_id": row_id}
        place = ":at::date" if sort == "joined" else ":at"
        keyset = f" AND ({column}, customer.id) {'<' if down else '>'} ({place}, :row_id)"
    direction = "DESC" if down else "ASC"
    found = await rows(
        CustomerItem,
        f"{queries.ITEMS} WHERE {conditions}{keyset} ORDER BY {column} {direction}, customer.id {direction} LIMIT :limit",
        limit=SIZE + 1,
        **values,
    )
    more = len(found) > SIZE
    found = found[:SIZE]
    if backwards:
        found.reverse()
    has_before = more if backwards else bool(cursor)
    has_after = True if backwards else more
    return (
        found,
        _cursor(found[0], sort) if found and has_before else "",
        _cursor(found[-1], sort) if found and has_after else "",
    )


def _cursor(row: CustomerItem, sort: str) -> str:
    at: object = {
        "name": sort_key(row.full_name),
        "id": row.id,
        "phone": row.phone,
        "email": row.email,
        "city": sort_key(row.city),
        "joined": row.joined_on.isoformat(),
        "services": row.live_subscriptions,
        "status": row.status_id,
    }[sort]
    return encode_cursor(at, row.id)


def _head(key: str, sort: str, descending: bool, kept: dict[str, str]) -> Head:
    label = SORTS[key][0]
    current = key == sort
    order = f"-{key}" if current and not descending else key
    return Head(
        label=label,
        href=_address(kept, sort=order),
        sort=("descending" if descending else "ascending") if current else "",
        number=key == "services",
    )


def _address(kept: dict[str, str], **changed: str) -> str:
    query = {name: text for name, text in {**kept, **changed}.items() if text}
    return f"/customers?{urlencode(query)}" if query else "/customers"
