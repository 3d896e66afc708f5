"""What a database refuses, the same words for SQLite and PostgreSQL."""

from __future__ import annotations

import errno
from typing import Final

from core.errors import Conflict, Unavailable
from core.texts import _

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says of a file that cannot grow."""
CLOSED: Final = "closed for writes"
"""What SQLite's triggers say while a database is closed for writes."""


class NoTenantBound(RuntimeError):
    """A query was made while no tenant was bound: nothing decides whose rows it would touch."""

    def __init__(self) -> None:
        super().__init__("No tenant is bound here. Wrap the call in `with bind(database):`.")


class TransactionError(RuntimeError):
    """A transaction is used in a way that would lose or mix up work."""


class StatementFailed(TransactionError):
    """A statement of this transaction failed before, so nothing of it can be kept. Go back to a savepoint, or let it
    end.
    """


class WrongDatabase(Exception):
    """The database is not the one that it was opened as: another tenant's, nobody's, or of another version."""


class SchemaTooNew(WrongDatabase):
    """A newer version of the product has been at this database."""


class UnsafeServer(Exception):
    """The PostgreSQL server is not set up as it is configured, or would break the walls between tenants. The start is
    refused."""


class ClosedForWrites(Unavailable):
    """The database is being moved: it can be read, and changes are taken again in a moment."""

    def __init__(self) -> None:
        super().__init__(
            _("This is being moved to another place and takes no changes for a moment. Try again in a few seconds."),
            retry_after=5,
        )


class DiskFull(Unavailable):
    """Nothing can be written until there is room again."""

    def __init__(self) -> None:
        super().__init__(_("The disk is full. Nothing was changed."), retry_after=60)


class Damaged(Unavailable):
    """The database file is damaged. The others are not concerned."""


class Duplicate(Conflict):
    """There is one like it already. `columns` are those of the key that both would have."""

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        named = f" {_('and')} ".join(column.removesuffix("_key").replace("_", " ") for column in columns)
        super().__init__(
            _("There is already one with the same %(named)s.", named=named)
            if named
            else _("There is already one like it.")
        )
        self.table = table
        self.columns = columns


class BrokenReference(Conflict):
    """A row would point to nothing."""

    def __init__(self, table: str = "") -> None:
        super().__init__(_("Something else still uses this, or what it refers to is gone."))
        self.table = table


class Refused(Conflict):
    """A rule kept by the database itself said no (a trigger). The message is the rule's own."""


class ConstraintFailed(Exception):
    """A value that the database does not take (CHECK, NOT NULL): the code let it through, so it is our fault."""
