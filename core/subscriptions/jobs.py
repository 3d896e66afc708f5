"""Subscriptions of many customers, brought along when their status got other effects: one each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.jobs.kinds import Job, JobKind
from core.subscriptions.actions import charge_arrears, wake
from core.subscriptions.statuses import Owing, Resting
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


async def charge_owed(scope: Scope, job: Job[Owing]) -> None:
    """The days before its customer's status was billed no more. Once done it finds nothing."""
    await charge_arrears(scope, job.payload.subscription_id, job.payload.day, resting=True)


async def wake_one(scope: Scope, job: Job[Resting]) -> None:
    await wake(scope, job.payload.subscription_id)


CHARGE_OWED: Final = JobKind(
    "subscriptions.charge_owed", Owing, charge_owed, label=N_("Charging the days before a status is billed no more")
)
WAKE: Final = JobKind("subscriptions.wake", Resting, wake_one, label=N_("Charging a subscription again"))

JOBS: Final = (CHARGE_OWED, WAKE)
