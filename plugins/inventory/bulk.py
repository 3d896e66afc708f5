"""What can be done to many items at once. Each deed is the one of an item's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

from core.hooks import BulkAction, BulkField, Effect
from core.ids import Id
from core.texts import N_, _
from plugins.inventory import actions, queries
from plugins.inventory.schemas import Move, WriteOff
from plugins.inventory.status import ItemStatus, pill_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class ToPlace(Struct, frozen=True, forbid_unknown_fields=True):
    """A location of the list, or none."""

    location_id: Id | None = None


class Lost(Struct, frozen=True, forbid_unknown_fields=True):
    """Why items are written off."""

    reason: Annotated[str, Meta(max_length=500)] = ""


async def _move(scope: Scope, form: ToPlace, item_id: int) -> Sequence[Effect]:
    before = await queries.get_item(scope, item_id)
    if before.location_id == form.location_id:
        return ()
    await actions.move_item(scope, item_id, Move(form.location_id))
    after = await queries.get_item(scope, item_id)
    nowhere = _("No location")
    text = _("%(before)s → %(after)s", before=before.location or nowhere, after=after.location or nowhere)
    return (Effect(kind="change", text=text),)


async def _places(scope: Scope) -> Sequence[BulkField]:
    places = tuple((str(one.id), one.name) for one in await queries.list_locations())
    return (
        BulkField(name="location_id", label=_("Location"), kind="select", choices=(("", _("No location")), *places)),
    )


async def _write_off(scope: Scope, form: Lost, item_id: int) -> Sequence[Effect]:
    before = await queries.get_item(scope, item_id)
    if before.status == ItemStatus.WRITTEN_OFF:
        return ()
    await actions.write_off_item(scope, item_id, WriteOff(form.reason))
    text = _("%(before)s becomes written off", before=_(pill_of(ItemStatus(before.status))[0]))
    effects = [Effect(kind="change", text=text, inputs=str(before.version))]
    if before.subscription_id is not None:
        effects.append(Effect(kind="service", text=_("Its rent ends today"), inputs=str(before.subscription_id)))
    return effects


async def _reason(scope: Scope) -> Sequence[BulkField]:
    return (BulkField(name="reason", label=_("Why"), help=_("Kept in its history"), max_length=500),)


ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="inventory.move",
        label=N_("Move…"),
        verb=N_("Move"),
        title=N_("Move items"),
        icon="arrows-exchange",
        permission="inventory.edit",
        form=ToPlace,
        fields=_places,
        do=_move,
        place=10,
    ),
    BulkAction(
        key="inventory.write_off",
        label=N_("Write off…"),
        verb=N_("Write off"),
        title=N_("Write off items"),
        icon="trash",
        permission="inventory.edit",
        form=Lost,
        fields=_reason,
        optional=True,
        do=_write_off,
        danger=True,
        place=20,
    ),
)
