"""The ways in: password, second factor, passkey; the link to a password, asked for and followed; proving it again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from litestar import Response
from litestar.datastructures import Cookie
from litestar.params import FromPath

from core.errors import Conflict, DomainError, Invalid
from core.staff import actions, passkeys, queries, second_factors
from core.staff.schemas import Confirmed, Forgotten, LogIn, NewPassword, PasskeyAnswer, SecondStep
from core.texts import _
from core.web import sessions
from core.web.routing import PUBLIC, SIGNED_IN, get, post
from core.web.throttle import account_of
from core.web.view import PageView, View, errors_by_field

if TYPE_CHECKING:
    from core.staff.queries import Known

SECOND_STEP = "/login/second"
SET_UP = "/profile/second-factor"


@get("/login", permission=PUBLIC)
async def show_log_in(view: View) -> Response[str]:
    if view.visit.signed_in:
        return view.go("/")
    return view.page("login.html", email="", next=_inside(view.query.get("next", "")), errors={})


@post("/login", permission=PUBLIC)
async def log_in(view: View) -> Response[str]:
    email, after = "", "/"
    try:
        data = await view.form(LogIn)
        email, after = data.email, _inside(data.next)
        account, address = _account(view, email), address_of(view)
        view.visit.limiter.check_log_in(account, address)
        known = await actions.check_log_in(email, data.password)
        if known is None:
            view.visit.limiter.count_wrong_log_in(account, address)
            raise Invalid(_("This e-mail address and password do not belong together."))
        view.visit.limiter.forgive_log_in(account, address)
    except DomainError as error:
        return view.page("login.html", status=error.status, email=email, next=after, errors=_said(error))
    return await _let_in(view, known, after)


async def _let_in(view: PageView, known: Known, after: str) -> Response[str]:
    """Whoever knows the password is in, unless a second factor has to be shown, or set up."""
    if known.has_second_factor:
        return await _half_way(view, known, actions.HALF, f"{SECOND_STEP}?next={quote(after, safe='/')}")
    if await second_factors.is_required(view.scope, known):
        return await _half_way(view, known, actions.NEWCOMER, SET_UP)
    return await enter(view, known, after)


async def _half_way(view: PageView, known: Known, kind: str, path: str) -> Response[str]:
    scope = view.scope.as_actor(queries.actor_of(known))
    token = await actions.begin_half_session(
        scope, kind, known.id, address=address_of(view), agent=view.request.headers.get("user-agent", "")
    )
    return _with_session(view, view.go(path), token)


async def enter(view: PageView, known: Known, after: str, toast: str = "") -> Response[str]:
    """A session for this browser, under a new id."""
    scope = view.scope.as_actor(queries.actor_of(known))
    if view.visit.session is not None:
        await sessions.end_session(scope, view.visit.session.id)
    token = await actions.begin_staff_session(
        scope, known.id, address=address_of(view), agent=view.request.headers.get("user-agent", "")
    )
    return _with_session(view, view.go(after, toast), token)


@get(SECOND_STEP, permission=PUBLIC)
async def show_second_step(view: View) -> Response[str]:
    half = await _half_session(view)
    if half is None:
        return view.go("/login")
    return _second_page(view, half[1], _inside(view.query.get("next", "")), {})


@post(SECOND_STEP, permission=PUBLIC)
async def take_second_step(view: View) -> Response[str]:
    """A code of the app, or a recovery code, of somebody whose password was right."""
    half = await _half_session(view)
    if half is None:
        return view.go("/login")
    session, known = half
    after = "/"
    try:
        data = await view.form(SecondStep)
        after = _inside(data.next)
        account, address = _account(view, f"code {known.email}"), address_of(view)
        view.visit.limiter.check_log_in(account, address)
        if not await second_factors.take_code(view.scope.as_actor(queries.actor_of(known)), known, data.code):
            view.visit.limiter.count_wrong_log_in(account, address)
            raise Invalid(_("This code does not fit, or was used already. Wait for the next one."), field="code")
        view.visit.limiter.forgive_log_in(account, address)
    except DomainError as error:
        return _second_page(view, known, after, _said(error), status=error.status)
    await sessions.end_session(view.scope, session.id)
    return await enter(view, known, after)


def _second_page(
    view: PageView, known: Known, after: str, errors: dict[str, str], *, status: int = 200
) -> Response[str]:
    return view.page(
        "staff/second_step.html",
        status=status,
        next=after,
        errors=errors,
        has_app=bool(known.totp_sealed),
        has_passkey=known.passkeys > 0,
    )


async def _half_session(view: PageView) -> tuple[sessions.SessionRow, Known] | None:
    """Whose password was right in this browser a moment ago."""
    token = sessions.token_in(view.request.headers.get("cookie", ""), secure=view.secure)
    found = await queries.find_by_session(token, view.scope.now()) if token else None
    return found if found is not None and found[0].actor_kind == actions.HALF else None


@post("/login/passkey/options", permission=PUBLIC)
async def offer_log_in(view: View) -> Response[str]:
    """What the browser is to have signed: by any passkey of this site, or by one of whoever is half way in."""
    view.visit.limiter.count_asked("", address_of(view))
    half = await _half_session(view)
    options = await passkeys.offer_log_in(view.scope, half[1].id if half is not None else None)
    return Response(options, media_type="application/json")


@post("/login/passkey", permission=PUBLIC)
async def log_in_by_passkey(view: View) -> Response[str]:
    """A passkey opens without a password: it is two factors in one, a device and who may open it."""
    after = "/"
    half = await _half_session(view)
    try:
        data = await view.form(PasskeyAnswer)
        after = _inside(data.next)
        view.visit.limiter.check_log_in(_account(view, "passkey"), address_of(view))
        known = await passkeys.check_passkey(view.scope, data.credential)
        if known is None or (half is not None and half[1].id != known.id):
            view.visit.limiter.count_wrong_log_in("", address_of(view))
            raise Invalid(_("This passkey opens nothing here. Use another way to log in."))
    except DomainError as error:
        if half is not None:
            return _second_page(view, half[1], after, _said(error), status=error.status)
        return view.page("login.html", status=error.status, email="", next=after, errors=_said(error))
    if half is not None:
        await sessions.end_session(view.scope, half[0].id)
    return await enter(view, known, after)


@post("/logout", permission=SIGNED_IN, opt={"first": True})
async def log_out(view: View) -> Response[str]:
    if view.visit.session is not None:
        await actions.end_staff_session(view.scope, view.visit.session.id)
    response = view.go("/login")
    response.delete_cookie(sessions.cookie_name(secure=view.secure), path="/")
    return response


@get("/forgot", permission=PUBLIC)
async def show_forgotten(view: View) -> Response[str]:
    return view.page("staff/forgot.html", email="", asked=False, errors={})


@post("/forgot", permission=PUBLIC)
async def ask_for_link(view: View) -> Response[str]:
    """The same answer and the same work whether anybody has the address."""
    email = ""
    try:
        data = await view.form(Forgotten)
        email = actions.email_of(data.email)
        view.visit.limiter.count_asked(_account(view, email), address_of(view))
        await actions.ask_for_link(view.scope, email)
    except DomainError as error:
        typed = view.typed.get("email", [""])[-1]
        return view.page(
            "staff/forgot.html", status=error.status, email=email or typed, asked=False, errors=_said(error)
        )
    return view.page("staff/forgot.html", email=email, asked=True, errors={})


@get("/welcome/{token:str}", permission=PUBLIC)
async def show_welcome(view: View, token: FromPath[str]) -> Response[str]:
    """The page behind a one-time link. Looking at it does not use it up: mail scanners look too."""
    link = await queries.find_link(token, view.scope.now())
    if link is None:
        return view.page("staff/link_over.html", status=404)
    return view.page("first_run.html", link=link, token=token, errors={})


@post("/welcome/{token:str}", permission=PUBLIC)
async def set_first_password(view: View, token: FromPath[str]) -> Response[str]:
    link = await queries.find_link(token, view.scope.now())
    if link is None:
        return view.page("staff/link_over.html", status=404)
    try:
        data = await view.form(NewPassword)
        staff_id = await actions.set_password(view.scope, token, data.password, data.repeated)
    except Invalid as error:
        return view.page("first_run.html", status=422, link=link, token=token, errors=errors_by_field(error))
    known = await queries.find_known(staff_id)
    if known is None:
        raise Conflict(_("This user may not log in any more. Ask your administrator."))
    return await _let_in(view, known, "/")


@get("/confirm", permission=SIGNED_IN, opt={"first": True})
async def show_confirm(view: View) -> Response[str]:
    """Asks for a proof of who it is, then leads back."""
    after = _inside(view.query.get("next", ""))
    return view.page("confirm.html", action="/confirm", fields=[("next", after)], error="")


@post("/confirm", permission=SIGNED_IN, fresh=True, opt={"first": True})
async def confirm(view: View) -> Response[str]:
    return view.go(_inside((await view.form(Confirmed)).next))


def _account(view: PageView, email: str) -> str:
    return account_of(view.scope.tenant.uuid, email)


def address_of(view: PageView) -> str:
    return view.request.client.host if view.request.client else ""


def _said(error: DomainError) -> dict[str, str]:
    return errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}


def _inside(path: str) -> str:
    """Where to go after the log-in: a path of this host, whatever was asked for. Browsers take a backslash for a slash
    and leave control characters out."""
    inside = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if inside else "/"


def _with_session(view: PageView, response: Response[str], token: str) -> Response[str]:
    response.set_cookie(
        Cookie(
            key=sessions.cookie_name(secure=view.secure),
            value=token,
            httponly=True,
            secure=view.secure,
            samesite="lax",
            max_age=int(sessions.LASTS.total_seconds()),
        )
    )
    return response


HANDLERS = (
    show_log_in,
    log_in,
    show_second_step,
    take_second_step,
    offer_log_in,
    log_in_by_passkey,
    log_out,
    show_forgotten,
    ask_for_link,
    show_welcome,
    set_first_password,
    show_confirm,
    confirm,
)
