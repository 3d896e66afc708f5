"""What the core and a service that knows VAT ids say to each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from core.scope import Scope


class VatAnswer(Struct, frozen=True, kw_only=True):
    """What a service says of a VAT id. `consultation` is the number that proves the question; name and address are
    those of who has the id, where the service tells."""

    valid: bool
    consultation: str = ""
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VatChecker:
    """A service that says whether a VAT id of the EU is valid. `ask` is given the id with its country's letters
    (EL for Greece), never inside a unit of work, and may be asked for the same one again. It raises Unavailable where
    there is no answer: that is not the answer "not valid", and nothing changes by it. What follows for tax, how long an
    answer counts and when to ask again is the core's.
    """

    label: str
    """As staff read it: "VIES"."""
    ask: Callable[[Scope, str], Awaitable[VatAnswer]]
