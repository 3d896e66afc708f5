"""The gateways that plugins bring: which there are, and what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from core import hookspecs, outbound
from core.database import execute, value
from core.errors import NotFound
from core.hooks import PaymentGateway
from core.ledger.accounts import Code
from core.scope import plugin_actor
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.scope import Scope

T = TypeVar("T")


async def list_gateways(scope: Scope, currency: str = "") -> list[PaymentGateway]:
    """The gateways that are set up, and take this currency."""
    found = [gateway for _plugin, gateway in await gateways_of(scope)]
    return [gateway for gateway in found if not currency or gateway.takes(currency)]


async def gateways_of(scope: Scope) -> list[tuple[str, PaymentGateway]]:
    """With the plugins that bring them."""
    return [
        (answer.plugin, gateway)
        for answer in await scope.hooks.ask(hookspecs.payment_gateways, scope=scope)
        if answer.error is None
        for gateway in answer.value or ()
    ]


async def find_gateway(scope: Scope, key: str) -> tuple[Scope, PaymentGateway]:
    """A gateway, and the scope as its plugin. Raises NotFound where there is none of this key."""
    for plugin, gateway in await gateways_of(scope):
        if gateway.key == key:
            return scope.as_actor(plugin_actor(plugin)), gateway
    raise NotFound(f"payment gateway {key}")


async def method_of(gateway: PaymentGateway) -> int:
    """Its method of payment, booked in transit until the gateway pays out; made when it is first used."""
    await execute(
        "INSERT INTO payment_method (code, name, kind, account_code, active, position)"
        " VALUES (:code, :name, 'gateway', :account, FALSE, 50) ON CONFLICT (code) DO NOTHING",
        code=gateway.key,
        name=gateway.label,
        account=Code.IN_TRANSIT.value,
    )
    return int(await value("SELECT id FROM payment_method WHERE code = :code", code=gateway.key))


async def answer_of(gateway: PaymentGateway, question: Callable[[], Awaitable[T]], silence: str = "") -> T:
    """What the gateway answers. Raises Unavailable, which says `silence`, where it takes too long, where its connection
    breaks, and where its plugin does: the money may have moved in each of them."""
    silence = silence or _("%(gateway)s does not answer.", gateway=_(gateway.label))
    return await outbound.answer_of(gateway.key, "payment gateway", question, silence)
