"""What can be done to many staff users, and to many API tokens, at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from core.hooks import BulkAction, Effect, NothingToAsk
from core.lists.taking import taking
from core.staff import actions, queries
from core.staff.listing import STAFF, TOKENS
from core.texts import N_, _

if TYPE_CHECKING:
    from core.scope import Scope


def _logged_out(ended: int) -> Sequence[Effect]:
    if not ended:
        return ()
    return (Effect(kind="service", text=_("Is logged out everywhere"), inputs=str(ended)),)


async def _switch_off(scope: Scope, form: NothingToAsk, staff_id: int) -> Sequence[Effect]:
    if not await actions.switch_off(scope, staff_id):
        return ()
    effects = [Effect(kind="change", text=_("May no longer log in"))]
    if tokens := await queries.count_working_tokens(staff_id, scope.now()):
        text = _("API tokens do not work until the person is switched on again")
        effects.append(Effect(kind="service", text=text, inputs=str(tokens)))
    return effects


async def _end_sessions(scope: Scope, form: NothingToAsk, staff_id: int) -> Sequence[Effect]:
    return _logged_out(await actions.end_sessions_of(scope, staff_id))


async def _ask(scope: Scope, form: NothingToAsk, staff_id: int) -> Sequence[Effect]:
    if not await actions.ask_for_second_factor(scope, staff_id, needed=True):
        return ()
    has_one = (await queries.get_staff(scope, staff_id)).has_second_factor
    effects = [Effect(kind="change", text=_("Needs a second factor to log in"))]
    if not has_one:
        effects.append(Effect(kind="service", text=_("Is logged out, and sets one up at the next log-in")))
    return effects


async def _waive(scope: Scope, form: NothingToAsk, staff_id: int) -> Sequence[Effect]:
    if not await actions.ask_for_second_factor(scope, staff_id, needed=False):
        return ()
    return (Effect(kind="change", text=_("The role alone decides whether a second factor is needed")),)


async def _revoke(scope: Scope, form: NothingToAsk, token_id: int) -> Sequence[Effect]:
    if not await actions.revoke_token(scope, token_id):
        return ()
    return (Effect(kind="service", text=_("Programs that use it stop working at once")),)


STAFF_ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="staff.end_sessions",
        label=N_("End sessions"),
        verb=N_("End the sessions"),
        title=N_("End sessions"),
        icon="logout",
        permission="staff.edit",
        form=NothingToAsk,
        do=_end_sessions,
        place=10,
    ),
    BulkAction(
        key="staff.ask_second_factor",
        label=N_("Ask for one"),
        verb=N_("Ask for a second factor"),
        title=N_("Ask for a second factor"),
        group=N_("Second factor"),
        icon="shield-lock",
        permission="staff.edit",
        form=NothingToAsk,
        do=_ask,
        place=20,
    ),
    BulkAction(
        key="staff.waive_second_factor",
        label=N_("No longer ask"),
        verb=N_("No longer ask"),
        title=N_("No longer ask for a second factor"),
        group=N_("Second factor"),
        permission="staff.edit",
        form=NothingToAsk,
        do=_waive,
        confirmed=True,
        place=21,
    ),
    BulkAction(
        key="staff.switch_off",
        label=N_("Switch off"),
        verb=N_("Switch off"),
        title=N_("Switch staff users off"),
        icon="ban",
        permission="staff.edit",
        form=NothingToAsk,
        do=_switch_off,
        danger=True,
        confirmed=True,
        place=70,
    ),
    taking(STAFF),
)
TOKEN_ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="tokens.revoke",
        label=N_("Revoke"),
        verb=N_("Revoke"),
        title=N_("Revoke API tokens"),
        icon="ban",
        permission="staff.edit",
        form=NothingToAsk,
        do=_revoke,
        danger=True,
        place=10,
    ),
    taking(TOKENS),
)
