"""The end of a customer's row in the list: what may be done from there, the rest greyed with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.customers import queries
from core.customers.head import head_values
from core.customers.status import StatusKey
from core.lists.row_ends import RowEnds, RowIcon
from core.texts import N_, _, pgettext
from core.web.parts import MenuEntry
from core.web.routing import get
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail, CustomerItem
    from core.scope import Scope

DRAWER: Final = {"hx-target": "#plan", "hx-swap": "innerHTML"}
SWITCHES: Final = (
    (StatusKey.ACTIVE, N_("Enable…"), "circle-check"),
    (StatusKey.INACTIVE, N_("Disable…"), "circle-off"),
)


async def ends_of(scope: Scope, rows: Sequence[CustomerItem]) -> RowEnds:
    """A message, an invoice, a subscription; and the menu."""
    icons: dict[str, list[RowIcon]] = {}
    for row in rows:
        if row.status not in icons:
            icons[row.status] = _icons(scope, row)
    return RowEnds(
        icons,
        kind_of=lambda row: str(row.status),
        name_of=lambda row: str(row.full_name),
        menu="/customers/{id}/row-menu",
        page="/customers/{id}",
    )


def _icons(scope: Scope, row: CustomerItem) -> list[RowIcon]:
    icons = []
    if scope.may("messages.send"):
        href = "/customers/{id}/messages/new"
        refused = "" if row.has_mail else _("No mail server is set up: see Settings, Mail")
        icons.append(RowIcon(icon="mail", label=_("Write e-mail"), href=href, refused=refused))
    if scope.may("documents.edit"):
        icons.append(RowIcon(icon="file-plus", label=_("New invoice"), href="/customers/{id}/invoices/new"))
    if scope.may("subscriptions.change"):
        refused = "" if row.may_order else _("A customer that is %(status)s cannot order", status=_(row.status_label))
        label = _("New subscription")
        icons.append(RowIcon(icon="repeat", label=label, href="/customers/{id}/subscriptions", refused=refused))
    return icons


@get("/customers/{customer_id:int}/row-menu", permission="customers.view")
async def show_row_menu(view: View, customer_id: FromPath[int]) -> Response[str]:
    """Into the menu that opens at the end of a row; without scripts the customer's page has the same."""
    head = await head_values(view, customer_id, "")
    if not view.is_htmx:
        return view.go(f"/customers/{customer_id}")
    customer: CustomerDetail = head["customer"]
    first = [MenuEntry(label=pgettext("verb", "Open"), icon="eye", href=f"/customers/{customer_id}")]
    changes = await _changes(view.scope, customer) if view.scope.may("customers.edit") else []
    groups = [first, *changes, *head["create_menu"], *head["message_menu"], *head["actions_menu"]]
    return view.page("lists/_row_menu.html", label=customer.full_name, groups=groups)


async def _changes(scope: Scope, customer: CustomerDetail) -> list[list[MenuEntry]]:
    ways = {one.key for one in await queries.list_next_statuses(customer.status)}
    path = f"/customers/{customer.id}/status"
    switches = []
    for key, label, icon in SWITCHES:
        refused = ""
        if key == customer.status:
            refused = _("It is %(status)s already.", status=_(customer.status_label))
        elif key not in ways:
            refused = _("Not from %(status)s", status=_(customer.status_label))
        at = f"{path}?status={key}"
        switches.append(MenuEntry(label=_(label), icon=icon, href=at, refused=refused, attrs={"hx-get": at, **DRAWER}))
    tags = [
        MenuEntry(label=_(label), icon="tag", attrs={"hx-post": "/customers/bulk", "hx-vals": vals, "hx-swap": "none"})
        for label, vals in (
            (N_("Add tags…"), f'{{"action": "customers.add_tags", "id": "{customer.id}"}}'),
            (N_("Remove tags…"), f'{{"action": "customers.remove_tags", "id": "{customer.id}"}}'),
        )
    ]
    return [switches, tags]


HANDLERS: Final = (show_row_menu,)
