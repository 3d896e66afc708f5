"""Subscriptions of many customers, brought along when their status got other effects: one each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.jobs.kinds import Job, JobKind
from core.subscriptions.actions import charge_arrears, wake
from core.subscriptions.actions.repricing import JOB, ToApply, apply_to_all
from core.subscriptions.statuses import Owing, Resting
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


async def charge_owed(scope: Scope, job: Job[Owing]) -> None:
    """The days before its customer's status was billed no more. Once done it finds nothing."""
    await charge_arrears(scope, job.payload.subscription_id, job.payload.day, resting=True)


async def wake_one(scope: Scope, job: Job[Resting]) -> None:
    await wake(scope, job.payload.subscription_id)


class Applied(Struct, frozen=True):
    """How many subscriptions have the new price."""

    subscriptions: int


async def reprice(scope: Scope, job: Job[ToApply]) -> Applied:
    """Repeating it finds what is left."""
    return Applied(await apply_to_all(scope, job.payload, job.progress))


CHARGE_OWED: Final = JobKind(
    "subscriptions.charge_owed", Owing, charge_owed, label=N_("Charging the days before a status is billed no more")
)
WAKE: Final = JobKind("subscriptions.wake", Resting, wake_one, label=N_("Charging a subscription again"))

APPLY_PRICE: Final = JobKind(JOB, ToApply, reprice, limit=None, label=N_("A new price for existing subscriptions"))

JOBS: Final = (CHARGE_OWED, WAKE, APPLY_PRICE)
