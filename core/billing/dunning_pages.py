"""What the pages of dunning show."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from core.billing.dunning import EFFECTS, MESSAGES, list_dunning, list_pauses, list_steps, open_of, preview
from core.database import rows
from core.money import format_money
from core.texts import N_, _
from core.web.parts import Choice, Field
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.dunning import DunningRow, NextStep, Pause, Step
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
            help=_("What is paid in all, on the next invoice"),
        ),
    ]


class HadItem(Struct, frozen=True, kw_only=True):
    """A step that an invoice had, or a promise or dispute that is over, as its page shows it."""

    on: date
    text: str
    details: Sequence[str] = ()
    message_id: int | None = None


class DunningOfInvoice(Struct, frozen=True, kw_only=True):
    """What an invoice had of dunning, and what pauses it."""

    had: Sequence[HadItem]
    promise: Pause | None
    dispute: Pause | None


ENDINGS: Final = {
    ("promise", "kept"): N_("Promise kept"),
    ("promise", "broken"): N_("Promise broken"),
    ("promise", "withdrawn"): N_("Promise taken back"),
    ("promise", "replaced"): N_("Promise replaced by another"),
    ("promise", "credited"): N_("Promise over: the invoice was credited"),
    ("promise", "written_off"): N_("Promise over: the debt was written off"),
    ("dispute", "closed"): N_("Dispute closed"),
    ("dispute", "settled"): N_("Dispute over: the invoice was paid"),
    ("dispute", "credited"): N_("Dispute over: the invoice was credited"),
    ("dispute", "written_off"): N_("Dispute over: the debt was written off"),
}


async def dunning_of(scope: Scope, document: DocumentDetail) -> DunningOfInvoice | None:
    """None for what is never dunned: credit notes, drafts, and invoices that had nothing and are paid."""
    if document.state != "issued" or document.kind not in ("invoice", "opening"):
        return None
    had, pauses = await list_dunning(scope, document.id), await list_pauses(scope, document.id)
    if not had and not pauses and not document.open_minor:
        return None
    labels = await status_labels() if had else {}
    items = [
        *(_had_item(scope, each, labels) for each in had),
        *(_over_item(scope, each, each.closed_on) for each in pauses if each.closed_on is not None),
    ]
    return DunningOfInvoice(
        had=sorted(items, key=lambda item: item.on),
        promise=open_of(pauses, "promise"),
        dispute=open_of(pauses, "dispute"),
    )


def _had_item(scope: Scope, had: DunningRow, labels: Mapping[str, str]) -> HadItem:
    fee = format_money(had.fee_minor, had.currency, scope.locale)
    return HadItem(
        on=had.done_on,
        text=", ".join(
            [
                _("After %(days)s days", days=had.days),
                *([_(MESSAGES[had.message])] if had.message else []),
                *([labels.get(had.effect, had.effect)] if had.effect else []),
                *([_("Fee %(amount)s", amount=fee)] if had.fee_minor else []),
            ]
        ),
        details=[had.refused] if had.refused else [],
        message_id=had.message_id,
    )


def _over_item(scope: Scope, pause: Pause, closed_on: date) -> HadItem:
    made_on = written(pause.made_on, scope.locale)
    if pause.until_on is not None:
        noted = _(
            "To pay by %(day)s, noted on %(made_on)s by %(name)s",
            day=written(pause.until_on, scope.locale),
            made_on=made_on,
            name=pause.made_by,
        )
    else:
        noted = _("Noted on %(made_on)s by %(name)s", made_on=made_on, name=pause.made_by)
    return HadItem(
        on=closed_on,
        text=_(ENDINGS[pause.kind, pause.state]),
        details=[noted, *(each for each in (pause.said, pause.answer) if each)],
    )
