"""Portal: customers see what they have and owe, and keep their own data; the staff can look at it as they do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.database import value
from core.hooks import Action, Effect, Erasure, Manifest, MessageLink, Permission, hookimpl
from core.payments.gateways import list_gateways
from core.texts import N_, _
from plugins.portal import actions, entering, jobs, pause_routes, paying, routes
from plugins.portal.settings import PortalSettings
from plugins.portal.tables import PortalLink, PortalUser, PortalVisit

if TYPE_CHECKING:
    from core.scope import Scope

MANIFEST = Manifest(
    name="portal",
    label=N_("Customer portal"),
    version="1.0",
    hook_version="1.0",
    description=N_("Customers log in under /portal: balance, invoices, payments, services, messages, own data."),
    order=10,
    routes=(*entering.HANDLERS, *routes.HANDLERS, *pause_routes.HANDLERS, *paying.HANDLERS),
    public=entering.OPEN_TO_ALL,
    door=entering.DOOR,
    permissions=(
        Permission(actions.LOG_IN_AS, N_("Log in as a customer")),
        Permission(actions.PAY_AS, N_("Pay as a customer"), N_("While logged in as one")),
    ),
    tables=(PortalUser, PortalLink, PortalVisit),
    migrations=Path(__file__).parent / "migrations",
    settings=PortalSettings,
    jobs=jobs.JOBS,
    messages=(jobs.LINK_MAIL,),
)


@hookimpl
async def customer_actions(scope: Scope, customer_id: int) -> Sequence[Action]:
    if not scope.may(actions.LOG_IN_AS):
        return ()
    return (
        Action(
            label=_("Log in as customer…"),
            href=f"{entering.STAFF}/customers/{customer_id}/visit",
            icon="login",
            group="change",
        ),
    )


@hookimpl
async def choose_payment_link(scope: Scope, document_id: int, currency: str) -> str | None:
    """The page of the portal, where something can be paid there."""
    if not await list_gateways(scope, currency):
        return None
    return f"{scope.tenant.address}{paying.PAY}?invoice={document_id}"


@hookimpl
async def message_links(scope: Scope, kind: str, customer_id: int, document_id: int | None) -> Sequence[MessageLink]:
    """Where a reminded invoice is paid, and where the balance stands. The e-mail of an invoice says it by itself."""
    if kind in ("prepaid_not_covered", "prepaid_coming"):
        return (MessageLink(label=_("Your account"), href=f"{scope.tenant.address}{entering.HOME}"),)
    if document_id is None or kind == "invoice":
        return ()
    currency = await value(
        "SELECT currency FROM document_state WHERE document_id = :id AND open_minor > 0", id=document_id
    )
    href = await choose_payment_link(scope, document_id, str(currency)) if currency else None
    return (MessageLink(label=_("Pay online"), href=href),) if href else ()


@hookimpl
async def plan_customer_erasure(customer_ids: Sequence[int]) -> Erasure:
    """What they log in with goes; that somebody was in the portal in their place stays."""
    ids = list(customer_ids)
    return Erasure(effects=(Effect(kind="data", text=_("Passwords of the portal"), apply=partial(actions.erase, ids)),))
