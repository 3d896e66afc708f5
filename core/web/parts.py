"""The values that templates are made of. Handlers fill them in, macros draw them; nothing here reads or reckons.

Texts stand as they are shown. A text that is empty is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from core.texts import _


class Choice(Struct, frozen=True):
    """One of several: as it is sent and as it is read."""

    value: str
    label: str
    help: str = ""


def spoken(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """Choices that stand as constants, in the language that is spoken now."""
    return tuple(Choice(one.value, _(one.label), _(one.help) if one.help else "") for one in choices)


class Field(Struct, frozen=True, kw_only=True):
    """A field, read or edited. `kind` is a type of input, or: textarea, select, radio, check, money, secret, read.

    `value` is what the control holds; `shown` is how it reads, the value itself when left out. A `check` sends "yes" or
    nothing.
    """

    name: str
    label: str
    value: str = ""
    shown: str = ""
    kind: str = "text"
    help: str = ""
    choices: Sequence[Choice] = ()
    required: bool = False
    autocomplete: str = ""
    wide: bool = False
    max_length: int = 0
    part: str = ""
    """A template of the feature's own in the place of the value; it sees the page's values, and this field as `f`. A
    field that is only read has it while its section is edited, too."""
    given: Mapping[str, Any] = {}
    """Further values for `part`."""
    only_edited: bool = False
    """Not there while its section is read."""

    @property
    def text(self) -> str:
        """How the value reads: its choice's label, or the value."""
        if self.shown:
            return self.shown
        if self.kind == "check":
            return _("Yes") if self.value else _("No")
        if not self.value:
            return ""
        return next((choice.label for choice in self.choices if choice.value == self.value), self.value)


class FieldGroup(Struct, frozen=True, kw_only=True):
    """Fields of a form under one heading."""

    key: str
    title: str
    fields: Sequence[Field]
    help: str = ""


class Removal(Struct, frozen=True, kw_only=True):
    """A button that takes the record away, once its question was answered. `href` takes DELETE and gives `target`."""

    label: str
    href: str
    target: str
    question: str


class Section(Struct, frozen=True, kw_only=True):
    """Fields of a record that are edited and saved together, against one version.

    `href` shows it, `href`/edit gives it for editing, PUT `href` saves it. `noun` is what its buttons name: "Save
    main data".
    """

    key: str
    title: str
    href: str
    fields: Sequence[Field]
    version: int = 0
    noun: str = ""
    editable: bool = True
    refused: str = ""
    """Why it cannot be edited, in the place of the button."""
    one_column: bool = False
    seen: str = ""
    """What the fields held when they were read, sent back beside the version: fields that only one of two people
    changed are merged without asking."""
    removal: Removal | None = None
    """For a record that is a section of its own."""


class Difference(Struct, frozen=True, kw_only=True):
    """A field that somebody else saved otherwise while it was being edited: both values, as sent and as read."""

    field: str
    label: str
    theirs: str
    yours: str
    theirs_shown: str = ""
    yours_shown: str = ""


class Conflict(Struct, frozen=True, kw_only=True):
    """Somebody else saved the section first. The section's own fields hold their values and the new version."""

    by: str
    at: datetime | None
    differences: Sequence[Difference]


class NavItem(Struct, frozen=True, kw_only=True):
    """An entry of the side bar. `count` is a ready text; `key` is typed after g."""

    label: str
    href: str
    icon: str
    count: str = ""
    tone: str = ""
    key: str = ""
    current: bool = False


class NavArea(Struct, frozen=True, kw_only=True):
    """Entries under one heading; the first area has none. The `last` one stands at the foot of the side bar."""

    entries: tuple[NavItem, ...]
    label: str = ""
    last: bool = False


class MenuEntry(Struct, frozen=True, kw_only=True):
    """An entry of a menu. With `refused` it stands there greyed, with this reason."""

    label: str
    icon: str
    href: str = ""
    key: str = ""
    danger: bool = False
    refused: str = ""
    attrs: Mapping[str, str] = {}


class TabItem(Struct, frozen=True, kw_only=True):
    """A tab: a link to a page of the same record."""

    label: str
    href: str
    count: str = ""
    tone: str = ""
    plugin: str = ""
    current: bool = False
    later: str = ""
    """The id of its count's place, where that comes after the page."""


class Figure(Struct, frozen=True, kw_only=True):
    """A figure of a strip."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""
    href: str = ""
    """What it is made of."""


class Pill(Struct, frozen=True):
    """A status: its label and its kind (live, new, lead, warn, blocked, ended)."""

    label: str
    kind: str


class TagItem(Struct, frozen=True):
    name: str
    colour: int = 6


class Head(Struct, frozen=True, kw_only=True):
    """The head of a list's column; with `href` the list can be sorted by it."""

    label: str
    href: str = ""
    sort: str = ""
    """ascending or descending, where the list is sorted by it."""
    number: bool = False
    cls: str = ""
    then: str = ""
    """The list's address sorted by it after the columns that it is sorted by already."""
    place: int = 0
    """Its place among the columns that it is sorted by, where these are several."""


class Chip(Struct, frozen=True, kw_only=True):
    """A filter that is set. `off` is the list's address without it; `name` the field to filter by that changes it."""

    field: str
    relation: str
    value: str
    off: str
    name: str = ""


class FilterChoice(Struct, frozen=True, kw_only=True):
    """A field to filter by: for each choice the list's address with it."""

    label: str
    choices: Sequence[TabItem]


class Pager(Struct, frozen=True, kw_only=True):
    """Where a page of a list stands: "25 of 1,000+", "Ids 10477 to 10953", and the addresses of the others."""

    said: str
    note: str = ""
    """Why the rows stand as they do."""
    range: str = ""
    first: str = ""
    previous: str = ""
    next: str = ""
    count: str = ""
    """Where all are counted, if they were not."""
    size: int = 0
    """Rows of a page, where they can be chosen of `sizes` at `resize`, which is told the list's `state`."""
    sizes: Sequence[int] = ()
    resize: str = ""
    state: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """A field before and after, as it reads."""

    label: str
    old: str = ""
    new: str = ""


class Happening(Struct, frozen=True, kw_only=True):
    """A line of the activity. `when` is shown by the filter `when`."""

    position: int
    at: datetime
    text: str
    by: str
    href: str = ""
    changes: Sequence[Change] = ()
    why: str = ""


class RunningJob(Struct, frozen=True, kw_only=True):
    """A job that is shown while it works: in the top bar, and on its own page. `percent` is None while unknown."""

    id: int
    label: str
    href: str
    state: str
    """waiting, running, done, failed, parked"""
    percent: int | None = None
    detail: str = ""
    """How far it is: "3,010 of 4,301"."""
    text: str = ""
    """What it does at this moment, how it ended, or what went wrong."""
    events: str = ""
    """Address of its live progress."""
    result: str = ""
    """Address of what it made."""
    result_label: str = ""


class Hit(Struct, frozen=True, kw_only=True):
    """Something that the search found."""

    label: str
    href: str
    icon: str
    detail: str = ""
    pill: Pill | None = None


class HitGroup(Struct, frozen=True, kw_only=True):
    label: str
    hits: Sequence[Hit]


class Step(Struct, frozen=True, kw_only=True):
    """A step on the way to the first invoice."""

    done: bool
    title: str
    text: str
    label: str = ""
    href: str = ""


class Toast(Struct, frozen=True, kw_only=True):
    """Said once, for six seconds, with at most one link."""

    text: str
    label: str = ""
    href: str = ""
