"""The tab Users of a customer: those who may log in to the portal, and contacts who get documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import timeline
from core.customers import actions, queries
from core.customers.contact_pages import conflict_of, fields_of, section_of
from core.customers.head import head_values
from core.customers.schemas import ContactChange, ContactFields, UserChange, UserFields
from core.customers.timeline import in_words
from core.errors import Invalid, Stale
from core.texts import _
from core.web.routing import delete, get, post, put
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.web.view import PageView


@get("/customers/{customer_id:int}/contacts", permission="customers.view")
async def show_people(view: View, customer_id: FromPath[int]) -> Response[str]:
    head = await head_values(view, customer_id, _("Users"))
    return await _people(view, customer_id, template="customers/people.html", head=head)


@post("/customers/{customer_id:int}/users", permission="customers.edit")
async def add_user(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        await actions.add_user(view.scope, customer_id, await view.form(UserFields))
    except Invalid as error:
        return await _people(view, customer_id, status=422, adding="user", errors=errors_by_field(error))
    return await _changed(view, customer_id)


@post("/customers/{customer_id:int}/contacts", permission="customers.edit")
async def add_contact(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        await actions.add_contact(view.scope, customer_id, await view.form(ContactFields))
    except Invalid as error:
        return await _people(view, customer_id, status=422, adding="contact", errors=errors_by_field(error))
    return await _changed(view, customer_id)


async def _changed(view: PageView, customer_id: int) -> Response[str]:
    """There is one more or less, which the tab counts."""
    head = {**await head_values(view, customer_id, _("Users")), "inside": "customers/_people.html"}
    return await _people(view, customer_id, template="customers/renewed.html", head=head)


async def _people(
    view: PageView,
    customer_id: int,
    *,
    template: str = "customers/_people.html",
    status: int = 200,
    head: dict[str, Any] | None = None,
    adding: str = "",
    errors: dict[str, str] | None = None,
) -> Response[str]:
    scope = view.scope
    found = await queries.list_contacts(scope, customer_id)
    customer = head["customer"] if head else await queries.get_customer(scope, customer_id)
    may_edit = scope.may("customers.edit") and customer.anonymised_at is None
    given = head or {"customer": customer, "may_edit": may_edit}
    return view.page(
        template,
        status=status,
        **given,
        users=[section_of(customer_id, one, editable=may_edit) for one in found if one.is_user],
        contacts=[section_of(customer_id, one, editable=may_edit) for one in found if not one.is_user],
        user_fields=fields_of(None, is_user=True),
        contact_fields=fields_of(None, is_user=False),
        adding=adding,
        values=view.shown() if adding else {},
        errors=errors or {},
    )


@get("/customers/{customer_id:int}/contacts/{contact_id:int}", permission="customers.view")
async def show_person(view: View, customer_id: FromPath[int], contact_id: FromPath[int]) -> Response[str]:
    return await _person(view, customer_id, contact_id)


@get("/customers/{customer_id:int}/contacts/{contact_id:int}/edit", permission="customers.edit")
async def edit_person(view: View, customer_id: FromPath[int], contact_id: FromPath[int]) -> Response[str]:
    return await _person(view, customer_id, contact_id, editing=True)


@put("/customers/{customer_id:int}/contacts/{contact_id:int}", permission="customers.edit")
async def save_person(view: View, customer_id: FromPath[int], contact_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    now = await queries.get_contact(scope, customer_id, contact_id)
    try:
        if now.is_user:
            user = await view.form(UserChange)
            await actions.change_user(
                scope, customer_id, contact_id, user, version=user.version, change_email=user.change_email
            )
        else:
            contact = await view.form(ContactChange)
            await actions.change_contact(scope, customer_id, contact_id, contact, version=contact.version)
    except Invalid as error:
        return await _person(view, customer_id, contact_id, editing=True, status=422, errors=errors_by_field(error))
    except Stale as error:
        return await _person(view, customer_id, contact_id, editing=True, status=409, stale=error)
    return await _person(view, customer_id, contact_id)


@delete("/customers/{customer_id:int}/contacts/{contact_id:int}", permission="customers.edit")
async def remove_person(view: View, customer_id: FromPath[int], contact_id: FromPath[int]) -> Response[str]:
    await actions.remove_contact(view.scope, customer_id, contact_id)
    return await _changed(view, customer_id)


async def _person(
    view: PageView,
    customer_id: int,
    contact_id: int,
    *,
    editing: bool = False,
    status: int = 200,
    errors: dict[str, str] | None = None,
    stale: Stale | None = None,
) -> Response[str]:
    scope = view.scope
    person = await queries.get_contact(scope, customer_id, contact_id)
    conflict, typed = None, {name: texts[-1] for name, texts in view.typed.items() if texts}
    if stale is not None:
        latest = await in_words(scope, await timeline(scope, subject=("contact", contact_id), limit=1))
        conflict = conflict_of(stale, latest[0].by if latest else _("Somebody else"), latest[0].at if latest else None)
        typed = {name: text for name, text in typed.items() if name not in stale.fields}
    return view.page(
        "_partials/section.html",
        status=status,
        section=section_of(customer_id, person, editable=scope.may("customers.edit")),
        editing=editing,
        values=typed if editing else {},
        errors=errors or {},
        conflict=conflict,
    )


HANDLERS = (
    show_people,
    add_user,
    add_contact,
    show_person,
    edit_person,
    save_person,
    remove_person,
)
