"""Facts: what a feature says happened. The name in snake case is the kind in the log, and the hook that hears of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform

import msgspec
from msgspec import Struct, StructMeta

from core.texts import _

EVENTS: Final[dict[str, type[Event]]] = {}
"""Every declared event by its kind."""

_Fact = TypeVar("_Fact", bound="Event")


class Reading(Struct, frozen=True):
    """How the old and new values of a field read in the activity: what it is called, and what its keys mean, all as
    marked texts. An amount (`…_minor`) is in the fact `currency`, else in the customer's; `own`: it is in the tenant's.
    """

    label: str
    words: Mapping[str, str] = {}
    own: bool = False


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class EventMeta(StructMeta):
    """Takes `subject`, `text` and `fields` from the class line, gives the event its kind and registers it."""

    subject_kind: str
    text: str
    subject_field: str | None
    readings: Mapping[str, Reading]

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        subject: str = "",
        text: str = "",
        fields: Mapping[str, Reading] | None = None,
        **options: Any,
    ) -> EventMeta:
        made = super().__new__(mcs, name, bases, namespace, **options)
        if subject:
            made.subject_kind = subject
        if text:
            made.text = text
        if fields:
            made.readings = fields
        if any(isinstance(base, EventMeta) for base in bases):
            _register(made)
        return made


class Event(Struct, frozen=True, metaclass=EventMeta):
    """A fact: ids and small values, no text of persons. Declared as `class InvoiceIssued(Event, subject="invoice")`.

    The id of the subject is the field `<subject>_id`, or else the first other one that ends in `_id`; a field
    `customer_id` puts the fact on that customer's timeline. `text="Hardware {serial} sold"` is how it reads there, with
    its facts in braces; without it the name is taken apart. `fields={"serial": Reading(N_("Serial number"))}` says how
    the fields read whose old and new values stand beside it.
    """

    kind: ClassVar[str] = ""
    text: ClassVar[str] = ""
    subject_kind: ClassVar[str] = ""
    subject_field: ClassVar[str | None] = None
    readings: ClassVar[Mapping[str, Reading]] = {}

    @property
    def about(self) -> int | None:
        """The id of the subject, None for what exists once a tenant."""
        return getattr(self, self.subject_field) if self.subject_field else None

    @property
    def customer(self) -> int | None:
        """The customer on whose timeline it stands."""
        return getattr(self, "customer_id", None)


def facts_of(event: Event) -> str:
    """The event as JSON, as it is stored."""
    return msgspec.json.encode(event).decode()


def event_from(kind: str, facts: str) -> Event:
    """The event that a row of the log tells. LookupError for a kind that nobody declares (its plugin is gone)."""
    if kind not in EVENTS:
        raise LookupError(f"no event is declared for “{kind}”")
    return decoded(EVENTS[kind], facts)


def text_of(kind: str) -> str:
    """How an event of this kind reads, facts in braces: as it is declared, else its name in words."""
    declared = EVENTS.get(kind)
    return _(declared.text if declared is not None and declared.text else words_of(kind))


def reading_of(kind: str, field: str) -> Reading | None:
    """How a field reads that such an event changed; None where nothing is declared for it."""
    declared = EVENTS.get(kind)
    return declared.readings.get(field) if declared is not None else None


def words_of(name: str) -> str:
    """InvoiceIssued → Invoice issued."""
    return snake_case(name).replace("_", " ").capitalize()


def decoded(kind: type[_Fact], facts: str) -> _Fact:
    return msgspec.json.decode(facts, type=kind)


def snake_case(name: str) -> str:
    """InvoiceIssued → invoice_issued."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _register(event: Any) -> None:
    """Give the event its kind and the field of its subject. Two events of one kind would be told as each other."""
    event.kind = snake_case(event.__name__)
    if not event.subject_kind:
        raise TypeError(f"{event.__name__} does not say what it is about: class {event.__name__}(Event, subject=…)")
    names = event.__struct_fields__
    ids = [f"{event.subject_kind}_id", *(name for name in names if name.endswith("_id") and name != "customer_id")]
    event.subject_field = next((name for name in ids if name in names), None)
    other = EVENTS.get(event.kind)
    if other is not None and (other.__module__, other.__qualname__) != (event.__module__, event.__qualname__):
        both = f"{event.__module__}.{event.__name__} and {other.__module__}.{other.__name__}"
        raise TypeError(f"{both} are both “{event.kind}”")
    EVENTS[event.kind] = event
