"""Test gateway: a payment gateway of one's own to try out paying with. No money moves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.hooks import Manifest, MenuItem, PaymentGateway, Permission, hookimpl
from core.jobs.kinds import Job, JobKind
from core.texts import N_
from plugins.testgateway import routes, till
from plugins.testgateway.settings import TestgatewaySettings
from plugins.testgateway.tables import TestgatewayPayment, TestgatewayRefund

if TYPE_CHECKING:
    from core.scope import Scope


async def notify(scope: Scope, job: Job[till.Notice]) -> None:
    await till.notify(scope, job.payload.body.encode())


MANIFEST = Manifest(
    name="testgateway",
    label=N_("Test gateway"),
    version="1.0",
    hook_version="1.0",
    description=N_("A payment gateway to try out paying with: payers press Pay or Decline, and no money moves."),
    order=90,
    routes=routes.HANDLERS,
    public=routes.OPEN_TO_ALL,
    permissions=(Permission(routes.MANAGE, N_("See the test gateway’s book, and pay out")),),
    tables=(TestgatewayPayment, TestgatewayRefund),
    migrations=Path(__file__).parent / "migrations",
    settings=TestgatewaySettings,
    jobs=(JobKind(till.NOTIFY, till.Notice, notify, label=N_("Notification of the test gateway")),),
    menu=(
        MenuItem(area="billing", label=N_("Test gateway"), href=routes.BOOK, permission=routes.MANAGE, icon="coins"),
    ),
)

GATEWAY: Final = PaymentGateway(
    key=till.KEY,
    label=N_("Test payment"),
    hint=N_("For trying out: no money moves."),
    begin=till.begin,
    look=till.look,
    read=till.read,
    pay_back=till.pay_back,
)


@hookimpl
async def payment_gateways() -> Sequence[PaymentGateway]:
    return (GATEWAY,)
