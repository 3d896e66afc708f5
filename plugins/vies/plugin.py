"""VIES: the European Commission says whether VAT ids are valid; the core keeps what it says and taxes by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from core.billing.vat_asking import ask_soon
from core.hooks import Manifest, VatChecker, hookimpl
from core.texts import N_
from plugins.vies import register
from plugins.vies.settings import ViesSettings

if TYPE_CHECKING:
    from core.customers.events import CustomerChanged, CustomerCreated
    from core.scope import Scope

MANIFEST = Manifest(
    name="vies",
    label=N_("VIES"),
    version="1.0",
    hook_version="1.0",
    description=N_(
        "Asks the European Commission whether VAT ids are valid: at once, for new ones, and anew each month."
    ),
    order=60,
    settings=ViesSettings,
    events=("customer_created", "customer_changed"),
    outbound_hosts=register.HOSTS,
)

CHECKER: Final = VatChecker(label=N_("VIES"), ask=register.ask)


@hookimpl
async def vat_checkers() -> Sequence[VatChecker]:
    return (CHECKER,)


@hookimpl
async def customer_created(scope: Scope, events: Sequence[CustomerCreated]) -> None:
    await ask_soon(scope, [event.customer_id for event in events])


@hookimpl
async def customer_changed(scope: Scope, events: Sequence[CustomerChanged]) -> None:
    """Whatever was changed: who has an answer that is fresh is not asked about."""
    await ask_soon(scope, [event.customer_id for event in events])
