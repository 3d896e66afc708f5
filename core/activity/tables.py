"""Rows of the log, of the values that changed, and of each reader's place in it."""

from typing import Any

from piccolo.columns import BigInt, Boolean, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.reference import LazyTableReference
from piccolo.table import Table

from core.database import STAFF_ONLY, via


class Activity(Table):
    """One thing that happened. Positions are gapless and in the order of commits; no row is ever changed or deleted.

    `customer_id` has no constraint in the database: the log outlives a deleted customer, and checking it would lock the
    customer's row after the head.
    """

    belongs = via("customer_id")

    position = BigInt(primary_key=True)
    at = Timestamptz()
    kind = Text()
    subject_kind = Text()
    subject_id = BigInt(null=True)
    customer_id: ForeignKey[Any] = ForeignKey(
        LazyTableReference("Customer", module_path="core.customers.tables"), null=True, index=True
    )
    actor = Text()
    on_behalf_of = Text(null=True)
    caused_by = BigInt(null=True)
    depth = Integer()
    facts = Text()
    digest = Text(null=True)


class ActivityValue(Table):
    """A field before and after. Only this part of the log can be emptied: `digest` stays, so the seals still verify."""

    belongs = STAFF_ONLY

    position = BigInt()
    field = Text()
    old = Text(null=True)
    new = Text(null=True)
    salt = Text(null=True)
    digest = Text()


class ActivityHead(Table):
    """The last position. Locked as the last step before a commit, so the order of the log is the order of commits."""

    belongs = STAFF_ONLY

    one = Integer(primary_key=True)
    last = BigInt()


class ActivitySeal(Table):
    """A stretch of the log that cannot be changed unnoticed any more: its last digest, over the seal before it."""

    belongs = STAFF_ONLY

    last = BigInt(primary_key=True)
    first = BigInt(unique=True)
    digest = Text()
    marks = Text()
    sealed_at = Timestamptz()


class Delivery(Table):
    """How far a reader has heard the log, and whether it is being retried or paused."""

    belongs = STAFF_ONLY

    reader = Text(primary_key=True)
    position = BigInt()
    failures = Integer()
    retry_at = Timestamptz(null=True)
    in_a_row = Integer()
    paused_at = Timestamptz(null=True)
    error = Text(null=True)
    held = Boolean()


class DeliveryParked(Table):
    """A fact that a reader failed at for good; the reader has gone on without it."""

    belongs = STAFF_ONLY

    reader = Text()
    position = BigInt()
    error = Text()
    failures = Integer()
    parked_at = Timestamptz()
