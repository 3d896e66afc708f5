"""The lists of staff users and of API tokens, as they are declared for their pages, their exports and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from markupsafe import Markup

from core.database import dialect
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.drawing import NOTHING, link, pill
from core.lists.listing import Choices, Listing
from core.staff import queries
from core.staff.schemas import StaffRow, TokenRow
from core.staff.tables import ApiToken, Staff
from core.texts import N_, _, ngettext

if TYPE_CHECKING:
    from datetime import datetime

    from core.lists.drawing import Given
    from core.scope import Scope

NEVER: Final = "'1970-01-01 00:00:00.000000+00:00'"
"""Where somebody stands in an order who was never there: as an instant is kept."""
HAS_PASSKEY: Final = "EXISTS (SELECT 1 FROM passkey WHERE passkey.staff_id = staff.id)"
NEEDS_FACTOR: Final = "staff.role_id IN (SELECT role.id FROM role WHERE role.second_factor) OR staff.second_factor"
STAFF_STATES: Final = {
    "active": (N_("Active"), "live", "staff.active AND staff.password_hash <> ''"),
    "invited": (N_("Invited"), "new", "staff.active AND staff.password_hash = ''"),
    "off": (N_("Off"), "ended", "NOT staff.active"),
}
FACTORS: Final = (
    ListChoice("app", N_("App"), sql="staff.totp_sealed <> ''"),
    ListChoice("passkey", N_("Passkey"), sql=HAS_PASSKEY),
    ListChoice("none", N_("Not set up"), sql=f"staff.totp_sealed = '' AND NOT {HAS_PASSKEY}"),
    ListChoice(
        "missing",
        N_("Asked for, not set up"),
        sql=f"staff.totp_sealed = '' AND NOT {HAS_PASSKEY} AND ({NEEDS_FACTOR})",
        tone="warn",
    ),
)
_IN_TIME: Final = "api_token.revoked_at IS NULL AND (api_token.expires_at IS NULL OR api_token.expires_at > :list_now)"
_MAKER_OFF: Final = "EXISTS (SELECT 1 FROM staff s WHERE s.id = api_token.staff_id AND NOT s.active)"
_LESS: Final = {
    "sqlite": "EXISTS (SELECT 1 FROM staff s JOIN role r ON r.id = s.role_id, json_each(api_token.permissions) AS held"
    " WHERE s.id = api_token.staff_id AND r.permissions <> :list_all"
    " AND held.value NOT IN (SELECT given.value FROM json_each(r.permissions) AS given))",
    "postgresql": "EXISTS (SELECT 1 FROM staff s JOIN role r ON r.id = s.role_id WHERE s.id = api_token.staff_id"
    " AND r.permissions <> :list_all AND NOT (r.permissions::jsonb @> api_token.permissions::jsonb))",
}
"""Its maker may not do all that it was made for."""
TOKEN_STATES: Final = {
    "active": (N_("Active"), "live", f"{_IN_TIME} AND NOT {_MAKER_OFF} AND NOT {{less}}"),
    "less": (N_("Permissions rest"), "warn", f"{_IN_TIME} AND NOT {_MAKER_OFF} AND {{less}}"),
    "off": (N_("Maker switched off"), "blocked", f"{_IN_TIME} AND {_MAKER_OFF}"),
    "over": (N_("Over"), "ended", "api_token.revoked_at IS NULL AND api_token.expires_at <= :list_now"),
    "revoked": (N_("Revoked"), "ended", "api_token.revoked_at IS NOT NULL"),
}


def state_of(row: StaffRow) -> str:
    return "off" if not row.active else "active" if row.has_password else "invited"


def token_state_of(row: TokenRow, now: datetime) -> str:
    if row.revoked_at:
        return "revoked"
    if row.expires_at and row.expires_at <= now:
        return "over"
    if row.maker_off:
        return "off"
    return "less" if queries.resting(row.permissions, row.maker_permissions) else "active"


def resting_words(row: TokenRow) -> str:
    """Why it does less than it was made for, while it does."""
    rest = queries.resting(row.permissions, row.maker_permissions)
    if not rest:
        return ""
    who = {"name": row.maker or "", "role": _(row.maker_role) if row.maker_role else ""}
    if rest == ["*"]:
        return _("It was made for everything, and does what %(name)s may now with the role %(role)s.", **who)
    if not queries.still_held(row.permissions, row.maker_permissions):
        return _("All its permissions rest because %(name)s does not have them with the role %(role)s.", **who)
    return ngettext(
        "%(num)s of its permissions rests because %(name)s does not have it with the role %(role)s.",
        "%(num)s of its permissions rest because %(name)s does not have them with the role %(role)s.",
        len(rest),
        **who,
    )


def factor_words(row: StaffRow) -> str:
    if row.totp and row.passkeys:
        return _("App, passkey")
    return _("App") if row.totp else _("Passkey") if row.passkeys else ""


def maker_of(row: TokenRow) -> str:
    made_by_itself = row.created_by.startswith("staff:")
    return row.maker if row.maker and made_by_itself else queries.in_words(row.created_by)


async def staff_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by."""
    return {
        "role": [ListChoice(str(one.id), _(one.label), one.id) for one in await queries.list_roles(scope)],
        "state": [ListChoice(key, label, key, sql=sql) for key, (label, __, sql) in STAFF_STATES.items()],
        "factor": list(FACTORS),
    }


async def token_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    values, less = {"list_now": scope.now(), "list_all": '["*"]'}, _LESS[dialect()]
    return {
        "state": [
            ListChoice(key, label, key, sql=sql.format(less=less), values=values)
            for key, (label, __, sql) in TOKEN_STATES.items()
        ]
    }


def staff_search(typed: str) -> Condition | None:
    """By any part of the name or the address."""
    key = sort_key(typed)
    if not key:
        return None
    return Condition(
        "staff.name_key LIKE :staff_with ESCAPE '~' OR staff.email_key LIKE :staff_with ESCAPE '~'",
        {"staff_with": queries.anywhere(key)},
    )


def token_search(typed: str) -> Condition:
    """By any part of the name."""
    like = "ILIKE" if dialect() == "postgresql" else "LIKE"
    return Condition(f"api_token.name {like} :token_with ESCAPE '~'", {"token_with": queries.anywhere(typed)})


def _name(row: StaffRow, given: Given) -> Markup:
    told = link(f"/settings/staff/{row.id}", row.name, title=row.name)
    actor = given.scope.actor
    if actor.kind != "staff" or actor.id != row.id:
        return told
    return Markup('{} <span class="t-2 t-small">{}</span>').format(told, _("you"))


def _state(row: StaffRow, given: Given) -> Markup:
    label, kind, __ = STAFF_STATES[state_of(row)]
    return pill(_(label), kind)


def _factor(row: StaffRow, given: Given) -> Markup:
    if told := factor_words(row):
        return Markup("{}").format(told)
    return pill(_("Asked for"), "warn") if row.needs_second_factor else NOTHING


def _maker(row: TokenRow, given: Given) -> Markup:
    rest = resting_words(row) if token_state_of(row, given.scope.now()) == "less" else ""
    if not rest:
        return Markup("{}").format(maker_of(row))
    return Markup('{}<div class="t-2 t-small t-clip">{}</div>').format(maker_of(row), rest)


def _token_state(row: TokenRow, given: Given) -> Markup:
    label, kind, __ = TOKEN_STATES[token_state_of(row, given.scope.now())]
    return pill(_(label), kind)


STAFF: Final = Listing(
    key="staff",
    href="/settings/staff",
    permission="staff.view",
    title=N_("Staff"),
    noun="staff",
    counted=lambda many: ngettext("%(num)s person", "%(num)s people", many),
    placeholder=N_("Name or e-mail"),
    none=(N_("Nobody here yet"), N_("Invite the people who work with you.")),
    no_match=N_("Nobody matches"),
    table=Staff,
    into=StaffRow,
    select=queries.STAFF,
    sort="name",
    search=staff_search,
    choices=staff_choices,
    link=lambda row: f"/settings/staff/{row.id}",
    name_of=lambda row: row.name,
    columns=(
        ListColumn(
            key="name",
            label=N_("Name"),
            expr="staff.name_key",
            keyed=True,
            indexed=True,
            field="name",
            cell=_name,
            cls="t-clip wide",
        ),
        ListColumn(
            key="email",
            label=N_("E-mail"),
            expr="staff.email_key",
            keyed=True,
            indexed=True,
            field="email",
            role="c-meta",
            cls="t-clip wide",
        ),
        ListColumn(key="role", label=N_("Role"), expr="staff.role_id", kind="choice", value=lambda row: _(row.role)),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="CASE WHEN NOT staff.active THEN 'off' WHEN staff.password_hash = '' THEN 'invited' ELSE 'active' END",
            kind="choice",
            role="c-status",
            value=lambda row: _(STAFF_STATES[state_of(row)][0]),
            cell=_state,
        ),
        ListColumn(
            key="factor",
            label=N_("Second factor"),
            expr="staff.totp_sealed",
            kind="choice",
            sorts=False,
            value=factor_words,
            cell=_factor,
        ),
        ListColumn(
            key="seen",
            label=N_("Last seen"),
            expr="staff.last_seen_at",
            by=f"coalesce(staff.last_seen_at, {NEVER})",
            kind="datetime",
            field="last_seen_at",
            cls="t-nowrap t-date",
        ),
        ListColumn(
            key="added",
            label=N_("Added"),
            expr="staff.created_at",
            kind="datetime",
            field="created_at",
            shown=False,
        ),
        ListColumn(key="id", label=N_("Id"), expr="staff.id", kind="number", shown=False),
    ),
)
TOKENS: Final = Listing(
    key="tokens",
    href="/settings/tokens",
    permission="staff.view",
    title=N_("API tokens"),
    noun="token",
    counted=lambda many: ngettext("%(num)s API token", "%(num)s API tokens", many),
    placeholder=N_("Name"),
    none=(N_("No tokens yet"), N_("A token lets a program use the API with some of your permissions.")),
    no_match=N_("No token matches"),
    table=ApiToken,
    into=TokenRow,
    select=queries.TOKEN,
    sort="-id",
    search=token_search,
    choices=token_choices,
    link=lambda row: f"/settings/tokens/{row.id}",
    name_of=lambda row: row.name,
    columns=(
        ListColumn(key="name", label=N_("Name"), expr="api_token.name", cls="t-clip wide"),
        ListColumn(key="maker", label=N_("Made by"), role="c-meta", value=maker_of, cell=_maker, cls="wide"),
        ListColumn(
            key="made",
            label=N_("Made"),
            expr="api_token.created_at",
            kind="datetime",
            field="created_at",
            cls="t-nowrap t-date",
        ),
        ListColumn(
            key="used",
            label=N_("Last used"),
            expr="api_token.last_used_at",
            by=f"coalesce(api_token.last_used_at, {NEVER})",
            kind="datetime",
            field="last_used_at",
            cls="t-nowrap t-date",
        ),
        ListColumn(
            key="ends",
            label=N_("Ends"),
            expr="api_token.expires_at",
            by=f"coalesce(api_token.expires_at, {NEVER})",
            kind="datetime",
            field="expires_at",
            cls="t-nowrap t-date",
        ),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="api_token.revoked_at",
            kind="choice",
            sorts=False,
            role="c-status",
            cell=_token_state,
            value=lambda row: row.revoked_at,
        ),
        ListColumn(
            key="may",
            label=N_("May"),
            value=lambda row: ", ".join(msgspec.json.decode(row.permissions, type=list[str])),
            shown=False,
            cls="t-clip wide",
        ),
        ListColumn(
            key="rests",
            label=N_("Rests"),
            value=lambda row: ", ".join(queries.resting(row.permissions, row.maker_permissions)),
            shown=False,
            cls="t-clip wide",
        ),
        ListColumn(key="id", label=N_("Id"), expr="api_token.id", kind="number", shown=False),
    ),
)
