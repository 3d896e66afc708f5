"""What hooks trade in: plain values that the core draws, adds up or applies."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from core.money import Money

if TYPE_CHECKING:
    from core.scope import Scope

Tone = Literal["", "warn", "bad"]
Area = Literal["", "billing", "work", "network", "settings"]
ActionGroup = Literal["message", "create", "change"]
EffectKind = Literal["when", "document", "service", "money", "message", "warning"]
ColumnKind = Literal["text", "number", "amount", "date", "datetime", "flag"]
CellValue = str | int | Money | date | datetime | None


class KnownCustomer(Struct, frozen=True, kw_only=True):
    """What every tab of a customer's page has read already, so that nobody asks for it again."""

    id: int
    full_name: str
    currency: str
    status: str
    """The status's key."""
    status_label: str
    may_order: bool
    live_subscriptions: int


class Fact(Struct, frozen=True, kw_only=True):
    """One of the few facts in a record's head, ready to be read. `why` is the address that explains it."""

    label: str
    value: str
    tone: Literal["", "owes", "plus"] = ""
    why: str = ""


class Tab(Struct, frozen=True, kw_only=True):
    """A tab of a record's page: a link to a page of the plugin's own."""

    key: str
    label: str
    href: str
    count: int | None = None
    tone: Tone = ""

    def __post_init__(self) -> None:
        check_href(self.href)


class Panel(Struct, frozen=True, kw_only=True):
    """A card at the side of a record's page: a template of the plugin's own, filled with plain values."""

    key: str
    title: str
    template: str
    values: Mapping[str, Any] = {}


class Column(Struct, frozen=True, kw_only=True):
    """A column of a list. Its values come in bulk; the key begins with the plugin's name ("inventory.items")."""

    key: str
    label: str
    kind: ColumnKind = "text"


class Action(Struct, frozen=True, kw_only=True):
    """An entry of a record's Actions menu. `refused` says why it cannot be done now: it is shown, but greyed."""

    label: str
    href: str
    icon: str = ""
    group: ActionGroup = "change"
    danger: bool = False
    refused: str = ""

    def __post_init__(self) -> None:
        check_href(self.href)


class MenuItem(Struct, frozen=True, kw_only=True):
    """An entry of the side bar, in one of the core's areas; shown to those who have the permission."""

    area: Area
    label: str
    href: str
    permission: str
    icon: str = ""

    def __post_init__(self) -> None:
        check_href(self.href)


class SearchHit(Struct, frozen=True, kw_only=True):
    """One thing found by the search on top of every page."""

    kind: str
    label: str
    href: str
    detail: str = ""

    def __post_init__(self) -> None:
        check_href(self.href)


class Card(Struct, frozen=True, kw_only=True):
    """One figure on the dashboard, ready to be read."""

    key: str
    label: str
    value: str
    detail: str = ""
    href: str = ""
    tone: Tone = ""

    def __post_init__(self) -> None:
        if self.href:
            check_href(self.href)


class FirstStep(Struct, frozen=True, kw_only=True):
    """A step on the way from an empty tenant to the first invoice, on the start page until all are done."""

    done: bool
    title: str
    text: str
    label: str
    href: str

    def __post_init__(self) -> None:
        check_href(self.href)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One line of a plan, and the deed behind it. Without `apply` it only tells (a warning, a date).

    Two plans are the same when they say the same and rest on the same: what an effect rests on beyond its words and
    amount (the ids and versions of rows) stands in `inputs`.
    """

    text: str
    kind: EffectKind
    amount_minor: int | None = None
    currency: str | None = None
    inputs: str = ""
    apply: Callable[[Scope], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        if (self.amount_minor is None) != (self.currency is None):
            raise ValueError("an effect has an amount with its currency, or neither")


def plan_digest(effects: Iterable[Effect]) -> str:
    """The same for two plans exactly when they say and rest on the same."""
    lines = [(e.kind, e.text, e.amount_minor, e.currency, e.inputs) for e in effects]
    return hashlib.sha256(msgspec.json.encode(lines)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeSource:
    """A plugin's charges of a billing run: a SELECT that gives columns of these names, over the plugin's own tables.

    subscription_id, kind (usage, one_off or fee), component, period_start, period_end, quantity_e6, amount_minor,
    tax_category, description, source_key.

    `amount_minor` is the rated net amount in the currency of the subscription; what needs fractions of a minor unit is
    rated before. `source_key` is unique for ever and begins with the plugin's name: what was charged under it once is
    never charged again, so the SELECT need not know what it gave the last time. `:as_of_on` is the run's date; further
    `:names` are filled from `values`. The core joins it with the payers of its chunk; no ORDER BY, no semicolon.
    """

    select: str
    values: Mapping[str, int | str | date] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.select.lstrip()[:6].upper() == "SELECT" or ";" in self.select:
            raise ValueError("a source of charges is one SELECT")


def check_href(href: str) -> None:
    """Pages link to this site only."""
    if not href.startswith("/") or href.startswith(("//", "/\\")):
        raise ValueError(f"“{href}” is no path of this site: begin it with one slash")
