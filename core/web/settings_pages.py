"""Pages of settings: a form for each struct of settings, the core's and the plugins'."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from core.errors import Invalid
from core.hooks import Permission
from core.settings.actions import save_form
from core.settings.company import CompanySettings
from core.settings.fields import FieldSpec, describe
from core.settings.offers import offered_to
from core.settings.queries import form_values
from core.texts import N_, _, locale_now
from core.web.choices import offered
from core.web.parts import Choice, Field, FieldGroup
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.scope import Scope
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("settings.view", N_("See the settings")),
    Permission("settings.edit", N_("Change the settings")),
    Permission("settings.plugins", N_("Switch plugins on and off")),
)

_KINDS: Final = {
    "long": "textarea",
    "list": "textarea",
    "integer": "number",
    "switch": "check",
    "choice": "select",
    "date": "date",
    "time": "time",
    "secret": "secret",
}


Saver = Callable[["Scope", Mapping[str, str | Sequence[str]]], Awaitable[object]]


class Declared(Struct, frozen=True):
    """Settings that a page has, for the API: `save` takes what was typed, as the page's form sends it; `everyone`:
    whoever sees only some of the customers neither reads nor changes them."""

    struct: type[Struct]
    read: str
    write: str
    save: Saver
    everyone: bool = False


_DECLARED: dict[str, Declared] = {}


def declared() -> Mapping[str, Declared]:
    """By the last part of their page's address."""
    return _DECLARED


def declare_settings(
    path: str,
    struct: type[Struct],
    *,
    read: str = "settings.view",
    write: str = "settings.edit",
    save: Saver | None = None,
    everyone: bool = False,
) -> None:
    """Let the API read and change what this page shows, too."""

    async def as_form(scope: Scope, typed: Mapping[str, str | Sequence[str]]) -> object:
        return await save_form(scope, struct, typed)

    _DECLARED[path.rpartition("/")[2]] = Declared(struct, read, write, save or as_form, everyone)


def settings_form(
    struct: type[Struct],
    path: str,
    *,
    title: str,
    noun: str,
    read: str = "settings.view",
    write: str = "settings.edit",
    fresh: bool = False,
) -> tuple[HTTPRouteHandler, HTTPRouteHandler]:
    """GET and POST of a page that shows and saves one struct of settings; `fresh`: who saves proves who it is. The API
    has them as well."""
    declare_settings(path, struct, read=read, write=write)

    @get(path, permission=read)
    async def show(view: View) -> Response[str]:
        return await form_page(view, struct, path, title=title, noun=noun, write=write)

    @post(path, permission=write, fresh=fresh)
    async def save(view: View) -> Response[str]:
        await view.read()
        try:
            await save_form(view.scope, struct, view.typed)
        except Invalid as error:
            return await form_page(
                view, struct, path, title=title, noun=noun, write=write, errors=errors_by_field(error), status=422
            )
        return view.go(path, _("Saved."))

    return show, save


async def form_page(
    view: PageView,
    struct: type[Struct],
    path: str,
    *,
    title: str,
    noun: str,
    write: str,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
    template: str = "settings/form.html",
    **more: Any,
) -> Response[str]:
    """The form of a struct of settings with its stored values, or with what was typed beside its errors."""
    stored = await form_values(struct)
    return view.page(
        template,
        status=status,
        title=_(title),
        noun=_(noun),
        action=path,
        groups=groups_of(struct, stored, _(title), await offered_to(struct)),
        values=view.shown(**{name: text_of(each) for name, each in stored.items()}),
        errors=errors or {},
        may_change=view.scope.may(write),
        saved=False,
        **more,
    )


def groups_of(
    struct: type[Struct],
    stored: Mapping[str, Any],
    title: str,
    offers: Mapping[str, Sequence[tuple[str, str]]],
) -> list[FieldGroup]:
    """One group of all fields; `offers`: see `offered_to`."""
    fields = [_field(spec, stored[spec.name], offers.get(spec.name)) for spec in describe(struct)]
    return [FieldGroup(key="all", title=title, fields=fields)]


def _field(spec: FieldSpec, stored: object, offer: Sequence[tuple[str, str]] | None) -> Field:
    choices: Sequence[Choice] = [Choice(value, _(label)) for value, label in spec.choices]
    if offer is not None:
        choices = [Choice(value, _(label)) for value, label in offer]
    elif spec.offered:
        choices = offered(spec.offered, locale_now(), text_of(stored))
    return Field(
        name=spec.name,
        label=_(spec.label),
        value=text_of(stored),
        kind="select" if spec.offered else _KINDS.get(spec.kind, "text"),
        help=_(spec.help) if spec.help else "",
        choices=choices,
        required=spec.required,
        max_length=spec.max_length or 0,
        wide=spec.kind in ("long", "list"),
    )


def text_of(stored: object) -> str:
    """A stored value as its control holds it; a secret only as that there is one."""
    if stored is None or stored is False:
        return ""
    if stored is True:
        return "yes"
    if isinstance(stored, Sequence) and not isinstance(stored, str):
        return "\n".join(map(str, stored))
    return str(stored)


@get("/settings", permission="settings.view")
async def show_settings(view: View) -> Response[str]:
    return view.go("/settings/company")


show_company, save_company = settings_form(
    CompanySettings, "/settings/company", title=N_("Company"), noun=N_("company data"), fresh=True
)
"""Links in mails lead to the address that stands here."""

HANDLERS = (show_settings, show_company, save_company)
