"""The sections of a customer's page: read, edited and saved one by one, or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Response
from litestar.params import FromPath

from core import hookspecs
from core.activity.queries import timeline
from core.customers import actions, queries
from core.customers.addresses import split_list
from core.customers.head import head_values
from core.customers.sections import STRUCTS, conflict_of, fields_of, section_of, typed_all, typed_section
from core.customers.sharing import TOLD, list_sharing, sharing_in_words
from core.customers.timeline import in_words
from core.errors import Invalid, NotFound, Stale
from core.texts import _
from core.web.changes import rehearse
from core.web.parts import Choice
from core.web.routing import get, post, put
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.web.parts import Conflict, Section
    from core.web.view import PageView

SAVED = ("customer_changed", "customer_status_changed")
"""Facts after which a version is another one."""


@get("/customers/{customer_id:int}/sections", permission="customers.view")
async def show_sections(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _all_page(view, customer_id)


@get("/customers/{customer_id:int}/sections/edit", permission="customers.edit")
async def edit_sections(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _all_page(view, customer_id, editing=True)


@put("/customers/{customer_id:int}/sections", permission="customers.edit")
async def save_sections(view: View, customer_id: FromPath[int]) -> Response[str]:
    """All of them or none."""
    await view.read()
    try:
        version, seen = _version(view), _seen(view)
        now = await queries.get_customer(view.scope, customer_id)
        sections = typed_all(view.typed, now.currency, view.scope.locale)
        await actions.change_sections(view.scope, customer_id, sections, version=version, seen=seen)
    except Invalid as error:
        return await _all_page(view, customer_id, editing=True, status=422, errors=errors_by_field(error))
    except Stale as error:
        return await _all_page(view, customer_id, editing=True, status=409, stale=error)
    head = await head_values(view, customer_id, _("General"))
    return await _all_page(view, customer_id, head={**head, "said": await _newly_shared(view, head["customer"])})


@get("/customers/{customer_id:int}/sections/{key:str}", permission="customers.view")
async def show_section(view: View, customer_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    return await _section_page(view, customer_id, key)


@get("/customers/{customer_id:int}/sections/{key:str}/edit", permission="customers.edit")
async def edit_section(view: View, customer_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    return await _section_page(view, customer_id, key, editing=True)


@put("/customers/{customer_id:int}/sections/{key:str}", permission="customers.edit")
async def save_section(view: View, customer_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    _check_key(key)
    await view.read()
    try:
        now = await queries.get_customer(view.scope, customer_id)
        data = typed_section(key, view.typed, now.currency, view.scope.locale)
        await actions.change_customer(view.scope, customer_id, data, version=_version(view), seen=_seen(view))
    except Invalid as error:
        return await _section_page(view, customer_id, key, editing=True, status=422, errors=errors_by_field(error))
    except Stale as error:
        return await _section_page(view, customer_id, key, editing=True, status=409, stale=error)
    head = await head_values(view, customer_id, _("General"))
    section = section_of(view.scope, head["customer"], key, await _locations(), editable=True)
    return view.page("customers/saved.html", **head, section=section, said=await _newly_shared(view, head["customer"]))


async def _newly_shared(view: PageView, customer: CustomerDetail) -> str:
    """Who else has the e-mails and phones that it did not have when the form was opened."""
    if "emails" not in view.typed:
        return ""
    before = _seen(view) or {}
    emails, phones = (
        [one for one in getattr(customer, name) if one not in before.get(name, ())] for name in ("emails", "phones")
    )
    found = await list_sharing(view.scope, emails, phones, customer.country, besides=customer.id)
    return sharing_in_words(found)


@post("/customers/shared", permission="customers.view")
async def show_sharing(view: View) -> Response[str]:
    """Who else has what is typed into the form of a customer, as a hint in it."""
    await view.read()
    emails, phones, country = (view.typed.get(name, [""])[-1] for name in ("emails", "phones", "country"))
    number, given = view.query.get("besides", ""), dict[str, Any]()
    besides = int(number) if number.isdecimal() and len(number) < 19 else 0
    if besides:
        customer = await queries.get_customer(view.scope, besides)
        given, country = {"customer": customer}, country or customer.country
    found = await list_sharing(view.scope, split_list(emails), split_list(phones), country, besides=besides)
    return view.page("customers/_shared.html", **given, sharing=found[:TOLD], more=len(found) > TOLD)


def _check_key(key: str) -> None:
    if key not in STRUCTS:
        raise NotFound(f"section {key}")


def _version(view: PageView) -> int:
    try:
        return int(view.typed.get("version", ["0"])[-1])
    except ValueError:
        raise Invalid(_("Load the page again."), field="version") from None


def _seen(view: PageView) -> dict[str, Any] | None:
    text = view.typed.get("seen", [""])[-1]
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Invalid(_("Load the page again."), field="seen") from None


async def _section_page(
    view: PageView,
    customer_id: int,
    key: str,
    *,
    editing: bool = False,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    stale: Stale | None = None,
) -> Response[str]:
    _check_key(key)
    customer = await queries.get_customer(view.scope, customer_id)
    locations, refused = await _choices(view.scope, customer, editing=editing)
    return view.page(
        "_partials/section.html",
        status=status,
        customer=customer,
        section=_section(view.scope, customer, key, locations, refused),
        editing=editing,
        values=_kept(view, STRUCTS[key].__struct_fields__, stale),
        errors=errors or {},
        conflict=await _conflict(view.scope, customer, (key,), locations, stale) if stale is not None else None,
    )


async def _all_page(
    view: PageView,
    customer_id: int,
    *,
    editing: bool = False,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    stale: Stale | None = None,
    head: Mapping[str, Any] | None = None,
) -> Response[str]:
    """All sections in one form, or as they are read; with `head` that is renewed beside them."""
    scope = view.scope
    customer = head["customer"] if head is not None else await queries.get_customer(scope, customer_id)
    locations, refused = await _choices(scope, customer, editing=editing)
    sections = [_section(scope, customer, key, locations, refused) for key in STRUCTS]
    names = [name for struct in STRUCTS.values() for name in struct.__struct_fields__]
    given = {**head} if head is not None else {"customer": customer, "may_edit": scope.may("customers.edit")}
    values = _kept(view, names, stale) if editing else {}
    read = values if errors else {}
    return view.page(
        "customers/_sections_edit.html" if editing else "customers/saved_all.html",
        status=status,
        **given,
        sections=sections,
        with_head=head is not None,
        version=read.get("version", customer.version),
        seen=read.get("seen", _seen_of(customer, names)),
        values=values,
        errors=errors or {},
        labels={field.name: f"{one.title}, {field.label}" for one in sections for field in one.fields},
        conflict=await _conflict(scope, customer, tuple(STRUCTS), locations, stale) if stale is not None else None,
    )


def _section(scope: Scope, customer: CustomerDetail, key: str, locations: list[Choice], refused: str) -> Section:
    editable = scope.may("customers.edit")
    return section_of(scope, customer, key, locations, editable=editable, currency_refused=refused)


def _seen_of(customer: CustomerDetail, names: list[str]) -> str:
    return msgspec.json.encode({name: getattr(customer, name) for name in names}).decode()


def _kept(view: PageView, names: Any, stale: Stale | None) -> dict[str, str]:
    """What was typed, by name, and what it was typed against; of fields that differ somebody else's value stands until
    one of both is chosen, and so does what somebody else alone changed."""
    theirs: frozenset[str] = frozenset()
    if stale is not None:
        theirs = frozenset(stale.fields) | stale.merged
    known = {*names, "version", "seen"}
    return {name: texts[-1] for name, texts in view.typed.items() if name in known and name not in theirs}


async def _conflict(
    scope: Scope, customer: CustomerDetail, keys: tuple[str, ...], locations: list[Choice], stale: Stale
) -> Conflict:
    """Who saved first, and both values of each field that differs."""
    latest = await timeline(scope, customer_id=customer.id, kinds=SAVED, limit=1)
    told = await in_words(scope, latest)
    by, at = (told[0].by, told[0].at) if told else (_("Somebody else"), None)
    fields = [one for key in keys for one in fields_of(scope, customer, key, locations)]
    return conflict_of(stale, fields, customer.currency, by, at)


async def _choices(scope: Scope, customer: CustomerDetail, *, editing: bool) -> tuple[list[Choice], str]:
    """The locations to choose from, and why another currency is none of the choices."""
    if not editing:
        return await _locations(), ""
    found, refused = await queries.locations_and_lock(scope, customer.id)
    if not refused and scope.hooks.implementers(hookspecs.validate_customer_currency_change):
        refused = await rehearse(scope, lambda: actions.currency_refusal(scope, customer, customer.currency))
    return [Choice(str(one.id), one.name) for one in found], refused


async def _locations() -> list[Choice]:
    return [Choice(str(location.id), location.name) for location in await queries.list_locations()]


HANDLERS = (
    show_sections,
    edit_sections,
    save_sections,
    show_section,
    edit_section,
    save_section,
    show_sharing,
)
