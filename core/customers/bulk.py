"""What can be done to many customers at once. Each deed is the one that a customer's own page does."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.customers import actions, queries
from core.customers.actions.customers import UNTAXED, why_untaxed
from core.customers.actions.deletion import delete_customers
from core.customers.schemas import TAG_LENGTH, AddressData, BillingData, MainData, Text
from core.customers.sections import BILLING_TYPES, SEND_BY, TAX, country_choices, language_choices, zone_choices
from core.customers.status import StatusKey
from core.database import value
from core.errors import Invalid
from core.hooks import BulkAction, BulkField, Effect, NothingToAsk
from core.ids import Id, sort_key
from core.money import format_money, parse_amount
from core.texts import N_, _
from core.web.parts import Choice
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.customers.plans import StatusPlan
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

PERMISSION: Final = "customers.edit"
Reason = Annotated[str, Meta(max_length=500)]


# -- status -----------------------------------------------------------------------------------------------------------


class WithReason(Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Reason = ""


class ToStatus(Struct, frozen=True, forbid_unknown_fields=True):
    """Another status, at once or on a day to come."""

    status: Annotated[str, Meta(min_length=1, max_length=60)]
    on: date | None = None
    reason: Reason = ""


async def _enable(scope: Scope, form: WithReason, customer_id: int) -> Sequence[Effect]:
    return await _move(scope, customer_id, ToStatus(StatusKey.ACTIVE, None, form.reason))


async def _disable(scope: Scope, form: WithReason, customer_id: int) -> Sequence[Effect]:
    return await _move(scope, customer_id, ToStatus(StatusKey.INACTIVE, None, form.reason))


async def _move_to(scope: Scope, form: ToStatus, customer_id: int) -> Sequence[Effect]:
    return await _move(scope, customer_id, form)


async def _move(scope: Scope, customer_id: int, form: ToStatus) -> Sequence[Effect]:
    if form.on is None or form.on == scope.today():
        plan = await actions.change_status(scope, customer_id, form.status, note=form.reason)
    else:
        plan = await actions.plan_status(scope, customer_id, form.status, form.on, note=form.reason)
    return () if plan is None else (_step(scope, plan), *plan.effects)


def _step(scope: Scope, plan: StatusPlan) -> Effect:
    text = _("%(before)s becomes %(after)s", before=_(plan.from_label), after=_(plan.to.label))
    if plan.later:
        day = written(plan.on, scope.locale)
        text = _("%(before)s becomes %(after)s on %(day)s", before=_(plan.from_label), after=_(plan.to.label), day=day)
    return Effect(kind="change", text=text, inputs=f"{plan.from_key} {plan.to.key}")


async def _reason_field(scope: Scope) -> Sequence[BulkField]:
    return (_reason(),)


def _reason() -> BulkField:
    return BulkField(name="reason", label=_("Reason"), help=_("Kept in the activity"), max_length=500)


async def _status_fields(scope: Scope) -> Sequence[BulkField]:
    choices = tuple((one.key, _(one.label)) for one in await queries.list_statuses())
    return (
        BulkField(
            name="status",
            label=_("New status"),
            kind="select",
            required=True,
            choices=(("", _("Choose…")), *choices),
        ),
        BulkField(
            name="on",
            label=_("On"),
            kind="date",
            value=scope.today().isoformat(),
            help=_("Today: at once. A later day: when that day begins"),
        ),
        _reason(),
    )


# -- tags and location ------------------------------------------------------------------------------------------------


class TagNames(Struct, frozen=True, forbid_unknown_fields=True):
    """Tags by their names, a comma between."""

    tags: Annotated[str, Meta(min_length=1, max_length=500)]

    def __post_init__(self) -> None:
        self.names()

    def names(self) -> list[str]:
        found = {" ".join(one.split()): None for one in self.tags.split(",")}
        names = [one for one in found if one]
        if not names:
            raise Invalid(_("Name one tag or several, a comma between."), field="tags")
        for one in names:
            if len(one) > TAG_LENGTH:
                told = _("“%(tag)s” is too long: a tag has at most %(most)s characters.", tag=one, most=TAG_LENGTH)
                raise Invalid(told, field="tags")
        return names


async def _add_tags(scope: Scope, form: TagNames, customer_id: int) -> Sequence[Effect]:
    return [
        Effect(kind="change", text=_("Tag “%(tag)s” is put on", tag=name))
        for name in form.names()
        if await actions.add_tag(scope, customer_id, name)
    ]


async def _remove_tags(scope: Scope, form: TagNames, customer_id: int) -> Sequence[Effect]:
    known = {sort_key(one.name): one for one in await queries.list_customer_tags(customer_id)}
    effects = []
    for name in form.names():
        tag = known.pop(sort_key(name), None)
        if tag is not None:
            await actions.remove_tag(scope, customer_id, tag.id)
            effects.append(Effect(kind="change", text=_("Tag “%(tag)s” is taken off", tag=tag.name)))
    return effects


async def _tag_fields(scope: Scope) -> Sequence[BulkField]:
    known = ", ".join(one.name for one in (await queries.list_tags())[:20])
    return (
        BulkField(
            name="tags",
            label=_("Tags"),
            required=True,
            max_length=500,
            help=_("Several: a comma between. There are: %(known)s", known=known)
            if known
            else _("Several: a comma between"),
        ),
    )


class ToLocation(Struct, frozen=True, forbid_unknown_fields=True):
    """A location of the list, or none."""

    location_id: Id | None = None


async def _assign_location(scope: Scope, form: ToLocation, customer_id: int) -> Sequence[Effect]:
    now = await queries.get_customer(scope, customer_id)
    if now.location_id == form.location_id:
        return ()
    await _save(scope, now, MainData, {"location_id": form.location_id})
    name = (
        await value("SELECT name FROM location WHERE id = :id", id=form.location_id) if form.location_id else _("None")
    )
    return (Effect(kind="change", text=_("Location becomes %(name)s", name=name), inputs=str(now.location_id)),)


async def _location_fields(scope: Scope) -> Sequence[BulkField]:
    choices = tuple((str(one.id), one.name) for one in await queries.list_locations())
    return (BulkField(name="location_id", label=_("Location"), kind="select", choices=(("", _("None")), *choices)),)


# -- plain fields -----------------------------------------------------------------------------------------------------

LEAVE: Final = "leave"
"""Sent for a field that stays as it is."""


class FieldsOf(Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of customers that may be the same for many; what is left out stays as it is.

    `billing_day` is a number, or "joined" for the day of joining; `minimum_balance` an amount in the customer's own
    currency; `as_settings` says which of payment terms and grace are as the tenant's settings say.
    """

    language: Annotated[str, Meta(max_length=35)] = LEAVE
    time_zone: Annotated[str, Meta(max_length=60)] = LEAVE
    city: Annotated[str, Meta(max_length=200)] = ""
    country: Annotated[str, Meta(max_length=5)] = LEAVE
    billing_type: Literal["leave", "recurring", "prepaid"] = "leave"
    billing_day: Annotated[str, Meta(pattern=r"\A(leave|joined|[1-9]|[12][0-9]|3[01])\Z")] = LEAVE
    terms_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    grace_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    as_settings: Literal["leave", "terms_days", "grace_days", "both"] = "leave"
    minimum_balance: Annotated[str, Meta(max_length=40)] = ""
    send_by: Literal["leave", "email", "post", "none"] = "leave"
    tax_profile: Literal["leave", "standard", "reverse_charge", "exempt", "outside"] = "leave"
    tax_reason: Text = ""
    never_block: Literal["leave", "yes", "no"] = "leave"

    def __post_init__(self) -> None:
        self.wanted()

    def wanted(self) -> dict[str, Any]:
        found = {name: given for name in self.__struct_fields__ if (given := getattr(self, name)) not in (LEAVE, None)}
        for name in ("city", "tax_reason", "minimum_balance"):
            if not found[name]:
                found.pop(name)
        if "billing_day" in found:
            found["billing_day"] = None if self.billing_day == "joined" else int(self.billing_day)
        if self.minimum_balance and not any(one.isdecimal() for one in self.minimum_balance):
            raise Invalid(_("Type an amount."), field="minimum_balance")
        as_settings = found.pop("as_settings", "")
        for name in ("terms_days", "grace_days"):
            if as_settings in {name, "both"}:
                if name in found:
                    raise Invalid(_("Either so many days, or as in the settings."), field=name)
                found[name] = None
        if "never_block" in found:
            found["never_block"] = self.never_block == "yes"
        if not found:
            raise Invalid(_("Say what is to be changed."), field="language")
        if self.tax_profile in UNTAXED and not self.tax_reason:
            raise Invalid(why_untaxed(), field="tax_reason")
        if self.tax_reason and self.tax_profile not in UNTAXED:
            raise Invalid(_("A reason goes with the tax “Exempt” alone."), field="tax_reason")
        return found


_SECTIONS: Final = (MainData, AddressData, BillingData)
_LABELS: Final = {
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
    "city": N_("City"),
    "country": N_("Country"),
    "billing_type": N_("Billing type"),
    "billing_day": N_("Billing day"),
    "terms_days": N_("Payment terms"),
    "grace_days": N_("Grace"),
    "as_settings": N_("Terms from the settings"),
    "minimum_balance_minor": N_("Minimum balance"),
    "send_by": N_("Documents by"),
    "tax_profile": N_("Tax"),
    "tax_reason": N_("Reason"),
    "never_block": N_("Never block"),
}


_AS_SETTINGS: Final = (
    Choice("terms_days", N_("Payment terms")),
    Choice("grace_days", N_("Grace")),
    Choice("both", N_("Payment terms and grace")),
)


async def _edit_fields(scope: Scope, form: FieldsOf, customer_id: int) -> Sequence[Effect]:
    wanted = form.wanted()
    now = await queries.get_customer(scope, customer_id)
    if "minimum_balance" in wanted:
        minor = parse_amount(wanted.pop("minimum_balance"), now.currency, scope.locale)
        wanted["minimum_balance_minor"] = minor
    effects = [
        Effect(
            kind="change",
            text=_(
                "%(field)s becomes %(value)s",
                field=_(_LABELS[name]),
                value=format_money(given, now.currency, scope.locale)
                if name == "minimum_balance_minor"
                else _read(scope, name, given),
            ),
            inputs=str(getattr(now, name)),
        )
        for name, given in wanted.items()
        if getattr(now, name) != given
    ]
    for section in _SECTIONS:
        own = {name: given for name, given in wanted.items() if name in section.__struct_fields__}
        if own:
            now = await _save(scope, now, section, own)
    return effects


async def _save(
    scope: Scope,
    now: CustomerDetail,
    section: type[MainData] | type[AddressData] | type[BillingData],
    changed: dict[str, Any],
) -> CustomerDetail:
    """A section as it stands, with these fields changed."""
    standing = {name: getattr(now, name) for name in section.__struct_fields__}
    data = msgspec.convert({**standing, **changed}, section)
    await actions.change_customer(scope, now.id, data, version=now.version)
    return await queries.get_customer(scope, now.id)


def _read(scope: Scope, name: str, given: Any) -> str:
    if isinstance(given, bool):
        return _("Yes") if given else _("No")
    if given is None:
        return _("Day of joining") if name == "billing_day" else _("As in the settings")
    choices = {
        "send_by": SEND_BY,
        "tax_profile": TAX,
        "billing_type": BILLING_TYPES,
        "country": country_choices(scope.locale),
    }.get(name, ())
    if name == "language":
        choices = language_choices(scope, str(given))
    if name == "time_zone":
        choices = zone_choices(scope, str(given))
    return next((_(one.label) for one in choices if one.value == given), str(given))


async def _edit_choices(scope: Scope) -> Sequence[BulkField]:
    leave = (LEAVE, _("Leave as it is"))

    def select(name: str, choices: Sequence[Any]) -> BulkField:
        listed = tuple((one.value, _(one.label)) for one in choices)
        return BulkField(name=name, label=_(_LABELS[name]), kind="select", value=LEAVE, choices=(leave, *listed))

    empty = _("Empty: leave as it is")
    return (
        select("language", language_choices(scope)),
        select("time_zone", zone_choices(scope)),
        BulkField(name="city", label=_("City"), help=empty, max_length=200),
        select("country", country_choices(scope.locale)[1:]),
        select("billing_type", BILLING_TYPES),
        select(
            "billing_day",
            [Choice("joined", N_("Day of joining")), *(Choice(str(day), str(day)) for day in range(1, 32))],
        ),
        BulkField(name="terms_days", label=_("Payment terms"), kind="number", help=_("Days. Empty: leave as it is")),
        BulkField(name="grace_days", label=_("Grace"), kind="number", help=_("Days. Empty: leave as it is")),
        select("as_settings", _AS_SETTINGS),
        BulkField(
            name="minimum_balance",
            label=_("Minimum balance"),
            help=_("In the currency of each customer; minus is a credit limit. Empty: leave as it is"),
            max_length=40,
        ),
        select("send_by", SEND_BY),
        select("tax_profile", TAX),
        BulkField(
            name="tax_reason",
            label=_("Reason"),
            help=_("Where it is exempt: stands on its documents"),
            max_length=200,
        ),
        BulkField(
            name="never_block",
            label=_("Never block"),
            kind="select",
            value=LEAVE,
            choices=(leave, ("yes", _("Yes")), ("no", _("No"))),
        ),
    )


# -- deleting ---------------------------------------------------------------------------------------------------------


async def _delete(
    scope: Scope, form: NothingToAsk, customer_ids: Sequence[int]
) -> Mapping[int, Sequence[Effect] | str]:
    return await delete_customers(scope, customer_ids)


ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="customers.enable",
        label=N_("Enable"),
        verb=N_("Enable"),
        icon="circle-check",
        group=N_("Status"),
        permission=PERMISSION,
        form=WithReason,
        fields=_reason_field,
        optional=True,
        do=_enable,
        place=10,
    ),
    BulkAction(
        key="customers.disable",
        label=N_("Disable"),
        verb=N_("Disable"),
        icon="circle-off",
        group=N_("Status"),
        permission=PERMISSION,
        form=WithReason,
        fields=_reason_field,
        optional=True,
        do=_disable,
        danger=True,
        place=11,
    ),
    BulkAction(
        key="customers.status",
        label=N_("Change status…"),
        verb=N_("Change status"),
        icon="adjustments-horizontal",
        group=N_("Status"),
        permission=PERMISSION,
        form=ToStatus,
        fields=_status_fields,
        do=_move_to,
        place=12,
    ),
    BulkAction(
        key="customers.add_tags",
        label=N_("Add tags…"),
        verb=N_("Add tags"),
        icon="tag",
        group=N_("Tags"),
        permission=PERMISSION,
        form=TagNames,
        fields=_tag_fields,
        do=_add_tags,
        place=30,
    ),
    BulkAction(
        key="customers.remove_tags",
        label=N_("Remove tags…"),
        verb=N_("Remove tags"),
        icon="tag",
        group=N_("Tags"),
        permission=PERMISSION,
        form=TagNames,
        fields=_tag_fields,
        do=_remove_tags,
        place=31,
    ),
    BulkAction(
        key="customers.location",
        label=N_("Location…"),
        verb=N_("Assign location"),
        icon="map-2",
        group=N_("Assign"),
        permission=PERMISSION,
        form=ToLocation,
        fields=_location_fields,
        do=_assign_location,
        place=40,
    ),
    BulkAction(
        key="customers.fields",
        label=N_("Edit fields…"),
        verb=N_("Change fields"),
        icon="pencil",
        permission=PERMISSION,
        form=FieldsOf,
        fields=_edit_choices,
        do=_edit_fields,
        place=50,
    ),
    BulkAction(
        key="customers.delete",
        label=N_("Delete…"),
        verb=N_("Delete"),
        icon="trash",
        permission="customers.delete",
        form=NothingToAsk,
        do_many=_delete,
        danger=True,
        all_or_none=True,
        confirmed=True,
        warning=N_("This cannot be undone. Backups that were made before still hold them, until they are removed."),
        place=90,
    ),
)
