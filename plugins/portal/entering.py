"""The ways in and out: password, a mailed link to one, the staff in a customer's place; who a session belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.datastructures import Cookie
from litestar.params import FromPath

from core.customers.queries import get_customer
from core.errors import DomainError, Invalid
from core.hooks import PortalPage
from core.staff import queries as staff
from core.texts import _, pgettext
from core.web import doors, sessions
from core.web.doors import Door
from core.web.routing import PUBLIC, SIGNED_IN, get, post
from core.web.throttle import account_of
from core.web.view import View, errors_by_field
from core.web.visit import Person
from plugins.portal import actions, queries
from plugins.portal.schemas import Forgotten, LogIn, NewPassword

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.scope import Scope
    from core.web.sessions import SessionRow
    from core.web.view import PageView
    from plugins.portal.schemas import Entrance, Visit

NAME: Final = "portal"
HOME: Final = "/portal"
LOG_IN: Final = "/portal/login"
CLOSED: Final = "/portal/closed"
STAFF: Final = "/portal/staff"


@dataclass(frozen=True, slots=True)
class _Looks:
    """As the device wants it, in the customer's language."""

    language: str = ""
    theme: str = "auto"
    narrow: bool = False
    time_zone: str = ""


async def _customer(customer_id: int) -> Person | None:
    found = await queries.find_customer(customer_id)
    return _person(found) if found is not None and found.password_hash else None


async def _user(contact_id: int) -> Person | None:
    found = await queries.find_user(contact_id)
    return _person(found) if found is not None and found.password_hash else None


def _person(found: Entrance) -> Person:
    return Person(actions.actor_of(found), _Looks(found.language), found.email, only="" if found.may_log_in else CLOSED)


async def _visit(visit_id: int) -> Person | None:
    """A staff user in a customer's place, as long as it may."""
    found = await queries.find_visit(visit_id)
    known = await staff.find_known(found.staff_id) if found is not None else None
    if found is None or known is None:
        return None
    actor = staff.actor_of(known)
    if not actions.has(actor, actions.LOG_IN_AS):
        return None
    looks = _Looks(known.language)
    return Person(actions.visitor(actor, found.customer_id), looks, only="" if found.may_log_in else CLOSED)


async def _around(scope: Scope, session: SessionRow) -> Mapping[str, Any]:
    """The menu, and in whose place a staff user is there."""
    visit = await queries.find_visit(session.actor_id) if session.actor_kind == actions.VISIT else None
    pages = sorted([*_own_pages(), *await doors.portal_pages(scope)], key=lambda page: page.place)
    return {"portal_pages": pages, "portal_visit": visit, "portal_user": session.actor_kind == actions.USER}


def _own_pages() -> Sequence[PortalPage]:
    return (
        PortalPage(key="home", label=_("Home"), href=HOME, icon="home", place=0),
        PortalPage(key="services", label=_("Services"), href="/portal/services", icon="wifi", place=20),
        PortalPage(key="invoices", label=_("Invoices"), href="/portal/invoices", icon="file-invoice", place=40),
        PortalPage(key="messages", label=_("Messages"), href="/portal/messages", icon="mail", place=60),
        PortalPage(
            key="me", label=pgettext("menu of the portal", "Me"), href="/portal/me", icon="user-circle", place=80
        ),
    )


DOOR: Final = Door(
    log_in=LOG_IN,
    home=HOME,
    people={actions.CUSTOMER: _customer, actions.USER: _user, actions.VISIT: _visit},
    around=_around,
    staff=STAFF,
)


@get(LOG_IN, permission=PUBLIC)
async def show_log_in(view: View) -> Response[str]:
    if view.visit.signed_in:
        return view.go(HOME)
    return view.page("portal/login.html", login="", next=_inside(view.query.get("next", "")), errors={})


@post(LOG_IN, permission=PUBLIC)
async def log_in(view: View) -> Response[str]:
    login, after = "", HOME
    try:
        data = await view.form(LogIn)
        login, after = data.login, _inside(data.next)
        account, address = _account(view, login), _address(view)
        view.visit.limiter.check_log_in(account, address)
        entrance = await actions.check_log_in(login, data.password)
        if entrance is None:
            view.visit.limiter.count_wrong_log_in(account, address)
            raise Invalid(_("This log-in and password do not belong together."))
        view.visit.limiter.forgive_log_in(account, address)
    except DomainError as error:
        return view.page("portal/login.html", status=error.status, login=login, next=after, errors=_said(error))
    return await _let_in(view, entrance, after)


async def _let_in(view: PageView, entrance: Entrance, after: str, toast: str = "") -> Response[str]:
    """A session for this browser under a new id; none for whom the status keeps out."""
    if not entrance.may_log_in:
        return view.page("portal/closed.html", status=403)
    if view.visit.session is not None:
        await sessions.end_session(view.scope, view.visit.session.id)
    token = await actions.begin_session(
        view.scope, entrance, address=_address(view), agent=view.request.headers.get("user-agent", "")
    )
    return _with_session(view, view.go(after, toast), token, int(sessions.LASTS.total_seconds()))


@get(CLOSED, permission=SIGNED_IN, opt={"first": True})
async def show_closed(view: View) -> Response[str]:
    """In the place of every page of a customer who was let in before and may not log in any more."""
    if not view.visit.only:
        return view.go(HOME)
    return view.page("portal/closed.html", status=403)


@post("/portal/logout", permission=SIGNED_IN, opt={"first": True})
async def log_out(view: View) -> Response[str]:
    """Out; the staff back to the customer's page."""
    session, after = view.visit.session, LOG_IN
    visit = await visit_of(view)
    if visit is not None:
        await actions.end_visit(view.scope, visit)
        after = f"/customers/{visit.customer_id}"
    elif session is not None:
        await sessions.end_session(view.scope, session.id)
    response = view.go(after)
    response.delete_cookie(sessions.cookie_name(secure=view.secure, door=NAME), path="/")
    return response


async def visit_of(view: PageView) -> Visit | None:
    """The visit of a staff user, if it is one."""
    session = view.visit.session
    if session is None or session.actor_kind != actions.VISIT:
        return None
    return await queries.find_visit(session.actor_id)


async def entrance_of(view: PageView) -> Entrance | None:
    """Who is logged in: the customer itself or a user of it; None where a staff user is there in its place."""
    session = view.visit.session
    if session is None or session.actor_kind == actions.VISIT:
        return None
    find = queries.find_user if session.actor_kind == actions.USER else queries.find_customer
    return await find(session.actor_id)


@get("/portal/forgot", permission=PUBLIC)
async def show_forgotten(view: View) -> Response[str]:
    return view.page("portal/forgot.html", login="", asked=False, errors={})


@post("/portal/forgot", permission=PUBLIC)
async def ask_for_link(view: View) -> Response[str]:
    """The same answer and the same work whether anybody has the name."""
    login = ""
    try:
        data = await view.form(Forgotten)
        login = data.login.strip()
        if not login:
            raise Invalid(_("Fill this in."), field="login")
        view.visit.limiter.count_asked(_account(view, login), _address(view))
        await actions.ask_for_link(view.scope, login)
    except DomainError as error:
        return view.page("portal/forgot.html", status=error.status, login=login, asked=False, errors=_said(error))
    return view.page("portal/forgot.html", login=login, asked=True, errors={})


@get("/portal/link/{token:str}", permission=PUBLIC)
async def show_link(view: View, token: FromPath[str]) -> Response[str]:
    """The page behind a mailed link. Looking at it does not use it up: mail scanners look too."""
    entrance = await queries.find_by_link(token, view.scope.now())
    if entrance is None:
        return view.page("portal/link_over.html", status=404)
    return view.page("portal/password.html", entrance=entrance, errors={})


@post("/portal/link/{token:str}", permission=PUBLIC)
async def follow_link(view: View, token: FromPath[str]) -> Response[str]:
    entrance = await queries.find_by_link(token, view.scope.now())
    if entrance is None:
        return view.page("portal/link_over.html", status=404)
    try:
        await actions.follow_link(view.scope, token, await view.form(NewPassword))
    except Invalid as error:
        return view.page("portal/password.html", status=422, entrance=entrance, errors=errors_by_field(error))
    return await _let_in(view, entrance, HOME, _("Your password is set."))


@get(f"{STAFF}/customers/{{customer_id:int}}/visit", permission=actions.LOG_IN_AS)
async def offer_visit(view: View, customer_id: FromPath[int]) -> Response[str]:
    """What it means to log in as this customer."""
    return await _offer(view, customer_id)


@post(f"{STAFF}/customers/{{customer_id:int}}/visit", permission=actions.LOG_IN_AS, fresh=True)
async def begin_visit(view: View, customer_id: FromPath[int]) -> Response[str]:
    session = view.visit.session
    assert session is not None, "whoever has the permission here is logged in"
    try:
        token = await actions.begin_visit(
            view.scope,
            customer_id,
            session_id=session.id,
            address=_address(view),
            agent=view.request.headers.get("user-agent", ""),
        )
    except DomainError as error:
        if error.status == 404:
            raise
        return await _offer(view, customer_id, refused=error.message, status=error.status)
    return _with_session(view, view.go(HOME), token, int(actions.VISIT_LASTS.total_seconds()))


async def _offer(view: PageView, customer_id: int, *, refused: str = "", status: int = 200) -> Response[str]:
    customer = await get_customer(view.scope, customer_id)
    entrance = await queries.find_customer(customer_id)
    if entrance is None:
        refused = refused or _("This customer is anonymised: it has no portal any more.")
    elif not entrance.may_log_in:
        refused = refused or _("While it is %(status)s, it may not log in.", status=_(customer.status_label))
    return view.drawer(
        "portal/visit.html",
        page_title=_("Log in as %(name)s", name=customer.full_name),
        back=f"/customers/{customer_id}",
        status=status,
        customer=customer,
        minutes=int(actions.VISIT_LASTS.total_seconds() // 60),
        may_pay=view.scope.may(actions.PAY_AS),
        may_change=view.scope.may("customers.edit"),
        may_pause=view.scope.may("subscriptions.change"),
        refused=refused,
    )


def _account(view: PageView, login: str) -> str:
    return account_of(view.scope.tenant.uuid, f"portal {login}")


def _address(view: PageView) -> str:
    return view.request.client.host if view.request.client else ""


def _said(error: DomainError) -> dict[str, str]:
    return errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}


def _inside(path: str) -> str:
    """Where to go after the log-in: a page of the portal, whatever was asked for."""
    return path if (path == HOME or path.startswith(f"{HOME}/")) and "\\" not in path and path.isprintable() else HOME


def _with_session(view: PageView, response: Response[str], token: str, seconds: int) -> Response[str]:
    response.set_cookie(
        Cookie(
            key=sessions.cookie_name(secure=view.secure, door=NAME),
            value=token,
            httponly=True,
            secure=view.secure,
            samesite="lax",
            max_age=seconds,
        )
    )
    return response


HANDLERS: Final = (
    show_log_in,
    log_in,
    show_closed,
    log_out,
    show_forgotten,
    ask_for_link,
    show_link,
    follow_link,
    offer_visit,
    begin_visit,
)
OPEN_TO_ALL: Final = (
    ("GET", LOG_IN),
    ("POST", LOG_IN),
    ("GET", "/portal/forgot"),
    ("POST", "/portal/forgot"),
    ("GET", "/portal/link/{token:str}"),
    ("POST", "/portal/link/{token:str}"),
)
