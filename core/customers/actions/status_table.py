"""Statuses as data of the tenant: added, renamed, given other effects, put in order, removed; what may follow what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from core import hookspecs
from core.activity.unit import record, unit_of_work
from core.customers.events import (
    StatusAdded,
    StatusChanged,
    StatusesOrdered,
    StatusRemoved,
    StatusTransitionsChanged,
)
from core.customers.plans import carry_out
from core.customers.status import COLOURS, SWITCHES, StatusKey, StatusKind, needed_for
from core.customers.statuses import get_status, list_full, list_ways
from core.customers.vocabularies import SHIPPED_LABELS, VOCABULARIES
from core.database import execute, execute_many, value
from core.errors import Conflict, FieldError, Invalid
from core.texts import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.customers.statuses import StatusFull
    from core.hooks import Effect
    from core.scope import Scope

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
MODELS: Final = {
    StatusKind.NEW: StatusKey.NEW,
    StatusKind.LIVE: StatusKey.ACTIVE,
    StatusKind.BLOCKED: StatusKey.BLOCKED,
    StatusKind.ENDED: StatusKey.INACTIVE,
}
"""A new status of a kind may follow, and be followed by, what this one does."""

Label = Annotated[str, Meta(min_length=1, max_length=40)]


class NewStatus(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A status of the tenant's own: its key is what the API and rules call it, its kind what it means to rules."""

    key: Annotated[str, Meta(min_length=1, max_length=40)]
    label: Label
    kind: Annotated[str, Meta(max_length=20)]
    colour: Annotated[str, Meta(max_length=20)] = ""
    bill: bool = False
    serve: bool = False
    log_in: bool = False
    notify: bool = False
    dun: bool = False
    may_order: bool = False
    may_delete: bool = False


class StatusEdit(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True, omit_defaults=True):
    """What is changed of a status; what is left out stays."""

    label: Label | None = None
    colour: Annotated[str, Meta(max_length=20)] | None = None
    bill: bool | None = None
    serve: bool | None = None
    log_in: bool | None = None
    notify: bool | None = None
    dun: bool | None = None
    may_order: bool | None = None
    may_delete: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A status before and after, and what follows for the customers who have it."""

    before: StatusFull
    after: StatusFull
    effects: tuple[Effect, ...]


async def add_status(scope: Scope, data: NewStatus) -> str:
    """A status of the tenant's own; gives its key. What may follow it is what may follow its kind's own."""
    errors: list[FieldError] = []
    if not KEY.fullmatch(data.key):
        errors.append(FieldError("key", _("Small letters, digits and _, with a letter first: on_holiday.")))
    if data.kind not in MODELS:
        errors.append(FieldError("kind", _("Choose a kind of the list.")))
    colour = data.colour or data.kind
    if colour not in COLOURS:
        errors.append(FieldError("colour", _("Choose a colour of the list.")))
    label = " ".join(data.label.split())
    if not label:
        errors.append(FieldError("label", _("Fill this in.")))
    async with unit_of_work(scope):
        known = await list_full(scope)
        if any(one.key == data.key for one in known) or data.key == StatusKind.LEAD:
            errors.append(FieldError("key", _("This key is taken. Choose another one.")))
        if _has_label(known, label):
            errors.append(FieldError("label", _("Another status is called that. Choose another label.")))
        if errors:
            raise Invalid(errors=errors)
        status_id = await value(
            "INSERT INTO status (key, label, kind, colour, position, bill, serve, log_in, notify, dun, may_order,"
            " may_delete) VALUES (:key, :label, :kind, :colour, :position, :bill, :serve, :log_in, :notify, :dun,"
            " :may_order, :may_delete) RETURNING id",
            key=data.key,
            label=label,
            kind=data.kind,
            colour=colour,
            position=max((one.position for one in known), default=0) + 1,
            **{name: getattr(data, name) for name in SWITCHES},
        )
        await _like_its_kind(int(status_id), MODELS[StatusKind(data.kind)])
        record(scope, StatusAdded(status_id=int(status_id), key=data.key), changes={"label": (None, label)})
    return data.key


def _has_label(known: Iterable[StatusFull], label: str, but: str = "") -> bool:
    return any(one.label.casefold() == label.casefold() and one.key != but for one in known)


async def _like_its_kind(status_id: int, model: str) -> None:
    for select in (
        "SELECT :id::bigint, m.to_id FROM status_transition m JOIN status f ON f.id = m.from_id WHERE f.key = :model",
        "SELECT m.from_id, :id::bigint FROM status_transition m JOIN status t ON t.id = m.to_id WHERE t.key = :model",
        "SELECT :id::bigint, id FROM status WHERE key = :model AND kind <> 'new'",
        "SELECT id, :id::bigint FROM status WHERE key = :model",
    ):
        await execute(
            f"INSERT INTO status_transition (from_id, to_id) SELECT * FROM ({select}) ways WHERE TRUE"
            " ON CONFLICT (from_id, to_id) DO NOTHING",
            id=status_id,
            model=model,
        )


async def change_statuses(scope: Scope, edits: Mapping[str, StatusEdit]) -> list[StatusChange]:
    """Labels, colours and effects of statuses, by their keys, all or none. Gives what was changed and what followed.

    Other effects count at once for every customer who has the status: days up to today are charged as before.
    """
    async with unit_of_work(scope):
        known = {one.key: one for one in await list_full(scope)}
        changes: list[StatusChange] = []
        errors: list[FieldError] = []
        labels = {key: " ".join((edit.label or "").split()) for key, edit in edits.items()}
        final = {key: labels.get(key) or one.label for key, one in known.items()}
        for key, edit in edits.items():
            before = known.get(key)
            if before is None:
                errors.append(FieldError(f"label.{key}", _("This status is gone. Load the page again.")))
                continue
            if edit.label is not None and not labels[key]:
                errors.append(FieldError(f"label.{key}", _("Fill this in.")))
            if any(other != key and text.casefold() == final[key].casefold() for other, text in final.items()):
                errors.append(FieldError(f"label.{key}", _("Another status is called that. Choose another label.")))
            if edit.colour is not None and edit.colour not in COLOURS:
                errors.append(FieldError(f"colour.{key}", _("Choose a colour of the list.")))
        if errors:
            raise Invalid(errors=errors)
        for key, edit in edits.items():
            change = await _change(scope, known[key], edit, labels[key])
            if change is not None:
                changes.append(change)
        for change in changes:
            await carry_out(scope, change.effects)
        return changes


async def _change(scope: Scope, before: StatusFull, edit: StatusEdit, label: str) -> StatusChange | None:
    wanted: dict[str, object] = {"label": label or before.label, "colour": edit.colour or before.colour}
    for name in SWITCHES:
        given = getattr(edit, name)
        wanted[name] = getattr(before, name) if given is None else given
    differing = {name: (getattr(before, name), new) for name, new in wanted.items() if getattr(before, name) != new}
    if not differing:
        return None
    effects: list[Effect] = []
    switched = any(name in SWITCHES for name in differing)
    if switched and await value("SELECT 1 FROM customer WHERE status_id = :id LIMIT 1", id=before.id):
        after = {name: bool(wanted[name]) for name in SWITCHES}
        parts = await scope.hooks.plan(
            hookspecs.plan_status_effects_change,
            scope=scope,
            status_id=before.id,
            before=before.switches,
            after=after,
        )
        effects = [effect for part in parts.values() for effect in part]
    columns = ", ".join(f"{name} = :{name}" for name in wanted)
    await execute(f"UPDATE status SET {columns} WHERE id = :id", id=before.id, **wanted)
    record(scope, StatusChanged(status_id=before.id, key=before.key), changes=differing)
    return StatusChange(before=before, after=await get_status(scope, before.key), effects=tuple(effects))


async def order_statuses(scope: Scope, keys: Sequence[str]) -> None:
    """The order in which statuses are listed and offered. All of them, each once."""
    async with unit_of_work(scope):
        known = await list_full(scope)
        if sorted(keys) != sorted(one.key for one in known):
            raise Invalid(_("Name every status once. Load the page again."), field="keys")
        if list(keys) == [one.key for one in known]:
            return
        await execute_many(
            "UPDATE status SET position = :position WHERE key = :key",
            [{"key": key, "position": place + 1} for place, key in enumerate(keys)],
        )
        record(scope, StatusesOrdered(), changes={"order": (", ".join(one.key for one in known), ", ".join(keys))})


async def remove_status(scope: Scope, key: str) -> StatusFull:
    """A status of the tenant's own that nobody has and nothing planned names; gives what it was."""
    async with unit_of_work(scope):
        found = await get_status(scope, key)
        refusal = await refusal_of_removal(found)
        if refusal:
            raise Conflict(refusal)
        await execute("DELETE FROM planned_status WHERE status_id = :id AND state <> 'planned'", id=found.id)
        await execute("DELETE FROM status WHERE id = :id", id=found.id)
        record(scope, StatusRemoved(status_id=found.id, key=key), changes={"label": (found.label, None)})
        return found


async def refusal_of_removal(found: StatusFull) -> str:
    """Why a status cannot be removed; empty where it can."""
    if found.shipped:
        return _("A rule names this key, so it stays. It can be renamed.")
    having = int(await value("SELECT count(*) FROM customer WHERE status_id = :id", id=found.id))
    if having:
        return ngettext(
            "%(num)s customer has it. Change its status first.",
            "%(num)s customers have it. Change their status first.",
            having,
        )
    planned = int(
        await value("SELECT count(*) FROM planned_status WHERE status_id = :id AND state = 'planned'", id=found.id)
    )
    if planned:
        return ngettext(
            "%(num)s planned change names it. Cancel it first.",
            "%(num)s planned changes name it. Cancel them first.",
            planned,
        )
    return ""


async def set_ways(scope: Scope, wanted: Iterable[tuple[str, str]]) -> None:
    """Which status may follow which, as pairs of keys: the whole table. What rules need cannot be left out."""
    async with unit_of_work(scope):
        known = {one.key: one for one in await list_full(scope)}
        pairs = {(one, other) for one, other in wanted if one != other}
        unknown = sorted({key for pair in pairs for key in pair} - known.keys())
        if unknown:
            raise Invalid(_("There is no status “%(key)s”. Load the page again.", key=unknown[0]), field="ways")
        before = {(way.from_key, way.to_key) for way in await list_ways()}
        for one, other in sorted(before - pairs):
            reason = needed_for(one, known[one].kind, other)
            if reason:
                raise Conflict(
                    _(
                        "%(before)s to %(after)s stays allowed. %(why)s.",
                        before=known[one].label,
                        after=known[other].label,
                        why=_(reason),
                    )
                )
        if pairs == before:
            return
        gone = [{"one": known[one].id, "other": known[other].id} for one, other in sorted(before - pairs)]
        if gone:
            await execute_many("DELETE FROM status_transition WHERE from_id = :one AND to_id = :other", gone)
        new = [{"one": known[one].id, "other": known[other].id} for one, other in sorted(pairs - before)]
        if new:
            await execute_many("INSERT INTO status_transition (from_id, to_id) VALUES (:one, :other)", new)
        told = {
            f"{known[one].label} → {known[other].label}": ("yes", "no") if (one, other) in before else ("no", "yes")
            for one, other in sorted(before ^ pairs)
        }
        record(scope, StatusTransitionsChanged(), changes=dict(list(told.items())[:40]))


async def name_shipped() -> None:
    """Statuses as they come with the product are called so in the language that is spoken: for a tenant that is made,
    in the unit of work that is open. Nothing of it is a change that the log would tell of."""
    await execute_many(
        "UPDATE status SET label = :said WHERE key = :key AND label = :label",
        [
            {"key": str(key), "label": label, "said": said}
            for key, label in SHIPPED_LABELS.items()
            if (said := _(label)) != label
        ],
    )


async def take_vocabulary(scope: Scope, name: str) -> list[tuple[str, str, str]]:
    """Rename what came with the product to a trade's words, and add what it lacks. Gives (key, before, after).

    Labels that the tenant's own statuses have already stay theirs: what would be called the same keeps its name.
    """
    vocabulary = VOCABULARIES.get(name)
    if vocabulary is None:
        raise Invalid(_("Choose a vocabulary of the list."), field="vocabulary")
    async with unit_of_work(scope):
        known = await list_full(scope)
        done: list[tuple[str, str, str]] = []
        edits: dict[str, StatusEdit] = {}
        for one in known:
            label = _(vocabulary.labels[one.key]) if one.key in vocabulary.labels else one.label
            taken = any(other.label.casefold() == label.casefold() and not other.shipped for other in known)
            if label != one.label and not taken:
                edits[one.key] = StatusEdit(label=label)
                done.append((one.key, one.label, label))
        await change_statuses(scope, edits)
        labels = {one.label.casefold() for one in await list_full(scope)}
        for own in vocabulary.adds:
            if any(one.key == own.key for one in known) or _(own.label).casefold() in labels:
                continue
            switches = {switch: switch in own.effects for switch in SWITCHES}
            await add_status(
                scope, NewStatus(key=own.key, label=_(own.label), kind=own.kind, colour=own.colour, **switches)
            )
            done.append((own.key, "", _(own.label)))
        return done
