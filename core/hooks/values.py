"""What hooks trade in: plain values that the core draws, adds up or applies."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from core.money import Money

if TYPE_CHECKING:
    from core.scope import Scope

F = TypeVar("F", bound=Struct)
Tone = Literal["", "warn", "bad"]
Area = Literal["", "billing", "work", "network", "settings"]
ActionGroup = Literal["message", "create", "change"]
EffectKind = Literal["when", "change", "document", "service", "money", "message", "data", "warning"]
ColumnKind = Literal["text", "number", "amount", "date", "datetime", "flag", "choice"]
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


class MessageLink(Struct, frozen=True, kw_only=True):
    """A link in a message: what it leads to, in the language of the message, and its whole address."""

    label: str
    href: str

    def __post_init__(self) -> None:
        if not self.href.startswith(("https://", "http://")):
            raise ValueError(f"“{self.href}” is no whole address: a message is read elsewhere")


class CurrencyLock(Struct, frozen=True):
    """Why a customer stays in its currency: `sql` is true for one that does, with `:customer_id` in it."""

    sql: str
    reason: str


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


class PortalPage(Struct, frozen=True, kw_only=True):
    """An entry of the menu of the customers' portal: a page of the plugin's own, under /portal/NAME."""

    key: str
    label: str
    href: str
    icon: str = ""
    place: int = 100
    """Where it stands: home 0, services 20, invoices 40, messages 60, oneself 80."""

    def __post_init__(self) -> None:
        check_href(self.href)


class Column(Struct, frozen=True, kw_only=True):
    """A column of a list. Its values come in bulk; the key begins with the plugin's name ("inventory.items").

    With an `expr` the list can be filtered and sorted by it: SQL of one value for the row, over the plugin's own
    tables, such as "(SELECT count(*) FROM loans_loan WHERE loans_loan.customer_id = customer.id)". What may be NULL is
    filtered by alone: `sorts=False`. An amount is in minor units there, an instant as it is stored. More than 100,000
    rows are not sorted by it. A `choice` has its `choices` (value, label), and the value for its rows; without an
    `expr` it is shown alone. What is not `shown` is hidden until somebody shows it.
    """

    key: str
    label: str
    kind: ColumnKind = "text"
    expr: str = ""
    sorts: bool = True
    choices: tuple[tuple[str, str], ...] = ()
    shown: bool = True

    def __post_init__(self) -> None:
        if ";" in self.expr or "--" in self.expr:
            raise ValueError(f"“{self.expr}” is no SQL of one value")
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a column of choices has the kind choice, and choices")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is held of customers who are to be anonymised or deleted: who cannot be yet, what goes, what stays.

    `refused` gives the reason by customer, as a sentence that says what to do first; one reason is enough to keep
    somebody. The effects (`data` for what is erased, `document` for what the law keeps) are carried out only where
    nobody is refused. `kept_files` are stored files of these customers that must stay.
    """

    refused: Mapping[int, str] = field(default_factory=dict)
    effects: Sequence[Effect] = ()
    kept_files: Sequence[int] = ()


def plan_digest(effects: Iterable[Effect]) -> str:
    """The same for two plans exactly when they say and rest on the same."""
    lines = [(e.kind, e.text, e.amount_minor, e.currency, e.inputs) for e in effects]
    return hashlib.sha256(msgspec.json.encode(lines)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeSource:
    """A plugin's charges of a billing run: a SELECT that gives columns of these names, over the plugin's own tables.

    subscription_id, kind (usage, one_off or fee), component, period_start, period_end, quantity_e6, amount_minor,
    tax_category, description, source_key.

    `period_end` is the first day that is no longer of it, so the day after `period_start` at least; `tax_category` is
    the key of a tax rate, such as standard. `amount_minor` is the rated net amount in the currency of the subscription;
    what needs fractions of a minor unit is rated before. `source_key` is unique for ever and begins with the plugin's
    name: what was charged under it once is never charged again, so the SELECT need not know what it gave the last time.
    `:as_of_on` is the run's date; further `:names` are filled from `values`. The core joins it with the payers of its
    chunk; no ORDER BY, no semicolon.
    """

    select: str
    values: Mapping[str, int | str | date] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.select.lstrip()[:6].upper() == "SELECT" or ";" in self.select:
            raise ValueError("a source of charges is one SELECT")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRows:
    """Records of an import that has been taken over, as SQL: select from `(…) AS q`, filled from `values`.

    Columns: row_id (never given twice, in any file), record, customer_id (null where its customer is not here),
    currency, opening_minor (positive: the customer's credit), opening_number, services and more (JSON: a list of
    services; the texts of further fields by their names). `columns` are the names that the file gives them, by field.
    """

    batch_id: int
    file_name: str
    select: str
    values: Mapping[str, int | str]
    columns: Mapping[str, str] = field(default_factory=dict)


class ImportField(Struct, frozen=True, kw_only=True):
    """Something to be chosen before records are made into something. `choices` (value, label) make it a list."""

    name: str
    label: str
    kind: Literal["date", "select", "text"] = "text"
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    error: str = ""


class ImportLine(Struct, frozen=True, kw_only=True):
    """A line of a preview: how many records become what, and their sum where they have one."""

    text: str
    count: int
    amount_minor: int | None = None
    currency: str = ""
    detail: str = ""


class ImportRefusal(Struct, frozen=True, kw_only=True):
    """A record that nothing was made of, or that cannot be taken back: the column to blame, and why."""

    record: int
    message: str
    field: str = ""
    value: str = ""


class ImportPreview(Struct, frozen=True, kw_only=True):
    """What would be made of the records: so many, in these lines; the first of those that would be refused."""

    ready: int
    lines: tuple[ImportLine, ...] = ()
    fields: tuple[ImportField, ...] = ()
    refused: int = 0
    refusals: tuple[ImportRefusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportStep:
    """What a feature or plugin makes of the records of an import, once their customers are here.

    `where` says of which records, as a condition over `r` (its columns as in `ImportedRows`), e.g. `r.services <> ''`.
    The core asks for `preview`, which only reads; then gives chunk after chunk to `take`, each inside a unit of work of
    its own, no record twice: what it answers was refused and may come again when a person tries again. `undo` takes a
    chunk back (of its rows only row_id and record are known then) and answers why customers stay; without it an import
    that the step has taken from cannot be undone.
    The key of a plugin's begins with its name and a point.
    """

    key: str
    label: str
    verb: str
    text: str
    permission: str
    where: str
    preview: Callable[[Scope, ImportedRows, Mapping[str, str]], Awaitable[ImportPreview]]
    take: Callable[[Scope, ImportedRows, Mapping[str, str]], Awaitable[Sequence[ImportRefusal]]]
    undo: Callable[[Scope, ImportedRows], Awaitable[Sequence[ImportRefusal]]] | None = None
    place: int = 100


class NothingToAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """The form of a deed that needs to know nothing."""


class BulkField(Struct, frozen=True, kw_only=True):
    """Something to be chosen or typed before a deed is done to many rows. `choices` (value, label) are those of a
    select."""

    name: str
    label: str
    kind: Literal["text", "textarea", "number", "date", "select", "check"] = "text"
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    help: str = ""
    required: bool = False
    max_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFile:
    """What rows were put together into: sent as it is made, kept nowhere."""

    name: str
    media_type: str
    content: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkAction(Generic[F]):
    """A deed that can be done to many rows of a list at once.

    `form` is what it must know, a frozen struct that forbids unknown fields; `fields` is how that is asked for.

    `do(scope, form, id)` does it to one row, inside a unit of work, and tells what it did, as a plan tells it. It
    refuses by raising a DomainError, whose message is the row's line in the report; where there is nothing to do it
    answers nothing. What it would do is worked out by the same function in a unit of work that is taken back. So mail,
    calls and files are jobs, and what it tells says no number that is only given in the end. A row for which it comes
    out otherwise than it was shown is left alone.

    `do_many(scope, form, ids)` in its place does it to a piece of the rows with a few statements, and answers for each
    row what it did, or why it refuses as a text; a row that it leaves out had nothing to be done. Nothing may be done
    to a row that is refused.

    With `all_or_none` one refused row keeps all others from it, and everything is one commit: use `do_many`.

    `label` begins a button of the selection's bar, `verb` is the one that does it in the end. The key of a plugin's
    begins with its name and a point.
    """

    key: str
    label: str
    verb: str
    permission: str
    form: type[F]
    fields: Callable[[Scope], Awaitable[Sequence[BulkField]]] | None = None
    do: Callable[[Scope, F, int], Awaitable[Sequence[Effect]]] | None = None
    do_many: Callable[[Scope, F, Sequence[int]], Awaitable[Mapping[int, Sequence[Effect] | str]]] | None = None
    optional: bool = False
    """Nothing must be typed: what it would do is worked out before it is asked for more."""
    icon: str = ""
    group: str = ""
    """Buttons of the same group stand in one menu of that name."""
    title: str = ""
    """Above its page: "Delete customers"; its verb where left out."""
    danger: bool = False
    all_or_none: bool = False
    confirmed: bool = False
    """The number of rows is typed before it is done, and the person proves who it is."""
    warning: str = ""
    """What should be known before it is done, whatever the rows."""
    place: int = 100
    file: Callable[[Scope, F, Sequence[int]], Awaitable[BulkFile]] | None = None
    """The file of the rows that it was done to, made each time that its report's button is pressed."""
    file_label: str = ""
    """That button's."""

    def __post_init__(self) -> None:
        if (self.do is None) == (self.do_many is None):
            raise ValueError(f"“{self.key}” is done to one row or to many: give do or do_many")


def check_href(href: str) -> None:
    """Pages link to this site only."""
    if not href.startswith("/") or href.startswith(("//", "/\\")):
        raise ValueError(f"“{href}” is no path of this site: begin it with one slash")
