"""How old and new values of the activity are read: what their fields are called, and what ids, codes and amounts say.

An event may declare how its own fields read (`fields=` of its class line); what the core's are called stands here. They
are recorded as they are stored, and put in words where they are shown: in the reader's language, with the names
that places and customers have now, as far as the reader sees these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.events import Reading, reading_of
from core.customers import contact_pages
from core.customers.addresses import country_name
from core.customers.sections import BILLING_TYPES, KINDS, LABELS, SEND_BY, TAX, language_name
from core.customers.status import COLOURS, SWITCHES
from core.customers.tables import Customer
from core.database import rows, within
from core.money import format_money
from core.staff.queries import list_roles
from core.texts import N_, _
from core.web.templating import written

if TYPE_CHECKING:
    from core.activity.queries import Entry
    from core.scope import Scope

_FURTHER: Final = {
    "active": N_("May log in"),
    "address": N_("Filter"),
    "amount_minor": N_("Amount"),
    "anchor_on": N_("Billed from"),
    "charges": N_("Lines"),
    "checked_on": N_("Checked on"),
    "closed_until": N_("Closed up to"),
    "colour": N_("Colour"),
    "cycle_minor": N_("Price"),
    "dissolved_on": N_("Dissolved on"),
    "ends_on": N_("Ends on"),
    "happens_on": N_("On"),
    "label": N_("Name"),
    "left_minor": N_("What is left"),
    "lines": N_("Lines"),
    "name": N_("Name"),
    "payer": N_("Payer"),
    "order": N_("Their order"),
    "parent": N_("Parent"),
    "period_end": N_("Period up to"),
    "period_start": N_("Period from"),
    "planned_status": N_("Becomes"),
    "product_id": N_("Product"),
    "promise_on": N_("Promised for"),
    "refusal": N_("Refused because"),
    "role_id": N_("Role"),
    "second_factor": N_("Second factor"),
    "text": N_("Text"),
    "total_minor": N_("Total"),
    "valid_to": N_("No longer from"),
}
_LABELS: Final = {
    **_FURTHER,
    **{name: label for name, (label, _meaning) in SWITCHES.items()},
    **contact_pages.LABELS,
    **LABELS,
}
_CHOICES: Final = {"kind": KINDS, "billing_type": BILLING_TYPES, "send_by": SEND_BY, "tax_profile": TAX}
_STATES: Final = (
    N_("active"), N_("ended"), N_("open"), N_("paused"), N_("pending"), N_("suspended"), N_("trial"), N_("waived"),
    N_("withdrawn"),
)  # fmt: skip
"""States of subscriptions and charges: they are recorded as their keys."""
_WORDS: Final = {
    **{(field, choice.value): choice.label for field, choices in _CHOICES.items() for choice in choices},
    **{("state", state): state for state in _STATES},
    **{("colour", key): label for key, label in COLOURS.items()},
}
_SPOKEN: Final = frozenset({"status", "planned_status"})
"""Words of the product that are kept in English, unless the operator has words of its own."""
_YES_OR_NO: Final = frozenset(
    {"active", "gets_invoices", "gets_reminders", "gets_statements", "never_block", "second_factor", *SWITCHES}
)
_MINOR: Final = "_minor"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_YES: Final = {"yes": N_("Yes"), "no": N_("No")}


def is_told(field: str) -> bool:
    """Keys that stand beside a text are for the database alone."""
    return not field.endswith(("_key", "_e164"))


def label_of(field: str, kind: str = "") -> str:
    """What a field is called that an event of this kind changed."""
    declared = reading_of(kind, field)
    if declared is not None:
        return _(declared.label)
    return _(_LABELS.get(field, field.replace("_", " ").capitalize()))


class _Name(Struct, frozen=True):
    kind: str
    id: int
    name: str


class Names:
    """What ids in some lines of the activity mean, and which currency their amounts are in."""

    def __init__(self, scope: Scope, found: Mapping[tuple[str, int], str]) -> None:
        self._scope, self._found = scope, found

    def shown(self, entry: Entry, field: str, value: str | None) -> str:
        """A value as it is read; empty for none."""
        if not value:
            return ""
        declared = reading_of(entry.kind, field)
        if declared is not None and value in declared.words:
            return _(declared.words[value])
        if _DAY.fullmatch(value):
            with suppress(ValueError):  # 2026-02-30 was typed by somebody
                return written(date.fromisoformat(value), self._scope.locale)
        if field in _YES_OR_NO and value in _YES:
            return _(_YES[value])
        if field.endswith(_MINOR) and value.removeprefix("-").isdecimal():
            return format_money(int(value), self._currency(entry, declared), self._scope.locale)
        if field in _NAMED and value.isdecimal():
            return self._found.get((_NAMED[field], int(value)), value)
        if field in _READ:
            return _READ[field](self._scope, value)
        word = _WORDS.get((field, value), value if field in _SPOKEN else "")
        return _(word) if word else value

    def _currency(self, entry: Entry, declared: Reading | None) -> str:
        if declared is not None and declared.own:
            return self._scope.tenant.currency
        own = entry.facts.get("currency")
        if isinstance(own, str):
            return own
        return self._found.get(("currency", entry.customer_id or 0), self._scope.tenant.currency)


_NAMED: Final = {"location_id": "location", "parent": "customer", "payer": "customer", "role_id": "role"}
"""Fields that hold an id, and of what."""
_READ: Final[Mapping[str, Callable[[Scope, str], str]]] = {
    "country": lambda scope, value: country_name(value),
    "language": lambda scope, value: language_name(value, scope.locale),
}
_NAMES: Final = """
SELECT 'location' AS kind, id, name FROM location WHERE id IN :locations
UNION ALL SELECT 'customer', id, full_name FROM customer WHERE id IN :customers AND :within
UNION ALL SELECT 'currency', id, currency FROM customer WHERE id IN :billed AND :within
"""


async def names_in(scope: Scope, entries: Sequence[Entry]) -> Names:
    """What is needed to read these lines: no statement where they hold no id and no amount."""
    ids: dict[str, set[int]] = {kind: set() for kind in ("location", "customer", "role", "billed")}
    for entry in entries:
        for change in entry.changes:
            if change.field in _NAMED:
                ids[_NAMED[change.field]] |= {int(one) for one in (change.old, change.new) if one and one.isdecimal()}
            elif change.field.endswith(_MINOR) and "currency" not in entry.facts and entry.customer_id:
                declared = reading_of(entry.kind, change.field)
                if declared is None or not declared.own:
                    ids["billed"].add(entry.customer_id)
    names: dict[tuple[str, int], str] = {}
    if ids["role"]:
        names = {("role", one.id): _(one.label) for one in await list_roles(scope)}
    if ids["location"] or ids["customer"] or ids["billed"]:
        found = await rows(
            _Name,
            _NAMES,
            locations=sorted(ids["location"]),
            customers=sorted(ids["customer"]),
            billed=sorted(ids["billed"]),
            within=within(Customer, scope.actor.reach),
        )
        names |= {(one.kind, one.id): one.name for one in found}
    return Names(scope, names)
