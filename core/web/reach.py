"""What belongs to no customer, the catalogue, the books, the numbers, is for staff who see all customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.database import Everything
from core.errors import Forbidden
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


def check_sees_everyone(scope: Scope) -> None:
    """Raises Forbidden for an actor who sees only some of the customers, whatever its permissions."""
    if not isinstance(scope.actor.reach, Everything):
        raise Forbidden(_("This is for staff who see all customers."))
