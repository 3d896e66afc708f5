"""Rows of lists: what is done to many of their rows at once. Keys, indexes and checks stand in the migrations."""

from piccolo.columns import BigInt, BigSerial, Boolean, ForeignKey, Text, Timestamptz
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
