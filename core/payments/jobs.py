"""Work of payments: a gateway is asked about what is still on its way, and told what to pay back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.jobs.kinds import Job, JobKind
from core.payments.online import ASK, AskGateway, ask_about, send_back
from core.payments.paying_back import PAY_BACK, PayBackOnline
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


async def ask_gateway(scope: Scope, job: Job[AskGateway]) -> None:
    await ask_about(scope, job.payload.payment_id, after=job.payload.after)


async def pay_back_online(scope: Scope, job: Job[PayBackOnline]) -> None:
    await send_back(scope, job.payload.refund_id)


JOBS: Final[tuple[JobKind[Any], ...]] = (
    JobKind(ASK, AskGateway, ask_gateway, label=N_("Ask a gateway what became of a payment")),
    JobKind(PAY_BACK, PayBackOnline, pay_back_online, attempts=12, label=N_("Pay money back through a gateway")),
)
