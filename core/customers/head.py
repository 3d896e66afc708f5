"""What stands on every tab of a customer: name, status, tags, facts, tabs and menus, from the core and from plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core import hookspecs
from core.customers import queries
from core.customers.leads import lead_refusal
from core.customers.schemas import CustomerDetail
from core.hooks import Action, Fact, KnownCustomer, Tab
from core.texts import _, ngettext, number, pgettext
from core.web.parts import MenuEntry, TabItem
from core.web.templating import written

if TYPE_CHECKING:
    from core.scope import Scope
    from core.web.view import View

CORE_NAMES = frozenset({"customers", "catalog", "ledger", "messages", "subscriptions", "billing", "payments", "lists"})


async def head_values(view: View, customer_id: int, tab: str) -> dict[str, Any]:
    """For `{% include "customers/_head.html" %}`, which every tab of a customer begins with.

    `tab` is the label of the current one. Raises NotFound (404) for a customer out of reach.
    """
    scope = view.scope
    head = await queries.get_customer_head(scope, customer_id)
    customer = head.customer
    known = KnownCustomer(
        id=customer.id,
        full_name=customer.full_name,
        currency=customer.currency,
        status=customer.status,
        status_label=customer.status_label,
        may_order=head.may_order,
        live_subscriptions=customer.live_subscriptions,
    )
    return {
        "customer": customer,
        "tags": head.tags,
        "facts": await _facts(scope, customer, known),
        "tabs": await _tabs(scope, known, head),
        "tab": tab,
        "menu_place": f"/customers/{customer_id}",
        "may_edit": scope.may("customers.edit") and customer.anonymised_at is None,
        **await _menus(scope, known, head),
    }


async def _facts(scope: Scope, customer: CustomerDetail, known: KnownCustomer) -> list[Fact]:
    facts = [
        fact
        for answer in await scope.hooks.ask(hookspecs.customer_facts, scope=scope, customer_id=known.id, customer=known)
        for fact in answer.value or ()
    ]
    services = ngettext("%(num)s live", "%(num)s live", known.live_subscriptions)
    return [
        *facts,
        Fact(label=_("Services"), value=services if known.live_subscriptions else pgettext("services", "None")),
        Fact(label=_("Joined"), value=written(customer.joined_on, scope.locale)),
    ]


async def _tabs(scope: Scope, known: KnownCustomer, head: queries.CustomerHead) -> list[TabItem | str]:
    """General, the customer's own, the features', Activity; then a line, and the plugins'."""
    base = f"/customers/{known.id}"
    people = number(head.people) if head.people else ""
    own: list[TabItem] = [
        TabItem(label=_("General"), href=base),
        TabItem(label=_("Details"), href=f"{base}/details"),
        TabItem(label=_("Users"), href=f"{base}/contacts", count=people),
    ]
    plugins: list[TabItem] = []
    for answer in await scope.hooks.ask(hookspecs.customer_tabs, scope=scope, customer_id=known.id, customer=known):
        from_core = answer.plugin in CORE_NAMES
        for tab in answer.value or ():
            (own if from_core else plugins).append(_tab_item(tab, "" if from_core else answer.plugin))
    own.append(TabItem(label=_("Notes"), href=f"{base}/notes", count=number(head.notes) if head.notes else ""))
    if scope.may("activity.view"):
        own.append(TabItem(label=_("Activity"), href=f"{base}/activity"))
    return [*own, "|", *plugins] if plugins else [*own]


def _tab_item(tab: Tab, plugin: str) -> TabItem:
    count = number(tab.count) if tab.count else ""
    return TabItem(label=tab.label, href=tab.href, count=count, tone=tab.tone, plugin=plugin)


async def _menus(scope: Scope, known: KnownCustomer, head: queries.CustomerHead) -> dict[str, list[list[MenuEntry]]]:
    """Message, Create, Actions: what may be done from here, the dangerous last."""
    found: list[Action] = [
        action
        for answer in await scope.hooks.ask(
            hookspecs.customer_actions, scope=scope, customer_id=known.id, customer=known
        )
        for action in answer.value or ()
    ]
    change: list[list[MenuEntry]] = []
    stays = _("It is anonymised already") if head.customer.anonymised_at is not None else ""
    if scope.may("customers.edit"):
        change.append(
            [
                MenuEntry(
                    label=_("Change status…"),
                    icon="adjustments-horizontal",
                    href=f"/customers/{known.id}/status",
                    attrs={
                        "hx-get": f"/customers/{known.id}/status",
                        "hx-target": "#plan",
                        "hx-swap": "innerHTML",
                    },
                    refused=stays or ("" if head.may_move else _("There is no status to go to")),
                ),
                MenuEntry(
                    label=_("Convert to lead…"),
                    icon="user-plus",
                    href=f"/customers/{known.id}/lead",
                    attrs={"hx-get": f"/customers/{known.id}/lead", "hx-target": "#plan", "hx-swap": "innerHTML"},
                    refused=stays or lead_refusal(scope, known.status, _(known.status_label)),
                ),
            ]
        )
    last: list[MenuEntry] = []
    refused = stays or ("" if head.may_delete else _("Not while it is %(status)s", status=_(known.status_label)))
    if scope.may("customers.anonymise"):
        last.append(_for_ever(_("Anonymise…"), "shield-lock", f"/customers/{known.id}/anonymisation", refused))
    if scope.may("customers.delete"):
        last.append(_for_ever(_("Delete…"), "trash", f"/customers/{known.id}/deletion", refused))
    return {
        "message_menu": _groups([action for action in found if action.group == "message"]),
        "create_menu": _groups([action for action in found if action.group == "create"]),
        "actions_menu": [
            *change,
            *_groups([action for action in found if action.group == "change"]),
            *([last] if last else []),
        ],
    }


def _for_ever(label: str, icon: str, href: str, refused: str) -> MenuEntry:
    attrs = {"hx-get": href, "hx-target": "#plan", "hx-swap": "innerHTML"}
    return MenuEntry(label=label, icon=icon, href=href, danger=True, attrs=attrs, refused=refused)


def _groups(actions: Sequence[Action]) -> list[list[MenuEntry]]:
    entries = [
        [
            MenuEntry(
                label=action.label,
                icon=action.icon or "chevron-right",
                href=action.href,
                danger=action.danger,
                refused=action.refused,
            )
            for action in actions
            if action.danger is dangerous
        ]
        for dangerous in (False, True)
    ]
    return [group for group in entries if group]
