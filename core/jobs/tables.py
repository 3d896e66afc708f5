"""Rows of jobs and of schedules."""

from typing import Any

from piccolo.columns import BigInt, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.reference import LazyTableReference
from piccolo.table import Table

from core.database import STAFF_ONLY, via


class Job(Table):
    """A piece of work and its truth: when it is due, who has claimed it, how far it is and how it ended."""

    belongs = via("customer_id")

    id = BigSerial(primary_key=True)
    kind = Text()
    policy = Text()
    state = Text()
    due_at = Timestamptz()
    dedupe_key = Text(null=True, unique=True)
    payload = Text()
    actor = Text()
    customer_id: ForeignKey[Any] = ForeignKey(
        LazyTableReference("Customer", module_path="core.customers.tables"), null=True, index=True
    )
    crowd = Boolean()
    """One of many that were left at once: what somebody asked for alone goes first."""
    attempts = Integer()
    fence = BigInt()
    lease_until = Timestamptz(null=True)
    cancel_asked = Boolean()
    progress_done = BigInt()
    progress_total = BigInt()
    progress_text = Text()
    result = Text(null=True)
    error = Text(null=True)
    created_at = Timestamptz()
    started_at = Timestamptz(null=True)
    finished_at = Timestamptz(null=True)


class ScheduleDue(Table):
    """When a schedule starts its job next; written anew each time it does."""

    belongs = STAFF_ONLY

    name = Text(primary_key=True)
    next_at = Timestamptz()
    last_at = Timestamptz(null=True)
