"""What the pages of dunning show."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from core.billing.dunning import EFFECTS, MESSAGES, list_dunning, list_steps, preview
from core.billing.tables import Dispute, Promise
from core.database import row, rows, within
from core.money import format_money
from core.texts import _
from core.web.parts import Choice, Field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.dunning import DunningRow, NextStep, Step
    from core.billing.schemas import DocumentDetail
    from core.scope import Scope

Text = Annotated[str, Meta(max_length=500)]


class StepForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A step as it is typed."""

    days: Annotated[str, Meta(max_length=6)] = ""
    message: Literal["", "payment_reminder", "payment_warning", "service_blocked"] = ""
    effect: Literal["", "blocked", "inactive", "terminated"] = ""
    fee: Annotated[str, Meta(max_length=40)] = ""
    seen: str = ""


class PromiseForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    until_on: Annotated[str, Meta(max_length=20)] = ""
    note: Text = ""
    seen: str = ""


class DisputeForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    reason: Text = ""
    seen: str = ""


class AnswerForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    answer: Text = ""
    seen: str = ""


class _Label(Struct, frozen=True):
    key: str
    label: str


async def status_labels() -> dict[str, str]:
    """What the statuses that a step may set are called here; nothing set among them."""
    found = await rows(_Label, "SELECT key, label FROM status WHERE key IN :keys", keys=[key for key in EFFECTS if key])
    return {"": _(EFFECTS[""]), **{each.key: _(each.label) for each in found}}


class StepItem(Struct, frozen=True, kw_only=True):
    """A step in the list of the policy."""

    id: int
    days: int
    does: list[str]


class DueItem(Struct, frozen=True, kw_only=True):
    """Who has which step today."""

    document_id: int
    number: str
    payer_id: int
    payer: str
    due_on: date
    open: str
    days: int
    does: str


class Outlook(Struct, frozen=True, kw_only=True):
    """What today would bring, as it is shown."""

    due: list[DueItem]
    looked_at: int
    more: bool
    rests: bool


async def step_items(scope: Scope) -> list[StepItem]:
    labels = await status_labels()
    return [StepItem(id=step.id, days=step.days, does=does(scope, step, labels)) for step in await list_steps()]


async def outlook(scope: Scope) -> Outlook:
    labels = await status_labels()
    found = await preview(scope)
    return Outlook(
        due=[_due_item(scope, each, labels) for each in found.due],
        looked_at=found.looked_at,
        more=found.more,
        rests=found.rests,
    )


def _due_item(scope: Scope, due: NextStep, labels: Mapping[str, str]) -> DueItem:
    document = due.document
    return DueItem(
        document_id=document.document_id,
        number=document.number,
        payer_id=document.payer_id,
        payer=document.payer,
        due_on=document.due_on,
        open=format_money(document.open_minor, document.currency, scope.locale),
        days=due.step.days,
        does=", ".join(does(scope, due.step, labels)),
    )


def does(scope: Scope, step: Step, labels: Mapping[str, str]) -> list[str]:
    """What a step does, part by part."""
    fee = format_money(step.fee_minor, scope.tenant.currency, scope.locale)
    return [
        *([_("Message: %(message)s", message=_(MESSAGES[step.message]))] if step.message else []),
        *([_("Status: %(status)s", status=labels.get(step.effect, step.effect))] if step.effect else []),
        *([_("Fee %(amount)s", amount=fee)] if step.fee_minor else []),
    ]


def step_fields(currency: str, labels: Mapping[str, str], step: Step | None, fee: str) -> list[Field]:
    """The form of a step."""
    return [
        Field(
            name="days",
            label=_("Days after it was due"),
            value=str(step.days) if step is not None else "",
            kind="number",
            required=True,
            help=_("1 is the first overdue day"),
        ),
        Field(
            name="message",
            label=_("Message"),
            value=step.message if step is not None else "payment_reminder",
            kind="select",
            choices=[Choice(key, _(label)) for key, label in MESSAGES.items()],
        ),
        Field(
            name="effect",
            label=_("The customer becomes"),
            value=step.effect if step is not None else "",
            kind="select",
            choices=[Choice(key, label) for key, label in labels.items()],
        ),
        Field(
            name="fee",
            label=_("Fee, %(currency)s", currency=currency),
            value=fee,
            kind="money",
            help=_("Not taxed, on the next invoice"),
        ),
    ]


class HadItem(Struct, frozen=True, kw_only=True):
    """A step that an invoice had, as its page shows it."""

    on: date
    text: str
    refused: str
    message_id: int | None


class OpenPromise(Struct, frozen=True):
    until_on: date
    note: str
    made_by: str


class OpenDispute(Struct, frozen=True):
    made_on: date
    reason: str
    made_by: str


class DunningOfInvoice(Struct, frozen=True, kw_only=True):
    """What an invoice had of dunning, and what pauses it."""

    had: Sequence[HadItem]
    promise: OpenPromise | None
    dispute: OpenDispute | None


_PROMISE: Final = (
    "SELECT promise.until_on, promise.note, promise.made_by FROM promise"
    " WHERE promise.document_id = :id AND promise.state = 'open' AND :within"
)
_DISPUTE: Final = (
    "SELECT dispute.made_on, dispute.reason, dispute.made_by FROM dispute"
    " WHERE dispute.document_id = :id AND dispute.state = 'open' AND :within"
)


async def find_promise(scope: Scope, document_id: int) -> OpenPromise | None:
    return await row(OpenPromise, _PROMISE, id=document_id, within=within(Promise, scope.actor.reach))


async def find_dispute(scope: Scope, document_id: int) -> OpenDispute | None:
    return await row(OpenDispute, _DISPUTE, id=document_id, within=within(Dispute, scope.actor.reach))


async def dunning_of(scope: Scope, document: DocumentDetail) -> DunningOfInvoice | None:
    """None for what is never dunned: credit notes, drafts, and invoices that had nothing and are paid."""
    if document.state != "issued" or document.kind not in ("invoice", "opening"):
        return None
    had = await list_dunning(scope, document.id)
    if not had and not document.open_minor:
        return None
    labels = await status_labels() if had else {}
    return DunningOfInvoice(
        had=[_had_item(scope, each, labels) for each in had],
        promise=await find_promise(scope, document.id) if document.open_minor else None,
        dispute=await find_dispute(scope, document.id) if document.disputed else None,
    )


def _had_item(scope: Scope, had: DunningRow, labels: Mapping[str, str]) -> HadItem:
    fee = format_money(had.fee_minor, had.currency, scope.locale)
    return HadItem(
        on=had.done_on,
        text=", ".join(
            [
                _("After %(days)s days", days=had.days),
                *([_(MESSAGES[had.message])] if had.message_id is not None and not had.refused else []),
                *([labels.get(had.effect, had.effect)] if had.effect else []),
                *([_("Fee %(amount)s", amount=fee)] if had.fee_minor else []),
            ]
        ),
        refused=had.refused,
        message_id=had.message_id,
    )
