"""API tokens: the list, one, a new one that is shown once."""

from __future__ import annotations

import msgspec
from litestar import Response
from litestar.params import FromPath

from core.errors import Invalid
from core.staff import actions, queries
from core.staff.listing import TOKEN_STATES, TOKENS, maker_of, resting_words, token_state_of
from core.staff.routes import known_permissions
from core.staff.schemas import NewToken
from core.texts import _
from core.web.parts import Choice, MenuEntry, Pill
from core.web.routing import delete, get, post
from core.web.view import PageView, View, errors_by_field


@get("/settings/tokens", permission="staff.view")
async def list_tokens(view: View) -> Response[str]:
    buttons = [MenuEntry(label=_("What the API can do"), href="/api/v1/docs", icon="file-text")]
    if view.scope.may("staff.edit"):
        new = MenuEntry(label=_("New token"), href="/settings/tokens/new", icon="plus", key="n")
        buttons.append(new)
    return await TOKENS.page(view, "staff/tokens.html", buttons=buttons)


@get("/settings/tokens/new", permission="staff.edit")
async def show_new_token(view: View) -> Response[str]:
    return _new_page(view, {})


@post("/settings/tokens", permission="staff.edit", fresh=True)
async def create_token(view: View) -> Response[str]:
    """The token is shown this once."""
    try:
        known = frozenset(one.key for one in known_permissions(view))
        made = await actions.create_token(view.scope, await view.form(NewToken), known)
    except Invalid as error:
        return _new_page(view, errors_by_field(error), status=422)
    return await _token_page(view, made.id, created=made.token)


@get("/settings/tokens/{token_id:int}", permission="staff.view")
async def show_token(view: View, token_id: FromPath[int]) -> Response[str]:
    return await _token_page(view, token_id)


@delete("/settings/tokens/{token_id:int}", permission="staff.edit")
async def revoke_token(view: View, token_id: FromPath[int]) -> Response[str]:
    await actions.revoke_token(view.scope, token_id)
    return view.go("/settings/tokens", _("Token revoked."))


async def _token_page(view: PageView, token_id: int, *, created: str = "") -> Response[str]:
    one = await queries.get_token(view.scope, token_id)
    state = token_state_of(one, view.scope.now())
    labels = {permission.key: _(permission.label) for permission in known_permissions(view)}
    keys = msgspec.json.decode(one.permissions, type=list[str])
    rest = queries.resting(one.permissions, one.maker_permissions)
    label, kind, __ = TOKEN_STATES[state]
    return view.page(
        "staff/token.html",
        one=one,
        pill=Pill(label, kind),
        maker=maker_of(one),
        may=[
            Choice(key, _("Everything") if key == "*" else labels.get(key, key), _("rests") if key in rest else "")
            for key in keys
        ],
        created=created,
        off=state == "off",
        rests=resting_words(one) if state == "less" else "",
        may_revoke=view.scope.may("staff.edit") and one.revoked_at is None,
    )


def _new_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    typed = view.shown(name="", days="365")
    typed["permissions"] = view.typed.get("permissions", [])
    return view.page(
        "staff/new_token.html",
        status=status,
        permission_choices=[
            Choice(one.key, _(one.label), _(one.description) if one.description else "")
            for one in known_permissions(view)
            if view.scope.may(one.key)
        ],
        values=typed,
        errors=errors,
    )


HANDLERS = (list_tokens, show_new_token, create_token, show_token, revoke_token)
