"""Pages of customers: the list, a new one, the page with its sections, tags, status and activity."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from msgspec import structs

from core import hookspecs
from core.activity.live import watch
from core.billing import queries as billing
from core.customers import actions, queries
from core.customers.addresses import split_list
from core.customers.head import head_values
from core.customers.listing import CUSTOMERS
from core.customers.note_routes import note_values
from core.customers.row_routes import ends_of
from core.customers.schemas import NewCustomer, NewTag
from core.customers.sections import LISTS, STRUCTS, new_customer_groups, section_of
from core.customers.sharing import list_sharing, sharing_in_words
from core.customers.timeline import happenings, in_words
from core.database import current
from core.errors import Invalid
from core.hooks import Permission, note_failure
from core.ledger import queries as ledger
from core.messages import queries as messages
from core.texts import N_, _
from core.web.feeds import feed
from core.web.forms import from_form
from core.web.parts import Choice, MenuEntry
from core.web.routing import delete, get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.scope import Scope

PERMISSIONS: Final = (
    Permission("customers.view", N_("See customers")),
    Permission("customers.create", N_("Create and import customers")),
    Permission("customers.edit", N_("Change customers, their status, notes and tags")),
    Permission("customers.notes", N_("Change and delete notes of others")),
)


_TAGS: Final = [column for column in CUSTOMERS.columns if column.key == "tags"]
_OTHERS: Final = [column for column in CUSTOMERS.columns if column.key != "tags"]
_SHOWN: Final = [column.key for column in _OTHERS].index("status") + 1
CUSTOMER_LIST: Final = replace(
    CUSTOMERS,
    # status and balance are seen also where there are many tags
    columns=(*_OTHERS[:_SHOWN], ledger.MAIN_BALANCE, *_TAGS, *_OTHERS[_SHOWN:], billing.OVERDUE),
    select=queries.items_with(has_mail=messages.MAIL_IS_SET_UP),
    ends=ends_of,
    first_views={
        N_("Active"): {"status": "active"},
        N_("Overdue"): {"overdue": "yes"},
        N_("New this month"): {"joined.from": "month", "sort": "-joined"},
    },
)


@get("/customers", permission="customers.view")
async def list_customers(view: View) -> Response[str]:
    buttons = [
        MenuEntry(label=_("Import"), icon="upload", href="/customers/import"),
        MenuEntry(label=_("New customer"), icon="plus", href="/customers/new", key="n"),
    ]
    return await CUSTOMER_LIST.page(view, buttons=buttons if view.scope.may("customers.create") else ())


@get("/customers/new", permission="customers.create")
async def show_new(view: View) -> Response[str]:
    return _new_page(view, {})


@post("/customers", permission="customers.create")
async def create(view: View) -> Response[str]:
    await view.read()
    given = {name: split_list(texts[-1]) if name in LISTS else texts for name, texts in view.typed.items()}
    try:
        customer_id = await actions.create_customer(view.scope, _typed(given))
    except Invalid as error:
        return _new_page(view, errors_by_field(error), status=422)
    made = await queries.get_customer(view.scope, customer_id)
    sharing = await list_sharing(view.scope, made.emails, made.phones, made.country, besides=customer_id)
    return view.go(f"/customers/{customer_id}", " ".join((_("Customer created."), sharing_in_words(sharing))).strip())


def _typed(given: dict[str, list[str]]) -> NewCustomer:
    """What was typed, with or without a name: what else is wrong is told with its lack, not after it."""
    if "".join(given.get("full_name", ())).strip():
        return from_form(NewCustomer, given)
    return structs.replace(from_form(NewCustomer, {**given, "full_name": ["–"]}), full_name="")


def _new_page(view: View, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    tenant = view.scope.tenant
    groups = new_customer_groups(view.scope.locale, tenant.country, tenant.currency)
    return view.page("customers/new.html", status=status, groups=groups, values=view.shown(), errors=errors)


@get("/customers/{customer_id:int}", permission="customers.view")
async def show(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    head = await head_values(view, customer_id, _("General"))
    customer = head["customer"]
    locations = [Choice(str(customer.location_id), customer.location)] if customer.location else []
    shown = await happenings(scope, customer_id=customer_id) if scope.may("activity.view") else []
    last = shown[0].position if shown else 0
    return view.page(
        "customers/page.html",
        **head,
        sections=[section_of(scope, customer, key, locations, editable=scope.may("customers.edit")) for key in STRUCTS],
        warning=None,
        **await note_values(scope, customer_id),
        panels=await _panels(view, customer_id),
        happenings=shown,
        events=f"/customers/{customer_id}/events?after={last}" if scope.may("activity.view") else "",
    )


async def _panels(view: View, customer_id: int) -> list[dict[str, str]]:
    """Cards at the side, from features and plugins; one that fails shows as a card that says so."""
    panels: list[dict[str, str]] = []
    answers = await view.scope.hooks.ask(hookspecs.customer_panels, scope=view.scope, customer_id=customer_id)
    for answer in answers:
        if answer.error is not None:
            panels.append({"plugin": answer.plugin, "title": answer.plugin, "error": answer.error_id})
        for panel in answer.value or ():
            html, error = "", ""
            try:
                html = view.part(panel.template, **panel.values)
            except Exception:  # whatever a plugin's template does, the page stands
                error = note_failure(answer.plugin, panel.template)
            panels.append({"plugin": answer.plugin, "title": panel.title, "html": html, "error": error})
    return panels


@post("/customers/{customer_id:int}/tags", permission="customers.edit")
async def add_tag(view: View, customer_id: FromPath[int]) -> Response[str]:
    data = await view.form(NewTag)
    await actions.add_tag(view.scope, customer_id, data.name)
    return await _tags(view, customer_id)


@delete("/customers/{customer_id:int}/tags/{tag_id:int}", permission="customers.edit")
async def remove_tag(view: View, customer_id: FromPath[int], tag_id: FromPath[int]) -> Response[str]:
    await actions.remove_tag(view.scope, customer_id, tag_id)
    return await _tags(view, customer_id)


async def _tags(view: View, customer_id: int) -> Response[str]:
    return view.page(
        "customers/_tags.html",
        customer=await queries.get_customer(view.scope, customer_id),
        tags=await queries.list_customer_tags(customer_id),
        may_edit=True,
        changed=True,
    )


@get("/customers/{customer_id:int}/activity", permission="activity.view")
async def show_activity(view: View, customer_id: FromPath[int]) -> Response[str]:
    found = await happenings(
        view.scope, customer_id=customer_id, before=_position(view.query.get("before", "")), limit=51
    )
    older = f"/customers/{customer_id}/activity?before={found[49].position}" if len(found) > 50 else ""
    return view.page(
        "customers/activity.html",
        **await head_values(view, customer_id, _("Activity")),
        happenings=found[:50],
        events="",
        older=older,
    )


@get("/customers/{customer_id:int}/events", permission="activity.view")
async def stream_activity(view: View, customer_id: FromPath[int]) -> ServerSentEvent:
    """The live activity: one unnamed message for each new line."""
    await queries.get_customer(view.scope, customer_id)
    return feed(_lines(view, view.scope, customer_id, _position(view.query.get("after", ""))))


def _position(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


async def _lines(view: View, scope: Scope, customer_id: int, after: int | None) -> AsyncIterator[str]:
    database = current()
    async for entry in watch(scope, customer_id=customer_id, after=after, database=database):
        with_words = await in_words(scope, [entry], leading=True)
        yield view.part("_partials/happening.html", happening=with_words[0])


HANDLERS = (
    list_customers,
    show_new,
    create,
    show,
    add_tag,
    remove_tag,
    show_activity,
    stream_activity,
)
