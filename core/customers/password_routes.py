"""The password of a customer's portal: set, generated, shown to who may see it; and the operator's settings for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.customers import actions, queries
from core.customers.settings import CustomerSettings
from core.errors import Invalid
from core.hooks import Permission
from core.texts import N_, _
from core.web.routing import delete, get, post
from core.web.settings_pages import declare_settings, form_page
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.web.view import PageView

PERMISSIONS: Final = (Permission(actions.REVEAL, N_("See customers' passwords")),)
SETTINGS: Final = "/settings/customers"


class TypedPassword(Struct, frozen=True, forbid_unknown_fields=True):
    password: Annotated[str, Meta(max_length=200)] = ""


@get("/customers/{customer_id:int}/password", permission="customers.view")
async def show_password(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _password(view, customer_id)


@get("/customers/{customer_id:int}/password/new", permission="customers.edit")
async def new_password(view: View, customer_id: FromPath[int]) -> Response[str]:
    generated = actions.generate_password() if view.query.get("generate") else ""
    return await _drawer(view, customer_id, generated)


@post("/customers/{customer_id:int}/password", permission="customers.edit")
async def set_password(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(TypedPassword)
        await actions.set_password(view.scope, customer_id, data.password)
    except Invalid as error:
        return await _drawer(view, customer_id, "", status=422, errors=errors_by_field(error))
    return await _password(view, customer_id)


@delete("/customers/{customer_id:int}/password", permission="customers.edit")
async def remove_password(view: View, customer_id: FromPath[int]) -> Response[str]:
    await actions.remove_password(view.scope, customer_id)
    return await _password(view, customer_id)


@post("/customers/{customer_id:int}/password/shown", permission=actions.REVEAL, fresh=True)
async def reveal_password(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _password(view, customer_id, await actions.reveal_password(view.scope, customer_id))


async def _password(view: PageView, customer_id: int, shown: str = "") -> Response[str]:
    response = view.page(
        "customers/_password.html",
        customer=await queries.get_customer(view.scope, customer_id),
        shown=shown,
    )
    response.headers["Cache-Control"] = "no-store"
    return response


async def _drawer(
    view: PageView, customer_id: int, generated: str, *, status: int = 200, errors: dict[str, str] | None = None
) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    response = view.drawer(
        "customers/password.html",
        page_title=_("Password of %(name)s", name=customer.full_name),
        status=status,
        customer=customer,
        generated=generated,
        kept=(await queries.customer_settings()).keep_passwords,
        errors=errors or {},
    )
    response.headers["Cache-Control"] = "no-store"
    return response


declare_settings(SETTINGS, CustomerSettings, save=actions.change_customer_settings)


@get(SETTINGS, permission="settings.view")
async def show_settings(view: View) -> Response[str]:
    return await _settings(view)


@post(SETTINGS, permission="settings.edit", fresh=True)
async def save_settings(view: View) -> Response[str]:
    await view.read()
    try:
        await actions.change_customer_settings(view.scope, view.typed)
    except Invalid as error:
        return await _settings(view, errors=errors_by_field(error), status=422)
    return view.go(SETTINGS, _("Saved."))


async def _settings(view: PageView, *, errors: dict[str, str] | None = None, status: int = 200) -> Response[str]:
    return await form_page(
        view,
        CustomerSettings,
        SETTINGS,
        title=N_("Customers"),
        noun=N_("customer settings"),
        write="settings.edit",
        errors=errors,
        status=status,
    )


HANDLERS: Final = (
    show_password,
    new_password,
    set_password,
    remove_password,
    reveal_password,
    show_settings,
    save_settings,
)
