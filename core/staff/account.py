"""One's own account: who one is, the password, where one is logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.database import execute
from core.errors import Invalid, NotFound
from core.ids import sort_key
from core.staff import queries
from core.staff.actions import FULL, end_everywhere, notify, staff_behind
from core.staff.events import PasswordChanged, SessionsEnded, StaffChanged
from core.staff.passwords import PASSWORDS, check_password
from core.staff.zones import TIME_ZONES
from core.texts import N_, _
from core.web.sessions import end_session, end_sessions, list_sessions

if TYPE_CHECKING:
    from core.scope import Scope
    from core.staff.schemas import OwnPassword, OwnProfile


async def get_own(scope: Scope) -> queries.Known:
    """The staff user that acts, or that is behind the API token. Raises NotFound where nobody is."""
    known = await queries.find_known(await staff_behind(scope))
    if known is None:
        raise NotFound("There is no staff user to keep this with.")
    return known


async def change_profile(scope: Scope, data: OwnProfile) -> None:
    """Its own name and time zone; an empty zone is the tenant's."""
    if data.time_zone and data.time_zone not in TIME_ZONES:
        raise Invalid(_("Choose a time zone of the list."), field="time_zone")
    async with unit_of_work(scope):
        known = await get_own(scope)
        name = data.name.strip()
        if not name:
            raise Invalid(_("Fill this in."), field="name")
        wanted = {"name": (known.name, name), "time_zone": (known.time_zone, data.time_zone)}
        changes = {field: both for field, both in wanted.items() if both[0] != both[1]}
        if not changes:
            return
        await execute(
            "UPDATE staff SET name = :name, name_key = :key, time_zone = :zone, version = version + 1 WHERE id = :id",
            name=name,
            key=sort_key(name),
            zone=data.time_zone,
            id=known.id,
        )
        record(scope, StaffChanged(staff_id=known.id), changes=changes)


async def change_password(scope: Scope, data: OwnPassword) -> None:
    """Another password, given the one that holds. Every session ends; the person is told by mail."""
    known = await get_own(scope)
    if not await PASSWORDS.verify(known.password_hash, data.current):
        raise Invalid(_("This is not your password."), field="current")
    if data.password != data.repeated:
        raise Invalid(_("The two passwords differ. Type the same one twice."), field="repeated")
    if data.password == data.current:
        raise Invalid(_("This is the password that you have."), field="password")
    check_password(data.password, name=known.name, email=known.email)
    password_hash = await PASSWORDS.hash(data.password)
    async with unit_of_work(scope):
        await execute("UPDATE staff SET password_hash = :hash WHERE id = :id", hash=password_hash, id=known.id)
        await end_everywhere(scope, known.id)
        record(scope, PasswordChanged(staff_id=known.id))
        await notify(scope, known.id, N_("Your password was changed."))


async def end_own(scope: Scope, session_id: int) -> None:
    """End one of one's own sessions."""
    known = await get_own(scope)
    if session_id not in {session.id for session in await list_sessions(FULL, known.id, scope.now())}:
        raise NotFound(f"session {session_id}")
    async with unit_of_work(scope):
        await end_session(scope, session_id)
        record(scope, SessionsEnded(staff_id=known.id, sessions=1))


async def end_others(scope: Scope, current: int) -> int:
    """End all of one's own sessions but this one. Gives how many."""
    known = await get_own(scope)
    async with unit_of_work(scope):
        ended = await end_sessions(scope, FULL, known.id, but=current)
        if ended:
            record(scope, SessionsEnded(staff_id=known.id, sessions=ended))
    return ended
