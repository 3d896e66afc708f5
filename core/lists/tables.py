"""Rows of lists: what is done to many of their rows at once, saved views, columns of one's own.

Keys, indexes and checks stand in the migrations.
"""

from piccolo.columns import BigInt, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.database import STAFF_ONLY


class BulkRun(Table):
    """A deed that somebody wants done to many rows of a list: what exactly, how far it is, what it would do.

    `address` is the filter that the rows were chosen by, null where they were ticked one by one; `after_id` the run
    whose rows these are. `turn` counts how often it was worked out.
    """

    belongs = STAFF_ONLY

    id = BigSerial(primary_key=True)
    listing = Text()
    action = Text()
    state = Text()
    form = Text()
    address = Text(null=True)
    total = BigInt()
    plan = Text()
    turn = BigInt()
    at_once = Boolean()
    job_id = BigInt(null=True)
    after_id = BigInt(null=True)
    made_by = Text()
    created_at = Timestamptz()
    finished_at = Timestamptz(null=True)


class BulkRow(Table):
    """A row that was chosen: what would be done to it as a digest, what was, or why not."""

    belongs = STAFF_ONLY

    run_id = ForeignKey(BulkRun, on_delete=OnDelete.cascade)
    row_id = BigInt(primary_key=True)
    state = Text()
    digest = Text()
    told = Text()


class ListView(Table):
    """A list as somebody saved it under a name: what is left out of it, its order, its columns.

    `address` is the part of an address that says so, `columns` keys with commas between, empty for the list's own.
    `owner` is the actor who made it; a `shared` one is seen by all staff who see all customers.
    """

    belongs = STAFF_ONLY

    id = BigSerial(primary_key=True)
    listing = Text()
    owner = Text()
    name = Text()
    name_key = Text()
    shared = Boolean()
    address = Text()
    columns = Text()
    version = Integer()
    changed_at = Timestamptz()


class ListLayout(Table):
    """How an actor sees a list: its columns in their order, the view that it opens with, the rows of a page."""

    belongs = STAFF_ONLY

    id = BigSerial(primary_key=True)
    listing = Text()
    owner = Text()
    columns = Text()
    size = Integer(null=True)
    view_id = ForeignKey(ListView, null=True, on_delete=OnDelete.set_null, index=True)
