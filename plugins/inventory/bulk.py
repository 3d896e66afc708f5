"""What can be done to many items at once. Each deed is the one of an item's own page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

from core.hooks import BulkAction, BulkField, BulkFile, Effect
from core.ids import Id
from core.lists.taking import zipped
from core.texts import N_, _
from plugins.inventory import actions, labels, queries
from plugins.inventory.labels import LabelSheet
from plugins.inventory.listing import ITEM_LIST
from plugins.inventory.schemas import Move, WriteOff
from plugins.inventory.status import ItemStatus, pill_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

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


# -- labels -----------------------------------------------------------------------------------------------------------


async def _label(scope: Scope, form: LabelSheet, item_id: int) -> Sequence[Effect]:
    item = await queries.get_item(scope, item_id)
    return (Effect(kind="document", text=_("A label is printed"), inputs=labels.code_of(item)),)


async def _sheets(scope: Scope, form: LabelSheet, item_ids: Sequence[int]) -> BulkFile:
    """One PDF, or several in a ZIP where it would be too long."""
    if len(item_ids) <= labels.MOST:
        return BulkFile(name="labels.pdf", media_type="application/pdf", content=_one(scope, form, item_ids))
    return BulkFile(name="labels.zip", media_type="application/zip", content=zipped(_many(scope, form, item_ids)))


async def _one(scope: Scope, form: LabelSheet, item_ids: Sequence[int]) -> AsyncIterator[bytes]:
    yield await labels.make_labels(scope, await ITEM_LIST.rows_of(scope, item_ids), form)


async def _many(scope: Scope, form: LabelSheet, item_ids: Sequence[int]) -> AsyncIterator[tuple[str, bytes]]:
    for at in range(0, len(item_ids), labels.MOST):
        sheet = form if not at else LabelSheet(kind=form.kind)
        items = await ITEM_LIST.rows_of(scope, item_ids[at : at + labels.MOST])
        yield f"labels-{at // labels.MOST + 1}.pdf", await labels.make_labels(scope, items, sheet)


async def _sheet_fields(scope: Scope) -> Sequence[BulkField]:
    kinds = (("a4", _("A4 sheet, 3 × 8 labels of 70 × 37 mm")), ("roll", _("Roll, 62 × 29 mm")))
    return (
        BulkField(name="kind", label=_("Printed on"), kind="select", value="a4", choices=kinds),
        BulkField(
            name="used",
            label=_("Labels of the first sheet that are gone"),
            kind="number",
            value="0",
            help=_("For a sheet that was begun, 0 to %(most)s", most=labels.PER_SHEET - 1),
        ),
    )


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
    BulkAction(
        key="inventory.labels",
        label=N_("Labels…"),
        verb=N_("Print labels"),
        title=N_("Labels of items"),
        icon="barcode",
        permission="inventory.view",
        form=LabelSheet,
        fields=_sheet_fields,
        optional=True,
        do=_label,
        file=_sheets,
        file_label=N_("Download labels"),
        place=15,
    ),
)
