"""One's own account: profile, password, second factor, passkeys, sessions."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import segno
from litestar import Response
from litestar.params import FromPath
from markupsafe import Markup

from core.errors import Conflict, Invalid
from core.staff import account, actions, passkeys, queries, second_factors
from core.staff.log_in_routes import SET_UP, address_of, enter
from core.staff.schemas import AS_ASKED, AppCode, NewPasskey, OwnPassword, OwnProfile, PasskeyName, Preferences
from core.staff.zones import TIME_ZONES
from core.texts import LANGUAGES, _, ngettext
from core.web import sessions
from core.web.routing import SIGNED_IN, delete, get, post
from core.web.throttle import account_of
from core.web.view import PageView, View, errors_by_field

if TYPE_CHECKING:
    from core.staff.queries import Known
    from core.staff.second_factors import NewSecret

FIRST = {"first": True}
"""Open to whoever has to set a second factor up before anything else."""


@get("/profile", permission=SIGNED_IN)
async def show_profile(view: View) -> Response[str]:
    return await _profile_page(view, {})


@post("/profile", permission=SIGNED_IN)
async def change_profile(view: View) -> Response[str]:
    try:
        await account.change_profile(view.scope, await view.form(OwnProfile))
    except Invalid as error:
        return await _profile_page(view, errors_by_field(error), status=422)
    return view.go("/profile", _("Profile saved."))


@post("/profile/preferences", permission=SIGNED_IN)
async def set_preferences(view: View) -> Response[str]:
    data = await view.form(Preferences)
    await actions.set_preferences(view.scope, theme=data.theme, narrow=data.narrow, language=data.language)
    if data.language:
        return view.go("/profile")
    return Response("", status_code=204, media_type="text/html")


@get("/profile/password", permission=SIGNED_IN)
async def show_password(view: View) -> Response[str]:
    return view.page("staff/password.html", errors={}, email=(await account.get_own(view.scope)).email)


@post("/profile/password", permission=SIGNED_IN)
async def change_password(view: View) -> Response[str]:
    """Wrong tries of the present one count as wrong tries to log in."""
    known = await account.get_own(view.scope)
    key, address = account_of(view.scope.tenant.uuid, view.visit.email), address_of(view)
    try:
        data = await view.form(OwnPassword)
        view.visit.limiter.check_log_in(key, address)
        await account.change_password(view.scope, data)
    except Invalid as error:
        errors = errors_by_field(error)
        if "current" in errors:
            view.visit.limiter.count_wrong_log_in(key, address)
        return view.page("staff/password.html", status=422, errors=errors, email=known.email)
    view.visit.limiter.forgive_log_in(key, address)
    return await enter(view, known, "/profile", _("Password changed. Everywhere else you are logged out."))


@delete("/profile/sessions/{session_id:int}", permission=SIGNED_IN)
async def end_own_session(view: View, session_id: FromPath[int]) -> Response[str]:
    await account.end_own(view.scope, session_id)
    return view.go("/profile", _("Session ended."))


@post("/profile/sessions/ending", permission=SIGNED_IN)
async def end_other_sessions(view: View) -> Response[str]:
    ended = await account.end_others(view.scope, view.visit.session.id if view.visit.session else 0)
    return view.go("/profile", ngettext("%(num)s other session ended.", "%(num)s other sessions ended.", ended))


async def _profile_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    known = await account.get_own(view.scope)
    return view.page(
        "staff/profile.html",
        status=status,
        values=view.shown(name=known.name, time_zone=known.time_zone),
        errors=errors,
        email=known.email,
        zones=[("", _("As the company: %(zone)s", zone=view.scope.tenant.time_zone)), *((z, z) for z in TIME_ZONES)],
        has_app=bool(known.totp_sealed),
        passkeys=known.passkeys,
        codes_left=await second_factors.count_recovery_codes(known.id),
        sessions=await sessions.list_sessions(actions.FULL, known.id, view.scope.now()),
        current=view.visit.session.id if view.visit.session else 0,
        languages=LANGUAGES,
        chosen=view.visit.looks.language or AS_ASKED,
    )


@get(SET_UP, permission=SIGNED_IN, opt=FIRST)
async def show_second_factor(view: View) -> Response[str]:
    return await _second_page(view, {})


@post(f"{SET_UP}/app", permission=SIGNED_IN, fresh=True, opt=FIRST)
async def set_app(view: View) -> Response[str]:
    """The app is proven to have the secret by a code. Recovery codes are shown next, once."""
    known = await account.get_own(view.scope)
    try:
        data = await view.form(AppCode)
        codes = await second_factors.set_app(view.scope, data.sealed, data.code)
    except Invalid as error:
        return await _second_page(view, errors_by_field(error), status=422)
    return await _shown_once(view, known, codes, _("The app is set up"))


@post(f"{SET_UP}/app/removal", permission=SIGNED_IN, fresh=True)
async def remove_app(view: View) -> Response[str]:
    known = await account.get_own(view.scope)
    try:
        await second_factors.remove_app(view.scope)
    except Conflict as error:
        return await _second_page(view, {"": error.message}, status=409)
    return await enter(view, known, SET_UP, _("The app is removed."))


@post(f"{SET_UP}/codes", permission=SIGNED_IN, fresh=True)
async def make_recovery_codes(view: View) -> Response[str]:
    known = await account.get_own(view.scope)
    if not known.has_second_factor:
        return await _second_page(view, {"": _("Set up an app or a passkey first.")}, status=409)
    codes = await second_factors.make_recovery_codes(view.scope)
    return view.page("staff/recovery_codes.html", title=_("New recovery codes"), codes=codes)


@post("/profile/passkeys/options", permission=SIGNED_IN, opt=FIRST)
async def offer_passkey(view: View) -> Response[str]:
    return Response(await passkeys.offer_passkey(view.scope), media_type="application/json")


@post("/profile/passkeys", permission=SIGNED_IN, fresh=True, opt=FIRST)
async def add_passkey(view: View) -> Response[str]:
    known = await account.get_own(view.scope)
    try:
        data = await view.form(NewPasskey)
        codes = await passkeys.add_passkey(view.scope, data.name, data.credential)
    except (Invalid, Conflict) as error:
        errors = errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}
        return await _second_page(view, errors, status=error.status)
    if codes:
        return await _shown_once(view, known, codes, _("The passkey is added"))
    return await enter(view, known, SET_UP, _("The passkey is added."))


@post("/profile/passkeys/{passkey_id:int}/name", permission=SIGNED_IN)
async def rename_passkey(view: View, passkey_id: FromPath[int]) -> Response[str]:
    await passkeys.rename_passkey(view.scope, passkey_id, (await view.form(PasskeyName)).name)
    return view.go(SET_UP, _("Saved."))


@post("/profile/passkeys/{passkey_id:int}/removal", permission=SIGNED_IN, fresh=True)
async def remove_passkey(view: View, passkey_id: FromPath[int]) -> Response[str]:
    known = await account.get_own(view.scope)
    try:
        await passkeys.remove_passkey(view.scope, passkey_id)
    except Conflict as error:
        return await _second_page(view, {"": error.message}, status=409)
    return await enter(view, known, SET_UP, _("The passkey is removed."))


async def _shown_once(view: PageView, known: Known, codes: list[str], title: str) -> Response[str]:
    """Recovery codes, with the new session that a change of the second factor gives."""
    entered = await enter(view, known, SET_UP)
    page = view.page("staff/recovery_codes.html", title=title, codes=codes)
    page.cookies.extend(cookie for cookie in entered.cookies if cookie.key == sessions.cookie_name(secure=view.secure))
    return page


async def _second_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    known = await account.get_own(view.scope)
    offered = await _offered(view, known) if not known.totp_sealed else None
    return view.page(
        "staff/second_factor.html",
        status=status,
        errors=errors,
        offered=offered,
        picture=_picture(offered.address) if offered is not None else "",
        has_app=bool(known.totp_sealed),
        passkeys=await passkeys.list_passkeys(view.scope.as_actor(queries.actor_of(known)), known.id),
        codes_left=await second_factors.count_recovery_codes(known.id),
        must=bool(view.visit.only),
        values=view.shown(name="", code=""),
    )


async def _offered(view: PageView, known: Known) -> NewSecret:
    """The secret that the app has taken already, where a code of it did not fit; else a new one."""
    sealed = (view.typed.get("sealed") or [""])[-1]
    if sealed:
        try:
            return second_factors.offered_again(view.scope, known, sealed)
        except Invalid:
            pass
    return await second_factors.offer_secret(view.scope)


def _picture(address: str) -> Markup:
    """The address as a QR code, black on white in any theme."""
    out = BytesIO()
    segno.make(address, error="m").save(out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False)
    return Markup(out.getvalue().decode())


HANDLERS = (
    show_profile,
    change_profile,
    set_preferences,
    show_password,
    change_password,
    end_own_session,
    end_other_sessions,
    show_second_factor,
    set_app,
    remove_app,
    make_recovery_codes,
    offer_passkey,
    add_passkey,
    rename_passkey,
    remove_passkey,
)
