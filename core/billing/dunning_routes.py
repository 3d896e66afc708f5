"""Pages of dunning: its settings with what today would bring, and what pauses it on an invoice."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.billing import dunning_pages as pages
from core.billing import queries
from core.billing.actions import dunning as actions
from core.billing.dunning import DunningSettings, Step, StepFields
from core.errors import Conflict, Invalid
from core.money import format_amount, format_money
from core.settings.actions import save_form
from core.settings.queries import load_settings
from core.texts import N_, _
from core.web.amounts import Fields, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Field
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.settings_pages import form_page
from core.web.templating import written
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.billing.schemas import DocumentDetail
    from core.scope import Scope
    from core.web.view import PageView

HERE: Final = "/settings/dunning"
STEPS: Final = f"{HERE}/steps"


@get(HERE, permission="settings.view")
async def show_dunning(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    return await _page(view)


@post(HERE, permission="settings.edit")
async def save_dunning(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    try:
        await save_form(view.scope, DunningSettings, view.typed)
    except Invalid as error:
        return await _page(view, errors_by_field(error), status=422)
    return view.go(HERE, _("Saved."))


async def _page(view: PageView, errors: Mapping[str, str] | None = None, *, status: int = 200) -> Response[str]:
    return await form_page(
        view,
        DunningSettings,
        HERE,
        title=N_("Dunning"),
        noun=N_("dunning settings"),
        write="settings.edit",
        errors=errors,
        status=status,
        template="billing/dunning.html",
        steps=await pages.step_items(view.scope),
        outlook=await pages.outlook(view.scope),
        enabled=(await load_settings(DunningSettings)).enabled,
    )


# -- steps ------------------------------------------------------------------------------------------------------------


@get(f"{STEPS}/new", permission="settings.edit")
async def show_new_step(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    typed = asked(view)
    place = await _step_place(view.scope, None)
    return await show_plan(view, place, typed, lambda: _save_step(view.scope, None, from_form(pages.StepForm, typed)))


@post(f"{STEPS}/new", permission="settings.edit")
async def add_step(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    return await do_plan(
        view,
        await _step_place(view.scope, None),
        lambda: _save_step(view.scope, None, from_form(pages.StepForm, view.typed)),
        to=HERE,
        said=_("Step added."),
    )


@get(STEPS + "/{step_id:int}", permission="settings.edit")
async def show_step(view: View, step_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    step = await actions.get_step(step_id)
    place = await _step_place(view.scope, step)
    typed = asked(view) or {each.name: [each.value] for each in place.options}
    return await show_plan(view, place, typed, lambda: _save_step(view.scope, step, from_form(pages.StepForm, typed)))


@post(STEPS + "/{step_id:int}", permission="settings.edit")
async def change_step(view: View, step_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    step = await actions.get_step(step_id)
    return await do_plan(
        view,
        await _step_place(view.scope, step),
        lambda: _save_step(view.scope, step, from_form(pages.StepForm, view.typed)),
        to=HERE,
        said=_("Step saved."),
    )


async def _step_place(scope: Scope, step: Step | None) -> Place:
    path = f"{STEPS}/new" if step is None else f"{STEPS}/{step.id}"
    currency = scope.tenant.currency
    fee = format_amount(step.fee_minor, currency) if step is not None and step.fee_minor else ""
    return Place(
        title=_("New step") if step is None else _("Step after %(days)s days", days=step.days),
        asked=path,
        sent=path,
        options=pages.step_fields(currency, await pages.status_labels(), step, fee),
        plan_only_with="days",
        back=HERE,
    )


async def _save_step(scope: Scope, step: Step | None, form: pages.StepForm) -> ChangePlan:
    currency = scope.tenant.currency
    with Fields() as read:
        days = read("days", _typed_days, form.days or "0", default=0)
        fee = read("fee", typed_amount, form.fee, currency, scope.locale, least=0, default=0)
    fields = StepFields(days=days, message=form.message, effect=form.effect, fee_minor=fee)
    step_id = await actions.save_step(scope, fields, step.id if step is not None else None)
    saved = await actions.get_step(step_id)
    labels = await pages.status_labels()
    parts = [
        PlanPart(title=_("What it does"), lines=[PlanLine(text=each) for each in pages.does(scope, saved, labels)])
    ]
    if step is not None:  # who was faster is seen here, and is asked about again
        before = [PlanLine(text=each) for each in pages.does(scope, step, labels)]
        parts.insert(0, PlanPart(title=_("So far, after %(days)s days", days=step.days), lines=before))
    return ChangePlan(
        title=_("Step after %(days)s days", days=days),
        button=_("Add step") if step is None else _("Save step"),
        parts=parts,
    )


def _typed_days(text: str) -> int:
    if not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= 730:
        raise Invalid(_("Type a number of days from 1 to 730."))
    return int(text)


@get(STEPS + "/{step_id:int}/removal", permission="settings.edit")
async def show_removal(view: View, step_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    step = await actions.get_step(step_id)
    return await show_plan(view, _removal_place(step), asked(view), lambda: _remove(view.scope, step))


@post(STEPS + "/{step_id:int}/removal", permission="settings.edit")
async def remove_step(view: View, step_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    step = await actions.get_step(step_id)
    return await do_plan(
        view,
        _removal_place(step),
        lambda: _remove(view.scope, step),
        to=HERE,
        said=_("Step removed. Invoices that had it keep it in their history."),
    )


def _removal_place(step: Step) -> Place:
    path = f"{STEPS}/{step.id}/removal"
    return Place(title=_("Remove step"), asked=path, sent=path, back=HERE)


async def _remove(scope: Scope, step: Step) -> ChangePlan:
    done = pages.does(scope, step, await pages.status_labels())
    await actions.remove_step(scope, step.id)
    return ChangePlan(
        title=_("Step after %(days)s days", days=step.days),
        button=_("Remove step"),
        danger=True,
        parts=[PlanPart(title=_("No longer done"), lines=[PlanLine(text=each) for each in done])],
    )


# -- what pauses an invoice -------------------------------------------------------------------------------------------


async def _document(scope: Scope, invoice_id: int) -> DocumentDetail:
    document = await queries.get_document(scope, invoice_id)
    if document.state != "issued" or document.kind == "credit_note":
        raise Conflict(_("Only an issued invoice is dunned."))
    return document


def _plan(document: DocumentDetail, title: str, button: str, value: str, *warnings: str) -> ChangePlan:
    line = PlanLine(text=_("Dunning of %(number)s", number=document.number), value=value)
    return ChangePlan(title=title, button=button, parts=[PlanPart(title=_("Dunning"), lines=[line])], warnings=warnings)


def _place(invoice_id: int, what: str, title: str, *options: Field, needs: str = "") -> Place:
    path = f"/invoices/{invoice_id}/{what}"
    return Place(
        title=title, asked=path, sent=path, options=options, back=f"/invoices/{invoice_id}", plan_only_with=needs
    )


@get("/invoices/{invoice_id:int}/promise", permission="documents.edit")
async def show_promise(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        _promise_place(invoice_id),
        typed,
        lambda: _promise(view.scope, document, from_form(pages.PromiseForm, typed)),
    )


@post("/invoices/{invoice_id:int}/promise", permission="documents.edit")
async def promise(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _promise_place(invoice_id),
        lambda: _promise(view.scope, document, from_form(pages.PromiseForm, view.typed)),
        to=f"/invoices/{invoice_id}",
        said=_("Promise noted."),
    )


def _promise_place(invoice_id: int) -> Place:
    return _place(
        invoice_id,
        "promise",
        _("Promise to pay"),
        Field(name="until_on", label=_("Pays by"), kind="date", required=True),
        Field(name="note", label=_("Note"), max_length=500),
        needs="until_on",
    )


async def _promise(scope: Scope, document: DocumentDetail, form: pages.PromiseForm) -> ChangePlan:
    try:
        until_on = date.fromisoformat(form.until_on)
    except ValueError:
        raise Invalid(_("Choose today or a day within a year."), field="until_on") from None
    await actions.promise(scope, document.id, actions.NewPromise(until_on=until_on, note=form.note))
    rests = _("rests until %(day)s", day=written(until_on, scope.locale))
    return _plan(document, _("Promise to pay"), _("Note the promise"), rests)


@get("/invoices/{invoice_id:int}/promise/removal", permission="documents.edit")
async def show_promise_removal(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    place = _place(invoice_id, "promise/removal", _("Take the promise back"))
    return await show_plan(view, place, asked(view), lambda: _withdraw(view.scope, document))


@post("/invoices/{invoice_id:int}/promise/removal", permission="documents.edit")
async def withdraw_promise(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _place(invoice_id, "promise/removal", _("Take the promise back")),
        lambda: _withdraw(view.scope, document),
        to=f"/invoices/{invoice_id}",
        said=_("Promise taken back."),
    )


async def _withdraw(scope: Scope, document: DocumentDetail) -> ChangePlan:
    await actions.withdraw_promise(scope, document.id)
    return _plan(document, _("Take the promise back"), _("Take the promise back"), _("goes on"))


@get("/invoices/{invoice_id:int}/dispute", permission="documents.edit")
async def show_dispute(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        _dispute_place(document),
        typed,
        lambda: _dispute(view.scope, document, from_form(pages.DisputeForm, typed)),
    )


@post("/invoices/{invoice_id:int}/dispute", permission="documents.edit")
async def dispute(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _dispute_place(document),
        lambda: _dispute(view.scope, document, from_form(pages.DisputeForm, view.typed)),
        to=f"/invoices/{invoice_id}",
        said=_("Dispute noted."),
    )


def _dispute_place(document: DocumentDetail) -> Place:
    field = Field(name="reason", label=_("What is disputed"), required=True, max_length=500)
    return _place(document.id, "dispute", _("Dispute"), field, needs="reason")


async def _dispute(scope: Scope, document: DocumentDetail, form: pages.DisputeForm) -> ChangePlan:
    await actions.open_dispute(scope, document.id, actions.NewDispute(reason=form.reason))
    return _plan(
        document,
        _("Dispute"),
        _("Note the dispute"),
        _("rests until the dispute is closed"),
        _("Credit does not pay it by itself until then."),
    )


@get("/invoices/{invoice_id:int}/dispute/closing", permission="documents.edit")
async def show_closing(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        _closing_place(invoice_id),
        typed,
        lambda: _close(view.scope, document, from_form(pages.AnswerForm, typed)),
    )


@post("/invoices/{invoice_id:int}/dispute/closing", permission="documents.edit")
async def close_dispute(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _closing_place(invoice_id),
        lambda: _close(view.scope, document, from_form(pages.AnswerForm, view.typed)),
        to=f"/invoices/{invoice_id}",
        said=_("Dispute closed."),
    )


def _closing_place(invoice_id: int) -> Place:
    field = Field(name="answer", label=_("What came of it"), required=True, max_length=500)
    return _place(invoice_id, "dispute/closing", _("Close the dispute"), field, needs="answer")


async def _close(scope: Scope, document: DocumentDetail, form: pages.AnswerForm) -> ChangePlan:
    await actions.close_dispute(scope, document.id, actions.Closed(answer=form.answer))
    after = await queries.get_document(scope, document.id)
    if after.open_minor == document.open_minor:
        return _plan(document, _("Close the dispute"), _("Close the dispute"), _("goes on"))
    paid = format_money(document.open_minor - after.open_minor, document.currency, scope.locale)
    return _plan(
        document,
        _("Close the dispute"),
        _("Close the dispute"),
        _("goes on") if after.open_minor else _("is over"),
        _("%(amount)s of free credit pay it.", amount=paid),
    )


HANDLERS = (
    show_dunning,
    save_dunning,
    show_new_step,
    add_step,
    show_step,
    change_step,
    show_removal,
    remove_step,
    show_promise,
    promise,
    show_promise_removal,
    withdraw_promise,
    show_dispute,
    dispute,
    show_closing,
    close_dispute,
)
