"""What can be done to many invoices at once. Each deed is the one that an invoice's own page does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from core.billing import actions, queries
from core.billing.jobs import DELIVER, ToDeliver
from core.billing.listing import DOCUMENTS
from core.billing.mailing import document_file
from core.billing.retrying import retry_parked
from core.billing.run_pages import parked_item
from core.billing.status import Charges
from core.customers import queries as customers
from core.customers.status import Documents
from core.documents.files import read_file
from core.errors import Conflict
from core.hooks import BulkAction, BulkField, BulkFile, Effect, NothingToAsk
from core.jobs.actions import enqueue
from core.lists.showing import EXPORT
from core.lists.taking import taking, zipped
from core.messages.queries import mail_is_set_up
from core.texts import N_, _, ngettext

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail, ParkedRow
    from core.scope import Scope


async def _issue(scope: Scope, form: NothingToAsk, document_id: int) -> Sequence[Effect]:
    before = await queries.get_document(scope, document_id)
    if before.state != "draft":
        return ()
    await actions.issue(scope, document_id)
    after = await queries.get_document(scope, document_id)
    effects = [
        Effect(
            kind="document",
            text=_("The invoice is issued"),
            amount_minor=after.total_minor,
            currency=after.currency,
            inputs=str(before.version),
        )
    ]
    if paid := after.total_minor - after.open_minor:
        effects.append(Effect(kind="money", text=_("Free credit pays it"), amount_minor=paid, currency=after.currency))
    if await _recipients(scope, after) and (await customers.get_customer(scope, after.payer_id)).send_by == "email":
        effects.append(Effect(kind="message", text=_("It goes by e-mail with its PDF")))
    return effects


class Deletion(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of charges that the drafts took up."""

    charges: Literal["bill_again", "waive"] = "bill_again"


async def _delete(scope: Scope, form: Deletion, document_id: int) -> Sequence[Effect]:
    before = await queries.get_document(scope, document_id)
    if before.state != "draft":
        raise Conflict(_("It is issued: it can be voided or credited, and is never deleted."))
    held = sum(1 for line in before.lines if line.charge_id is not None)
    await actions.delete_draft(scope, document_id, Charges(form.charges))
    effects = [
        Effect(
            kind="document",
            text=_("The draft is deleted"),
            amount_minor=before.total_minor,
            currency=before.currency,
            inputs=str(before.version),
        )
    ]
    if held:
        words = _("Its charges are billed again with the next run")
        if form.charges == "waive":
            words = _("Its charges are waived")
        effects.append(Effect(kind="money", text=words, inputs=str(held)))
    return effects


async def _deletion_fields(scope: Scope) -> Sequence[BulkField]:
    choices = (("bill_again", _("billed again with the next run")), ("waive", _("waived")))
    return (BulkField(name="charges", label=_("Its charges are"), kind="select", value="bill_again", choices=choices),)


async def _send(scope: Scope, form: NothingToAsk, document_id: int) -> Sequence[Effect]:
    """A job makes the PDF where there is none and queues the message, whether it was sent before or not."""
    document = await _issued(scope, document_id)
    if not await mail_is_set_up():
        raise Conflict(_("No mail server is set up: see Settings, Mail"))
    to = await _recipients(scope, document)
    if not to:
        raise Conflict(_("Its customer has no e-mail address."))
    await enqueue(scope, DELIVER, ToDeliver(document_id, again=True), customer_id=document.payer_id)
    return (Effect(kind="message", text=_("It goes by e-mail with its PDF"), inputs=" ".join(to)),)


async def _recipients(scope: Scope, document: DocumentDetail) -> Sequence[str]:
    customer = await customers.get_customer(scope, document.payer_id)
    return (await customers.document_recipients(scope, customer, Documents.INVOICES)).all


async def _issued(scope: Scope, document_id: int) -> DocumentDetail:
    document = await queries.get_document(scope, document_id)
    if document.state != "issued":
        raise Conflict(_("A draft has no document yet. Issue it first."))
    return document


# -- PDFs -------------------------------------------------------------------------------------------------------------


async def _collect(scope: Scope, form: NothingToAsk, document_id: int) -> Sequence[Effect]:
    await _issued(scope, document_id)
    return (Effect(kind="document", text=_("Its PDF stands in the file")),)


async def _zip(scope: Scope, form: NothingToAsk, document_ids: Sequence[int]) -> BulkFile:
    return BulkFile(
        name=f"invoices-{scope.today().isoformat()}.zip",
        media_type="application/zip",
        content=zipped(_pdfs(scope, document_ids)),
    )


async def _pdfs(scope: Scope, document_ids: Sequence[int]) -> AsyncIterator[tuple[str, bytes]]:
    """As they are stored, one after the other. What the law no longer keeps is left out; one that was not made yet is
    made now."""
    names = set[str]()
    for document_id in document_ids:
        try:
            file = await document_file(scope, document_id)
        except Conflict:
            continue
        name = file.name if file.name not in names else f"{document_id}-{file.name}"
        names.add(name)
        yield name, await read_file(scope, file)


# -- parked accounts --------------------------------------------------------------------------------------------------


async def _retry(scope: Scope, form: NothingToAsk, parked_id: int) -> Sequence[Effect]:
    """Billed, or parked anew: that is told, not refused, for its reason is written down."""
    done = await retry_parked(scope, parked_id)
    rests_on = f"{done.after.run_id} {done.after.reason} {done.after.detail}"
    effects = [
        Effect(kind="document", text=_("It is invoiced"), amount_minor=minor, currency=currency, inputs=rests_on)
        for currency, minor in sorted(done.written.totals.items())
    ]
    if done.renewed:
        words = ngettext("1 prepaid renewal", "%(num)s prepaid renewals", done.renewed)
        effects.append(Effect(kind="service", text=words))
    if done.after.resolved_at is None:
        effects.append(Effect(kind="warning", text=_parked_words(done.after), inputs=rests_on))
    return effects or [Effect(kind="warning", text=_("Nothing is due any more"), inputs=rests_on)]


def _parked_words(parked: ParkedRow) -> str:
    why = parked_item(parked.payer_id, parked.payer, parked.reason, parked.detail).why
    return _("Parked again: %(why)s", why=why)


PARKED_ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="billing.retry",
        label=N_("Try again"),
        verb=N_("Try again"),
        title=N_("Try parked accounts again"),
        icon="refresh",
        permission="billing.run",
        form=NothingToAsk,
        do=_retry,
        place=10,
    ),
)

ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="billing.issue",
        label=N_("Issue"),
        verb=N_("Issue"),
        title=N_("Issue drafts"),
        icon="check",
        permission="documents.issue",
        form=NothingToAsk,
        do=_issue,
        place=10,
    ),
    BulkAction(
        key="billing.send",
        label=N_("Send by e-mail"),
        verb=N_("Send by e-mail"),
        title=N_("Send invoices by e-mail"),
        icon="mail",
        permission="documents.issue",
        form=NothingToAsk,
        do=_send,
        warning=N_("Those that were sent before are sent again."),
        place=20,
    ),
    BulkAction(
        key="billing.pdfs",
        label=N_("PDFs"),
        verb=N_("Put into a file"),
        title=N_("PDFs of invoices"),
        icon="printer",
        permission=EXPORT,
        form=NothingToAsk,
        do=_collect,
        file=_zip,
        file_label=N_("Download ZIP"),
        place=30,
    ),
    taking(DOCUMENTS),
    BulkAction(
        key="billing.delete_drafts",
        label=N_("Delete drafts…"),
        verb=N_("Delete drafts"),
        icon="trash",
        permission="documents.edit",
        form=Deletion,
        fields=_deletion_fields,
        optional=True,
        do=_delete,
        danger=True,
        place=90,
    ),
)
